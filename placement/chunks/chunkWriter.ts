import type { ErasureCodec, Hasher, Profile, ShardTree, TreeBuilder } from '#erasure';
import type { LateWrites } from './lateWrites.ts';
import type { ShardPlacer } from './shardPlacer.ts';
import { ShardUpload } from './shardUpload.ts';
import { takesShards } from '../registry/writable.ts';
import { StripeBuffer } from './stripeBuffer.ts';
import type { StripePool } from './stripeMemory.ts';
import { Wakeup } from '../time.ts';
import { writeQuorum, type WriteLimits } from './writeLimits.ts';
import {
  PlacementError,
  type ChunkId,
  type ChunkRecord,
  type ChunkWriter,
  type Clock,
  type DomainLevel,
  type ProviderHandle,
  type Providers,
  type WrittenChunk,
} from '../types.ts';

export interface ChunkWriterContext {
  readonly providers: Providers;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly pool: StripePool;
  readonly late: LateWrites;
  readonly limits: WriteLimits;
  /** Bytes of a cell in a full stripe. */
  readonly cell: number;
  /** Writers that are neither finished nor aborted. */
  readonly open: Set<object>;
}

/** Codes a chunk stripe by stripe and sends its k+m shards side by side. */
export class ShardedChunkWriter implements ChunkWriter {
  readonly id: ChunkId;
  readonly #context: ChunkWriterContext;
  readonly #profile: Profile;
  readonly #placer: ShardPlacer;
  readonly #quorum: number;
  readonly #stripe: StripeBuffer;
  readonly #trees: readonly TreeBuilder[];
  readonly #uploads: readonly ShardUpload[];
  readonly #changed = new Wakeup();
  readonly #first: readonly ProviderHandle[];
  #length = 0;
  #isStarted = false;
  #isFinished = false;
  #aborted: Promise<void> | undefined;

