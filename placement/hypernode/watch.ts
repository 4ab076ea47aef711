import type { PartyId } from '../network/identity.ts';
import { challengeOf } from '../network/beacon.ts';
import { digestOf } from '../network/latencyDigest.ts';
import type { Assignment, Audit, Finding, Task } from '../network/messages.ts';
import type { Clock } from '../types.ts';
import { putChallenge, type Sight } from './challenge.ts';
import { answerMs, timely } from './proofs.ts';
import type { HelloSeen, ProviderProbe, Unanswered } from './providerProbe.ts';
import type { HyperNodeLimits } from './types.ts';
import type { Visit } from './visits.ts';

/** Hellos before the first challenge: their least round trip is what its deadline is made of. */
const HELLOS_MIN = 3;

export interface WatchOptions {
  readonly assignment: Pick<Assignment, 'beacon' | 'era' | 'serviceMs'>;
  readonly monitor: PartyId;
  readonly limits: Pick<HyperNodeLimits, 'retryMs'>;
  readonly clock: Clock;
  readonly stopwatch: () => number;
  /** The era was begun by an earlier run of the monitor, which may have used grants of it. */
  readonly resumed: boolean;
  /** Called with every right answer. */
  readonly onAnswer: () => void;
  /** False when the monitor itself seems to be cut off: a provider that does not answer is not to blame then. @param since stopwatch */
  readonly isConnected: (provider: string, since: number) => Promise<boolean>;
}

type Met = Extract<HelloSeen, { kind: 'hello' }>;

/** What one monitor sees of one provider in one era. */
export class ProviderWatch {
  readonly #probe: ProviderProbe;
  readonly #task: Task;
  readonly #options: WatchOptions;
  readonly #rttsMs: number[] = [];
  readonly #latenciesMs: number[] = [];
  readonly #throughput: number[] = [];
  readonly #sights = new Map<number, Sight>();
  /** Targets whose answer was lost while the monitor was cut off, and that are to be asked again. */
  #postponed: number[] = [];
  readonly #spent = new Set<number>();
  #probes = 0;
  #answered = 0;

  constructor(probe: ProviderProbe, options: WatchOptions) {
    this.#probe = probe;
    this.#task = probe.task;
    this.#options = options;
  }

  /** Rejects with the signal's reason when it aborts first. */
  async run(visits: readonly Visit[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (const visit of visits) {
      await clock.sleep(Math.max(0, visit.at - clock.now()), signal);
      await this.#visit(visit, signal);
    }
  }

  /** So far. */
  finding(): Finding {
    const rttMs = this.#rttsMs.reduce((least, next) => Math.min(least, next), Infinity);
    const sights = [...this.#sights].sort(([a], [b]) => a - b);
    return {
      provider: this.#task.provider,
      probes: this.#probes,
      answered: this.#answered,
      ...(rttMs < Infinity && { rttMinMs: rounded(rttMs) }),
      latency: digestOf(this.#latenciesMs),
      throughput: [...this.#throughput],
      audits: sights.map(([target, sight]) => this.#auditOf(target, sight, rttMs)),
    };
  }

  async #visit(visit: Visit, signal: AbortSignal): Promise<void> {
    const due = [...this.#postponed, ...visit.targets];
    this.#postponed = [];
    const since = this.#options.stopwatch();
    const hello = await this.#hello();
    const met = hello.kind !== 'hello' && due.length > 0 ? await this.#helloAgain(hello, signal) : hello;
    signal.throwIfAborted();
    if (met.kind !== 'hello' && !(await this.#isConnected(since))) {
      this.#postponed = due;
      return;
    }
    signal.throwIfAborted();
    this.#probes += 1;
    if (hello.kind === 'hello') this.#answered += 1;
    if (met.kind === 'hello') await this.#examine(due, visit.read, met, signal);
    else for (const target of due) this.#keep(target, { outcome: met.kind, elapsedMs: 0 });
  }

  /** Asks all that is due, of a provider that was met. */
  async #examine(due: readonly number[], read: boolean, met: Met, signal: AbortSignal): Promise<void> {
    let { session } = met;
    while (due.length > 0 && this.#rttsMs.length < HELLOS_MIN) {
      const hello = await this.#hello();
      signal.throwIfAborted();
      if (hello.kind !== 'hello') break;
      ({ session } = hello);
    }
    for (const target of due) await this.#audit(target, session, signal);
    if (read) await this.#read(session, signal);
  }

  async #audit(index: number, session: string, signal: AbortSignal): Promise<void> {
    const { assignment, monitor, resumed, clock, stopwatch, limits } = this.#options;
    const { provider, targets } = this.#task;
    const nonce = challengeOf(assignment.beacon, assignment.era, provider, monitor, index);
    const challenge = { task: this.#task, target: targets[index]!, nonce };
    const since = stopwatch();
    const sight = await putChallenge(challenge, session, resumed || this.#spent.has(index), {
      probe: this.#probe,
      hello: () => this.#hello(),
      clock,
      stopwatch,
      retryMs: limits.retryMs,
      signal,
    });
    signal.throwIfAborted();
    this.#spent.add(index);
    if (sight === undefined) return;
    const isBlamed = sight.outcome === 'silent' || sight.outcome === 'unreachable';
    const counts = !isBlamed || (await this.#isConnected(since));
    signal.throwIfAborted();
    if (counts) this.#keep(index, sight);
    else this.#postponed.push(index);
  }

  #keep(index: number, sight: Sight): void {
    this.#sights.set(index, sight);
    if (sight.outcome === 'silent' || sight.outcome === 'unreachable') return;
    this.#options.onAnswer();
    if (sight.outcome === 'proof') this.#latenciesMs.push(sight.times.endedAt - sight.times.startedAt);
  }

  async #helloAgain({ kind }: Unanswered, signal: AbortSignal): Promise<HelloSeen> {
    if (kind === 'unreachable') await this.#options.clock.sleep(this.#options.limits.retryMs, signal);
    return this.#hello();
  }

  async #hello(): Promise<HelloSeen> {
    const hello = await this.#probe.hello();
    if (hello.kind === 'hello') {
      this.#rttsMs.push(hello.rttMs);
      this.#options.onAnswer();
    }
    return hello;
  }

  async #read(session: string, signal: AbortSignal): Promise<void> {
    const since = this.#options.stopwatch();
    const seen = await this.#probe.read(session);
    signal.throwIfAborted();
    if (seen.kind === 'read') {
      this.#options.onAnswer();
      this.#throughput.push(Math.round(seen.bytesPerSecond));
      this.#latenciesMs.push(seen.firstByteMs);
    } else if (seen.kind === 'failed' && (await this.#isConnected(since))) {
      this.#throughput.push(0);
    }
  }

  #isConnected(since: number): Promise<boolean> {
    return this.#options.isConnected(this.#task.provider, since);
  }

  #auditOf(target: number, sight: Sight, rttMs: number): Audit {
    if (sight.outcome !== 'proof') return { target, ...sight, elapsedMs: rounded(sight.elapsedMs) };
    const elapsedMs = answerMs(sight.times, rttMs);
    const outcome = timely(elapsedMs, rttMs, this.#task.storageClass, this.#options.assignment.serviceMs);
    return { target, outcome, elapsedMs: rounded(elapsedMs), evidence: sight.evidence };
  }
}

/** Microseconds are enough, and short. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
