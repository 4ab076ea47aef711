/** One challenge, put to a provider until it has answered or has had its second chance. */
import type { Clock } from '../types.ts';
import type { Challenge } from './proofs.ts';
import type { Asked, HelloSeen, ProofSeen, ProviderProbe } from './providerProbe.ts';

/** What was seen of it; a proof's times are kept, because its deadline is known at the end of the era only. */
export type Sight =
  | {
      readonly outcome: 'wrong' | 'missing' | 'silent' | 'unreachable';
      readonly elapsedMs: number;
      readonly evidence?: unknown;
    }
  | { readonly outcome: 'proof'; readonly times: AnswerTimes; readonly evidence: unknown };

/** By the stopwatch, in ms: since the question was first heard, the headers, the last byte. */
export interface AnswerTimes {
  readonly startedAt: number;
  readonly headersAt: number;
  readonly endedAt: number;
}

export interface ChallengeOptions {
  readonly probe: ProviderProbe;
  /** Says hello, and takes note of how it went. */
  readonly hello: () => Promise<HelloSeen>;
  readonly clock: Clock;
  readonly stopwatch: () => number;
  /** Before a provider that could not be reached is asked again. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
}

/**
 * @param hello how the provider was met just before
 * @param isSpent the grant may have been used already: a provider that refuses it may say the truth
 * @returns undefined for what can be held neither against the provider nor for it
 */
export async function putChallenge(
  challenge: Challenge,
  hello: HelloSeen,
  isSpent: boolean,
  options: ChallengeOptions,
): Promise<Sight | undefined> {
  const { probe, clock, retryMs, signal } = options;
  const met = hello.kind === 'hello' ? hello : await helloAgain(hello.kind, options);
  if (met.kind !== 'hello') return { outcome: met.kind, elapsedMs: 0 };
  const first = await probe.prove(challenge, met.session);
  if (isAnswer(first)) return answered(first, first.startedAt);
  if (hello.kind !== 'hello') return unanswered(first, first.kind, isSpent, options);

  if (first.kind === 'unreachable') await clock.sleep(retryMs, signal);
  const again = await options.hello();
  if (again.kind !== 'hello') return unanswered(first, again.kind, isSpent, options);
  // Refused by the same run of the provider, it would be refused again.
  if (first.kind === 'refused' && again.session === met.session) {
    return unanswered(first, 'refused', isSpent, options);
  }
  const second = await probe.prove(challenge, again.session);
  // It may have heard the question the first time: what it did since then belongs to its answer.
  const heard = first.kind === 'unreachable' ? second : first;
  if (isAnswer(second)) return answered(second, heard.startedAt);
  return unanswered(heard, second.kind, isSpent, options);
}

async function helloAgain(kind: 'unreachable' | 'silent', options: ChallengeOptions): Promise<HelloSeen> {
  if (kind === 'unreachable') await options.clock.sleep(options.retryMs, options.signal);
  return options.hello();
}

function isAnswer(seen: ProofSeen): seen is Asked {
  return 'answer' in seen;
}

function answered({ kind, answer, evidence }: Asked, startedAt: number): Sight {
  const { headersAt, endedAt } = answer;
  if (kind === 'proof') return { outcome: kind, times: { startedAt, headersAt, endedAt }, evidence };
  return { outcome: kind, elapsedMs: endedAt - startedAt, evidence };
}

function unanswered(
  { startedAt }: ProofSeen,
  kind: 'unreachable' | 'silent' | 'refused',
  isSpent: boolean,
  { stopwatch }: ChallengeOptions,
): Sight | undefined {
  if (kind === 'refused' && isSpent) return undefined;
  const outcome = kind === 'unreachable' ? 'unreachable' : 'silent';
  return { outcome, elapsedMs: stopwatch() - startedAt };
}
