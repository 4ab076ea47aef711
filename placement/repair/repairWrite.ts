import type { Hasher, TreeBuilder } from '#erasure';
import type { RepairTarget } from './repairPlan.ts';
import type { RepairSources } from './repairSources.ts';
import {
  PlacementError,
  TransportError,
  type ChunkRecord,
  type Clock,
  type Providers,
  type ShardPlace,
  type ShardSeal,
  type ShardSource,
  type TransportErrorKind,
} from '../types.ts';

export interface WrittenShard {
  readonly index: number;
  readonly place: ShardPlace;
}

interface RefusedShard {
  readonly target: RepairTarget;
  readonly error: TransportError;
  /** The bytes were at fault, not the provider: the computed shard does not have the recorded root. */
  readonly wrongRoot: boolean;
}

export interface WriteResult {
  readonly written: readonly WrittenShard[];
  readonly refused: readonly RefusedShard[];
}

/** Where shards are written to, and what hashes them. */
export interface WriteDeps {
  readonly providers: Providers;
  readonly hasher: Hasher;
  readonly clock: Clock;
}

/**
 * Builds the targets' shards in one pass over the sources and writes them, every target at the pace of the slowest. A target that
 * fails does not stop the others.
 * @throws PlacementError 'ChunkUnreadable' | 'Aborted' when the sources fail: then nothing has become durable
 */
export async function writeShards(
  record: ChunkRecord,
  targets: readonly RepairTarget[],
  sources: RepairSources,
  deps: WriteDeps,
  signal: AbortSignal,
): Promise<WriteResult> {
  const lanes = targets.map((target) => new Lane(target, record.shards[target.index]?.root, deps));
  const puts = Promise.all(lanes.map((lane) => lane.put(record.id, signal)));
  // Awaited below; a put that breaks its contract must not be unhandled until then.
  puts.catch(() => undefined);
  const wanted = targets.map((target) => target.index);
  const without = targets.flatMap((target) => (target.destroys ? [target.index] : []));
  try {
    for await (const range of sources.ranges(wanted, without, signal)) {
      await Promise.all(lanes.map((lane, at) => lane.push(range[at]!)));
      if (lanes.every((lane) => lane.closed)) break;
    }
  } catch (error) {
    for (const lane of lanes) lane.fail(error);
    await puts;
    throw error;
  }
  for (const lane of lanes) lane.end();
  const settled = await puts;
  return {
    written: settled.flatMap((put) => put.written ?? []),
    refused: settled.flatMap((put) => put.refused ?? []),
  };
}

/**
 * Whether a damaged shard can be computed without itself, and has the recorded root: what must be certain before its file is
 * replaced under the same name. Reads everything and writes nothing.
 * @throws PlacementError 'Aborted'
 */
export async function canReplace(
  record: ChunkRecord,
  index: number,
  sources: RepairSources,
  hasher: Hasher,
  signal: AbortSignal,
): Promise<boolean> {
  const tree = hasher.tree();
  try {
    for await (const [piece] of sources.ranges([index], [index], signal)) tree.update(piece!);
  } catch (error) {
    if (error instanceof PlacementError && error.kind === 'ChunkUnreadable') return false;
    throw error;
  }
  return Buffer.compare(tree.finish().root, record.shards[index]!.root) === 0;
}

/** One rebuilt shard on its way: hands each piece over when the provider's put asks for it, so nothing queues up. */
class Lane implements ShardSource {
  readonly cells: AsyncIterable<Uint8Array>;
  /** The put has settled or takes no more. */
  closed = false;
  readonly #target: RepairTarget;
  readonly #expected: Uint8Array | undefined;
  readonly #deps: WriteDeps;
  readonly #tree: TreeBuilder;
  /** The provider's own time begins when the last byte is there for it. */
  #sealedAt: number | undefined;
  #seal: ShardSeal | undefined;
  #wrongRoot = false;
  #piece: Uint8Array | undefined;
  #ended = false;
  #failure: unknown;
  #wakeConsumer: (() => void) | undefined;
  #wakeProducer: (() => void) | undefined;

  /** @param expected recorded root of the shard, where one is recorded */
  constructor(target: RepairTarget, expected: Uint8Array | undefined, deps: WriteDeps) {
    this.#target = target;
    this.#expected = expected;
    this.#deps = deps;
    this.#tree = deps.hasher.tree();
    this.cells = this.#pieces();
  }

  async put(chunk: string, signal: AbortSignal): Promise<{ written?: WrittenShard; refused?: RefusedShard }> {
    const { index, provider, clear } = this.#target;
    try {
      const transport = this.#deps.providers.get(provider.id)?.transport;
      if (!transport)
        throw new TransportError('Unavailable', `provider ${provider.id} is not registered any more`);
      if (clear) await transport.delete({ chunk, index }, signal);
      await transport.put({ chunk, index }, this, signal);
      this.#report(undefined);
      return { written: { index, place: { provider: provider.id, root: this.seal().root } } };
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#report(error.kind);
      return { refused: { target: this.#target, error, wrongRoot: this.#wrongRoot } };
    } finally {
      this.#close();
    }
  }

  seal(): ShardSeal {
    if (!this.#seal) throw new Error('a shard is sealed only after its last byte');
    return this.#seal;
  }

  /** Resolves when the piece has been taken, or will never be. */
  async push(piece: Uint8Array): Promise<void> {
    if (this.closed) return;
    this.#tree.update(piece);
    this.#piece = piece;
    this.#wakeConsumer?.();
    await new Promise<void>((resolve) => {
      this.#wakeProducer = resolve;
    });
  }

  /** The shard is whole; one that does not have the recorded root fails instead of becoming durable. */
  end(): void {
    if (this.closed) return;
    this.#seal = this.#tree.finish();
    this.#sealedAt = this.#deps.clock.now();
    this.#wrongRoot = this.#expected !== undefined && Buffer.compare(this.#expected, this.#seal.root) !== 0;
    if (this.#wrongRoot) this.fail(new Error('the rebuilt shard does not have the recorded root'));
    this.#ended = true;
    this.#wakeConsumer?.();
  }

  fail(error: unknown): void {
    this.#failure = error;
    this.#ended = true;
    this.#wakeConsumer?.();
  }

  #report(failure: TransportErrorKind | undefined): void {
    const now = this.#deps.clock.now();
    const latencyMs = now - (this.#sealedAt ?? now);
    this.#deps.providers.report(this.#target.provider.id, {
      kind: 'write',
      latencyMs,
      ...(failure && { failure }),
    });
  }

  #close(): void {
    this.closed = true;
    this.#wakeProducer?.();
  }

  async *#pieces(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (;;) {
        if (this.#piece) {
          yield this.#piece;
          this.#piece = undefined;
          this.#wakeProducer?.();
        }
        if (this.#ended) break;
        if (this.#piece) continue;
        await new Promise<void>((resolve) => {
          this.#wakeConsumer = resolve;
        });
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      // A put that stops early takes no more; one that has read everything is still waiting for its disk.
      if (!this.#ended) this.#close();
    }
  }
}
