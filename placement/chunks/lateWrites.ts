import type { ShardUpload } from './shardUpload.ts';
import { Wakeup } from '../time.ts';
import type { WriteLimits } from './writeLimits.ts';
import type { ChunkId, Clock } from '../types.ts';

/** Bounds what stalled providers can hold of this process: each late upload keeps a cell or two. */
const LATE_MAX = 128;

/** Uploads that outlive their writer: shards on their way after the quorum, and those of given up chunks. */
export class LateWrites {
  readonly #clock: Clock;
  readonly #limits: Pick<WriteLimits, 'lateMs' | 'stopMs'>;
  readonly #uploads = new Map<ChunkId, Set<ShardUpload>>();
  #count = 0;

  constructor(clock: Clock, limits: Pick<WriteLimits, 'lateMs' | 'stopMs'>) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Lets uploads go on until they end or their time is over. */
  add(chunk: ChunkId, uploads: readonly ShardUpload[]): void {
    for (const upload of uploads) {
      this.#track(chunk, upload);
      const timer = new AbortController();
      const limit = this.#count > LATE_MAX ? 0 : this.#limits.lateMs;
      this.#clock.sleep(limit, timer.signal).then(
        () => upload.drop('Timeout'),
        () => undefined,
      );
      void upload.settled().then(() => timer.abort(new Error('settled')));
    }
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
