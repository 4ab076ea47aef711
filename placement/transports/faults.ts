import {
  TransportError,
  type Clock,
  type ShardName,
  type ShardSlice,
  type ShardSource,
  type ShardTransport,
  type StoredShard,
  type TransportErrorKind,
} from '../types.ts';

type FaultOperation = 'put' | 'get' | 'delete' | 'list' | 'prove' | 'space';

/** What happens to a call. The last four concern operations that answer with leaves; other calls pass. */
export type Fault =
  /** Rejects without reaching the provider. */
  | { readonly kind: 'fail'; readonly error: TransportErrorKind }
  /** Answers late. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Takes the call and never answers; it ends with the caller's signal or with close. */
  | { readonly kind: 'blackhole' }
  /** Does what it was asked to and reports failure: the outcome is not what the caller was told. */
  | { readonly kind: 'lostAnswer' }
  /** One byte of the leaves is changed. */
  | { readonly kind: 'flip' }
  /** The leaves lack their last byte. */
  | { readonly kind: 'truncate' }
  /** Answers with leaves of another shard or place, served before. */
  | { readonly kind: 'stale' }
  /** Answers with no leaves. */
  | { readonly kind: 'empty' };

interface FaultRule {
  readonly operations: readonly FaultOperation[];
  readonly fault: Fault;
  /** Only these calls, counted per operation from 1. */
  readonly nth?: readonly number[];
  /** Share of the calls, 0…1; all of them by default. Drawn from the seed, the shard and how often it was asked for. */
  readonly fraction?: number;
  /** Only shards for which this holds; calls without a shard always pass the test. */
  readonly shards?: (name: ShardName) => boolean;
}

export interface FaultPlan {
  /** 32-bit unsigned. */
  readonly seed: number;
  /** The first rule that fits a call decides. */
  readonly rules: readonly FaultRule[];
}

interface InjectedFault {
  readonly operation: FaultOperation;
  /** Which call of this operation, from 1. */
  readonly call: number;
  readonly shard: string;
  readonly kind: Fault['kind'];
}

/** A transport with a switch. */
export interface FaultyTransport extends ShardTransport {
  /** What has been injected so far. */
  readonly injected: readonly InjectedFault[];
  /** Replaces the plan; counters go on. */
  setPlan(plan: FaultPlan): void;
}

/**
 * Injects faults into calls of a transport. The same seed and the same calls give the same faults, in whatever order calls of
 * different shards interleave (except for rules with `nth`, which count all calls).
 */
export function faulty(transport: ShardTransport, plan: FaultPlan, clock: Clock): FaultyTransport {
  return new Faulty(transport, plan, clock);
}

class Faulty implements FaultyTransport {
  readonly injected: InjectedFault[] = [];
  readonly #inner: ShardTransport;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  readonly #calls = new Map<FaultOperation, number>();
  /** How often each operation was asked of each shard. */
  readonly #asked = new Map<string, number>();
  #plan: FaultPlan;
  /** The last two answers of different shards or leaves; the older one is what a stale provider gives. */
  #served: { readonly key: string; readonly slice: ShardSlice }[] = [];

  constructor(transport: ShardTransport, plan: FaultPlan, clock: Clock) {
    this.#inner = transport;
    this.#plan = plan;
    this.#clock = clock;
  }

  setPlan(plan: FaultPlan): void {
    this.#plan = plan;
  }

  put(name: ShardName, source: ShardSource, signal?: AbortSignal): Promise<void> {
    return this.#call('put', name, signal, () => this.#inner.put(name, source, signal));
  }

