import type { ShardUpload } from './shardUpload.ts';
import { Wakeup } from '../time.ts';
import type { WriteLimits } from './writeLimits.ts';
import type { ChunkId, Clock, TransportErrorKind } from '../types.ts';

/** Bounds what stalled providers can hold of this process: each late upload keeps a cell or two. */
const LATE_MAX = 128;

/** Told of late uploads that have come to nothing. */
export interface LateEvents {
  /** The provider has been told to drop what it may have of the shard. Must not reject. */
  failed(chunk: ChunkId, index: number, failure: TransportErrorKind): Promise<void>;
  /** After that, once no upload of the chunk is under way any more. Must not throw. */
  ended(chunk: ChunkId): void;
}

/** Uploads that outlive their writer: shards on their way after the quorum, and those of given up chunks. */
export class LateWrites {
  readonly #clock: Clock;
  readonly #limits: Pick<WriteLimits, 'lateMs' | 'stopMs'>;
  readonly #events: LateEvents;
  readonly #uploads = new Map<ChunkId, Set<ShardUpload>>();
  /** Chunks that have, or will have, a record, and late uploads. */
  readonly #late = new Set<ChunkId>();
  #count = 0;

  constructor(clock: Clock, limits: Pick<WriteLimits, 'lateMs' | 'stopMs'>, events: LateEvents) {
    this.#clock = clock;
    this.#limits = limits;
    this.#events = events;
  }

  /** Whether a shard may still become durable, or be removed after its failure, where the chunk's record places it. */
  isUploading(chunk: ChunkId): boolean {
    return this.#late.has(chunk);
  }

  /** Lets uploads go on until they end or their time is over. */
  add(chunk: ChunkId, uploads: readonly ShardUpload[]): void {
    if (uploads.length === 0) return;
    for (const upload of uploads) this.#track(chunk, upload);
    void this.#follow(chunk, uploads);
  }

  /** Removes what uploads of a chunk without a record have stored; goes on in the background where providers hang. */
  async remove(chunk: ChunkId, uploads: readonly ShardUpload[]): Promise<void> {
    for (const upload of uploads) this.#track(chunk, upload);
    await this.#within(Promise.all(uploads.map((upload) => upload.remove())));
  }

  /** Ends the uploads of a chunk; resolves when none of them can store anything any more, or when one hangs. */
  async cancel(chunk: ChunkId): Promise<void> {
    const uploads = [...(this.#uploads.get(chunk) ?? [])];
    for (const upload of uploads) upload.drop('Aborted');
    await this.#within(Promise.all(uploads.map((upload) => upload.settled())));
  }

  /** Ends all uploads. */
  async close(): Promise<void> {
    await Promise.all([...this.#uploads.keys()].map((chunk) => this.cancel(chunk)));
  }

  /** Never rejects. */
  async #follow(chunk: ChunkId, uploads: readonly ShardUpload[]): Promise<void> {
    this.#late.add(chunk);
    const failed = await Promise.all(
      uploads.map(async (upload) => {
        await this.#end(upload);
        return await this.#settleFailure(chunk, upload);
      }),
    );
    this.#late.delete(chunk);
    if (failed.includes(true)) this.#events.ended(chunk);
  }

  /** Resolves when the upload has ended, or was told to and has had its time for that. */
  async #end(upload: ShardUpload): Promise<void> {
    const settled = upload.settled();
    const timer = new AbortController();
    const limit = this.#count > LATE_MAX ? 0 : this.#limits.lateMs;
    const late = this.#clock.sleep(limit, timer.signal).then(
      () => upload.drop('Timeout'),
      () => undefined,
    );
    await Promise.race([settled, late]);
    timer.abort(SETTLED);
    await this.#within(settled);
  }

  /**
   * A provider that honestly does not have a shard must not stand in a record for it. It may have one all the same, after a lost answer, or
   * remove it in a while: it is told to now, so that what an examination finds afterwards stays true.
   */
  async #settleFailure(chunk: ChunkId, upload: ShardUpload): Promise<boolean> {
    const { state, failure } = upload;
    // Given up for the sake of a delete, or of the end of this process, after which the entry that the record came with is there.
    if (state !== 'failed' || failure === undefined || failure === 'Aborted') return false;
    await this.#within(upload.removeFailed());
    await this.#events.failed(chunk, upload.name.index, failure);
    return true;
  }

  #track(chunk: ChunkId, upload: ShardUpload): void {
    const uploads = this.#uploads.get(chunk) ?? new Set();
    this.#uploads.set(chunk, uploads.add(upload));
    this.#count++;
    void this.#untrack(chunk, upload);
  }

  async #untrack(chunk: ChunkId, upload: ShardUpload): Promise<void> {
    await upload.settled();
    this.#count--;
    const uploads = this.#uploads.get(chunk);
    uploads?.delete(upload);
    if (uploads?.size === 0) this.#uploads.delete(chunk);
  }

  async #within(work: Promise<unknown>): Promise<void> {
    const ended = new Wakeup();
    void work.then(() => ended.notify());
    await ended.wait(this.#clock, this.#limits.stopMs);
  }
}

/** Made once: an AbortController's own reason costs a stack trace. */
const SETTLED = new Error('settled');