  /**
   * @param length of the chunk, where it is known
   * @throws PlacementError 'TooFewProviders' | 'NoSpace' | 'DomainRule'
   */
  constructor(
    id: ChunkId,
    codec: ErasureCodec,
    placer: ShardPlacer,
    context: ChunkWriterContext,
    length: number | undefined,
  ) {
    this.id = id;
    this.#context = context;
    this.#profile = codec.profile;
    this.#placer = placer;
    this.#first = placer.first();
    this.#quorum = writeQuorum(codec.profile);
    this.#stripe = new StripeBuffer(codec, context.cell, context.pool, length);
    const indexes = Array.from({ length: codec.profile.data + codec.profile.parity }, (_, index) => index);
    context.open.add(this);
    this.#trees = indexes.map(() => context.hasher.tree());
    this.#uploads = indexes.map(
      (index) =>
        new ShardUpload({ chunk: id, index }, context.providers, context.clock, (upload) =>
          this.#onChange(upload),
        ),
    );
  }

  get length(): number {
    return this.#length;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    for (let at = 0; at < bytes.length;) {
      // A full stripe waits for more: what ends with it may still be sent in one piece.
      if (this.#stripe.isFull) await this.#sendStripe();
      at += this.#stripe.fill(at === 0 ? bytes : bytes.subarray(at));
    }
    this.#length += bytes.length;
  }

  async finish(): Promise<WrittenChunk> {
    this.#assertOpen();
    if (this.#length === 0) throw new RangeError('a chunk has at least one byte');
    if (!this.#stripe.isEmpty) await this.#sendLastStripe();
    else this.#seal();
    await this.#awaitQuorum();
    const survives = await this.#assertRuleKept();
    this.#isFinished = true;
    this.#context.open.delete(this);
    for (const upload of this.#uploads) upload.release();
    const sending = this.#uploads.filter(({ state }) => state === 'sending');
    this.#context.late.add(this.id, sending);
    const shards = this.#uploads.map(
      ({ provider, seal }) => provider && { provider: provider.id, root: seal.root },
    );
    const { cell } = this.#context;
    const record: ChunkRecord = {
      id: this.id,
      profile: this.#profile,
      length: this.#length,
      cell,
      generation: 1,
      shards,
    };
    return {
      record,
      needsRepair: this.#count('durable') < this.#uploads.length,
      survives,
    };
  }

  abort(): Promise<void> {
    this.#aborted ??= this.#discard();
    return this.#aborted;
  }

  /** Sends a full stripe once all providers have taken the one before. */
  async #sendStripe(): Promise<void> {
    await this.#awaitRoom();
    const bytes = this.#code();
    if (!this.#isStarted) this.#start();
    this.#noteLoad(bytes);
  }

  async #sendLastStripe(): Promise<void> {
    await this.#awaitRoom();
    const bytes = this.#code();
    this.#seal();
    if (!this.#isStarted) this.#start();
    this.#noteLoad(bytes);
  }

  /** Returns the bytes of a cell: none when the chunk was given up meanwhile. */
  #code(): number {
    const cells = this.#stripe.code();
    for (const [index, cell] of cells.entries()) {
      this.#trees[index]!.update(cell.bytes);
      this.#uploads[index]!.push(cell);
    }
    return cells[0]?.bytes.length ?? 0;
  }

  #noteLoad(bytes: number): void {
    for (const { provider } of this.#uploads) {
      if (provider) this.#context.providers.noteLoad(provider.id, bytes);
    }
  }

  #seal(): void {
    const seals: ShardTree[] = this.#trees.map((tree) => tree.finish());
    for (const [index, upload] of this.#uploads.entries()) upload.close(seals[index]!);
  }

  /** Providers chosen when the chunk began may have begun to leave since: those get others in their place. */
  #start(): void {
    this.#isStarted = true;
    const instead: ShardUpload[] = [];
    for (const [index, { info }] of this.#first.entries()) {
      const handle = this.#context.providers.get(info.id);
      if (handle && takesShards(handle.info.state)) this.#uploads[index]!.start(handle);
      else instead.push(this.#uploads[index]!);
    }
    for (const upload of instead) {
      const handle = this.#placer.another(this.#uploads);
      if (handle) upload.start(handle);
    }
  }

  /**
   * Resolves when no provider is more than a stripe behind, having dropped those that stall.
   * @throws PlacementError 'TooFewProviders'
   */
  async #awaitRoom(): Promise<void> {
    const { clock, limits } = this.#context;
    const begun = clock.now();
    let quorumMs: number | undefined;
    for (;;) {
      this.#assertOpen();
      await this.#assertQuorumPossible();
      const behind = this.#uploads.filter(({ backlog }) => backlog > 0);
      if (behind.length === 0) return;
      if (this.#count('sending') - behind.length >= this.#quorum) quorumMs ??= clock.now() - begun;
      const patience =
        quorumMs === undefined
          ? limits.stallMs
          : Math.min(limits.stallMs, Math.max(limits.patienceMsMin, limits.patience * quorumMs));
      const rest = begun + patience - clock.now();
      if (rest > 0) await this.#changed.wait(clock, rest);
      else for (const upload of behind) upload.drop('Timeout');
    }
  }

  /** Resolves when enough shards are durable and the others are so, too, have failed or are late. */
  async #awaitQuorum(): Promise<void> {
    const { clock, limits } = this.#context;
    const begun = clock.now();
    let quorumMs: number | undefined;
    for (;;) {
      this.#assertOpen();
      await this.#assertQuorumPossible();
      if (this.#count('sending') === 0) return;
      if (this.#isSafe()) quorumMs ??= clock.now() - begun;
      const patience = quorumMs === undefined ? limits.commitMs : this.#grace(quorumMs);
      const rest = begun + patience - clock.now();
      if (rest > 0) {
        await this.#changed.wait(clock, rest);
        continue;
      }
      const late = this.#uploads.filter(({ state }) => state === 'sending');
      if (quorumMs !== undefined) {
        if (patience >= limits.patience * quorumMs) for (const upload of late) upload.chargeDelay();
        return;
      }
      for (const upload of late) upload.drop('Timeout');
    }
  }

  /** Enough shards are durable, and lie so that what is required is survived. */
  #isSafe(): boolean {
    return (
      this.#count('durable') >= this.#quorum && this.#placer.isRuleKept(this.#placer.survives(this.#uploads))
    );
  }

  /** Levels that are survived. @throws PlacementError 'DomainRule' */
  async #assertRuleKept(): Promise<DomainLevel[]> {
    const survives = this.#placer.survives(this.#uploads);
    if (this.#placer.isRuleKept(survives)) return survives;
    const error = this.#placer.ruleBroken(survives);
    await this.abort();
    throw error;
  }

  #grace(quorumMs: number): number {
    const { patience, graceMsMin, graceMsMax } = this.#context.limits;
    return quorumMs + Math.min(graceMsMax, Math.max(graceMsMin, (patience - 1) * quorumMs));
  }

  #onChange(upload: ShardUpload): void {
    if (upload.state === 'failed' && upload.canBeSentAgain && !this.#aborted) {
      const handle = this.#placer.another(this.#uploads);
      if (handle) upload.start(handle);
    }
    this.#changed.notify();
  }

  async #assertQuorumPossible(): Promise<void> {
    const left = this.#count('sending') + this.#count('durable');
    if (left >= this.#quorum || !this.#isStarted) return;
    const failed = this.#uploads.filter(({ state }) => state === 'failed');
    const causes = failed.map(({ name, failure }) => `${name.index}: ${failure}`).join(', ');
    await this.abort();
    const kind = failed.every(({ failure }) => failure === 'NoSpace') ? 'NoSpace' : 'TooFewProviders';
    throw new PlacementError(kind, `only ${left} of ${this.#quorum} shards can be written (${causes})`);
  }

  #count(state: ShardUpload['state']): number {
    return this.#uploads.filter((upload) => upload.state === state).length;
  }

  #assertOpen(): void {
    if (this.#aborted || this.#isFinished)
      throw new PlacementError('Aborted', `chunk ${this.id} is not being written any more`);
  }

  async #discard(): Promise<void> {
    this.#context.open.delete(this);
    this.#stripe.clear();
    for (const upload of this.#uploads) {
      upload.release();
      upload.drop('Aborted');
    }
    this.#changed.notify();
    await this.#context.late.remove(this.id, this.#uploads);
  }
}