  get(...[name, firstLeaf, count, signal, length]: Parameters<ShardTransport['get']>): Promise<ShardSlice> {
    const key = `${name.chunk}.${name.index}@${firstLeaf}`;
    return this.#leaves('get', name, key, signal, () =>
      this.#inner.get(name, firstLeaf, count, signal, length),
    );
  }

  prove(name: ShardName, leaf: number, signal?: AbortSignal): Promise<ShardSlice> {
    const key = `${name.chunk}.${name.index}@${leaf}`;
    return this.#leaves('prove', name, key, signal, () => this.#inner.prove(name, leaf, signal));
  }

  delete(name: ShardName, signal?: AbortSignal): Promise<void> {
    return this.#call('delete', name, signal, () => this.#inner.delete(name, signal));
  }

  list(after: string | undefined, limit: number, signal?: AbortSignal): Promise<StoredShard[]> {
    return this.#call('list', undefined, signal, () => this.#inner.list(after, limit, signal));
  }

  space(signal?: AbortSignal): Promise<{ capacity: number; free: number }> {
    return this.#call('space', undefined, signal, () => this.#inner.space(signal));
  }

  close(): Promise<void> {
    this.#closed.abort();
    return this.#inner.close();
  }

  async #leaves(
    operation: 'get' | 'prove',
    name: ShardName,
    key: string,
    signal: AbortSignal | undefined,
    call: () => Promise<ShardSlice>,
  ): Promise<ShardSlice> {
    let fault: Fault | undefined;
    const slice = await this.#call(operation, name, signal, call, (decided) => (fault = decided));
    const other = this.#served.find((served) => served.key !== key)?.slice;
    // Of its own: whoever is given the slice may free it.
    const kept = { first: slice.first, bytes: slice.bytes.slice(), proof: slice.proof };
    this.#served = [...this.#served.filter((served) => served.key !== key).slice(-1), { key, slice: kept }];
    return tamper(slice, fault, other, drawn(this.#plan.seed, key));
  }

  async #call<T>(
    operation: FaultOperation,
    name: ShardName | undefined,
    signal: AbortSignal | undefined,
    call: () => Promise<T>,
    decided?: (fault: Fault | undefined) => void,
  ): Promise<T> {
    const fault = this.#decide(operation, name);
    decided?.(fault);
    if (fault?.kind === 'fail') throw new TransportError(fault.error, `injected: ${fault.error}`);
    if (fault?.kind === 'blackhole') return this.#swallow(signal);
    if (fault?.kind === 'latency') await this.#delay(fault.ms, signal);
    const answer = await call();
    if (fault?.kind === 'lostAnswer') throw new TransportError('Timeout', 'injected: the answer was lost');
    return answer;
  }

  #decide(operation: FaultOperation, name: ShardName | undefined): Fault | undefined {
    const call = (this.#calls.get(operation) ?? 0) + 1;
    this.#calls.set(operation, call);
    const shard = name ? `${name.chunk}.${name.index}` : '';
    const asked = (this.#asked.get(operation + shard) ?? 0) + 1;
    this.#asked.set(operation + shard, asked);
    const at = this.#plan.rules.findIndex(
      (rule, number) =>
        rule.operations.includes(operation) &&
        (rule.nth?.includes(call) ?? true) &&
        (!name || (rule.shards?.(name) ?? true)) &&
        drawn(this.#plan.seed, `${number} ${operation} ${shard} ${asked}`) / 2 ** 32 < (rule.fraction ?? 1),
    );
    const fault = this.#plan.rules[at]?.fault;
    if (fault) this.injected.push({ operation, call, shard, kind: fault.kind });
    return fault;
  }

  async #delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal);
    } catch (error) {
      throw new TransportError('Aborted', 'stopped on request', { cause: error });
    }
  }

  #swallow(signal: AbortSignal | undefined): Promise<never> {
    return new Promise((_, reject) => {
      const end = (kind: TransportErrorKind) => () => reject(new TransportError(kind, 'injected: no answer'));
      if (signal?.aborted) end('Aborted')();
      signal?.addEventListener('abort', end('Aborted'), { once: true });
      this.#closed.signal.addEventListener('abort', end('Unavailable'), { once: true });
    });
  }
}

/** @param random 32-bit unsigned: which byte and bit */
function tamper(
  slice: ShardSlice,
  fault: Fault | undefined,
  other: ShardSlice | undefined,
  random: number,
): ShardSlice {
  if (fault?.kind === 'truncate') return { ...slice, bytes: slice.bytes.slice(0, -1) };
  if (fault?.kind === 'empty') return { ...slice, bytes: new Uint8Array(0) };
  if (fault?.kind === 'stale' && other) return { ...other, first: slice.first };
  if (fault?.kind !== 'flip') return slice;
  const bytes = slice.bytes.slice();
  const at = random % bytes.length;
  bytes[at]! ^= 1 << (random & 7);
  return { ...slice, bytes };
}

/** A 32-bit number that depends on every bit of seed and text: FNV-1a, then the finalizer of MurmurHash3. */
function drawn(seed: number, text: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
