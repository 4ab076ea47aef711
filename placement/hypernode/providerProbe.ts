import { randomBytes } from 'node:crypto';
import { createHasher, LEAF_BYTES } from '#erasure';
import type { Identity } from '../network/identity.ts';
import { useGrant } from '../network/issueGrant.ts';
import type { Task } from '../network/messages.ts';
import { openStatement, parseMessage } from '../network/signed.ts';
import {
  GRANT_SCHEME,
  helloSchema,
  helloStatementSchema,
  HOLDER_HEADER,
  PROOF_BYTES_HEADER,
} from '../provider/wire.ts';
import { grantTerms } from './grantTerms.ts';
import { judge, signedHeader, type Challenge, type Shown } from './proofs.ts';
import type { Answer, Exchange, ProviderLine } from './providerLine.ts';
import type { HyperNodeLimits } from './types.ts';

const HELLO_BYTES_MAX = 4096;
/** Of a failure's JSON, and of the proof of a run of leaves. */
const SLACK_BYTES = 8192;

const hasher = createHasher();

/** 'unreachable' and 'silent' as in Exchange; 'silent' also for an answer that is not right. */
export interface Unanswered {
  readonly kind: 'unreachable' | 'silent';
  readonly reason: string;
}
export type HelloSeen =
  | { readonly kind: 'hello'; readonly session: string; readonly rttMs: number }
  | Unanswered;

/** A signed answer to a challenge. */
export type Asked = Exclude<Shown, { kind: 'none' }> & {
  readonly answer: Answer;
  readonly startedAt: number;
};
/** 'refused': it says that the grant does not count. */
export type ProofSeen =
  | Asked
  | (Unanswered & { readonly startedAt: number })
  | { readonly kind: 'refused'; readonly startedAt: number };

/** 'nothing': it could not be asked, or says that it does not have the shard or that the grant does not count. */
export type ReadSeen =
  | { readonly kind: 'read'; readonly bytesPerSecond: number; readonly firstByteMs: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'nothing'; readonly reason: string };

/** The questions a monitor asks one provider. Nothing rejects: whatever a provider does is a finding. */
export class ProviderProbe {
  readonly task: Task;
  readonly #line: ProviderLine;
  readonly #monitor: Identity;
  readonly #limits: HyperNodeLimits;

  constructor(task: Task, line: ProviderLine, monitor: Identity, limits: HyperNodeLimits) {
    this.task = task;
    this.#line = line;
    this.#monitor = monitor;
    this.#limits = limits;
  }

  async hello(): Promise<HelloSeen> {
    const nonce = randomBytes(32).toString('hex');
    const bounds = { bytesMax: HELLO_BYTES_MAX, ms: this.#limits.answerMs };
    const exchange = await this.#line.get(`/v1/hello?nonce=${nonce}`, {}, bounds);
    if (exchange.kind !== 'answer') return exchange;
    const session = this.#sessionOf(exchange, nonce);
    if (session === undefined) return { kind: 'silent', reason: 'the hello is not by the provider' };
    return { kind: 'hello', session, rttMs: exchange.endedAt - exchange.startedAt };
  }

  async prove(challenge: Challenge, session: string): Promise<ProofSeen> {
    const { target, nonce } = challenge;
    const path = `/v1/shards/${target.chunk}.${target.index}/proof?leaf=${target.leaf}&nonce=${nonce}`;
    const bounds = { bytesMax: LEAF_BYTES, ms: this.#limits.answerMs };
    const answer = await this.#ask(path, target.grant, session, bounds);
    if (answer.kind !== 'answer') return answer;
    const shown = judge(challenge, answer);
    const { startedAt } = answer;
    if (shown.kind !== 'none') return { ...shown, answer, startedAt };
    if (answer.status === 401) return { kind: 'refused', startedAt };
    return { kind: 'silent', reason: shown.reason, startedAt };
  }

  /** Reads the run of leaves that the task names. */
  async read(session: string): Promise<ReadSeen> {
    const run = this.task.throughput;
    if (run === undefined) return { kind: 'nothing', reason: 'the task has nothing to read' };
    const path = `/v1/shards/${run.chunk}.${run.index}?first=${run.first}&count=${run.count}`;
    const bounds = { bytesMax: run.count * LEAF_BYTES + SLACK_BYTES, ms: this.#limits.readMs };
    const answer = await this.#ask(path, run.grant, session, bounds);
    if (answer.kind !== 'answer') {
      return { kind: answer.kind === 'silent' ? 'failed' : 'nothing', reason: answer.reason };
    }
    if ([401, 404, 410].includes(answer.status))
      return { kind: 'nothing', reason: `status ${answer.status}` };
    const bytes = verifiedBytes(run, answer);
    if (bytes === 0) return { kind: 'failed', reason: 'the leaves do not verify' };
    const seconds = Math.max(answer.endedAt - answer.startedAt, 0.001) / 1000;
    return {
      kind: 'read',
      bytesPerSecond: bytes / seconds,
      firstByteMs: answer.headersAt - answer.startedAt,
    };
  }

  #ask(
    path: string,
    grant: string,
    session: string,
    bounds: { bytesMax: number; ms: number },
  ): Promise<Exchange> {
    const headers = {
      authorization: `${GRANT_SCHEME} ${grant}`,
      [HOLDER_HEADER]: useGrant(this.#monitor, grantTerms(grant).nonce, session),
    };
    return this.#line.get(path, headers, bounds);
  }

  /** The provider's session, when the hello is signed by the provider, with the nonce. */
  #sessionOf(answer: Answer, nonce: string): string | undefined {
    if (answer.status !== 200) return undefined;
    try {
      const hello = parseMessage(helloSchema, JSON.parse(answer.body.toString()));
      const said = openStatement(signedHeader(answer.headers), 'hello', helloStatementSchema);
      const right =
        said.signer === this.task.provider &&
        hello.provider === this.task.provider &&
        said.value.nonce === nonce &&
        said.value.session === hello.session;
      return right ? said.value.session : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Bytes of leaves in the answer; 0 when they are not those that were asked for. */
function verifiedBytes(run: NonNullable<Task['throughput']>, { status, headers, body }: Answer): number {
  const proofBytes = Number(headers[PROOF_BYTES_HEADER]);
  if (status !== 200 || !Number.isInteger(proofBytes) || proofBytes < 0 || proofBytes > body.length) return 0;
  const end = body.length - proofBytes;
  const leaves = body.subarray(0, end);
  const whole = Math.min(run.length, (run.first + run.count) * LEAF_BYTES) - run.first * LEAF_BYTES;
  if (leaves.length !== whole) return 0;
  const root = Buffer.from(run.root, 'hex');
  return hasher.verify(root, run.length, run.first, leaves, body.subarray(end)) ? leaves.length : 0;
}
