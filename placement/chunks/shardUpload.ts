import { ShardFeed } from './shardFeed.ts';
import type { Cell } from './stripeMemory.ts';
import {
  TransportError,
  type Clock,
  type ProviderHandle,
  type ProviderInfo,
  type Providers,
  type ShardName,
  type ShardSeal,
  type TransportErrorKind,
} from '../types.ts';

export type UploadState = 'unplaced' | 'sending' | 'durable' | 'failed';

interface Attempt {
  readonly handle: ProviderHandle;
  readonly feed: ShardFeed;
  readonly abort: AbortController;
  /** Resolves when the transport is done, to true when something may be stored there. */
  readonly settled: Promise<boolean>;
}

/** One shard of a chunk on its way to a provider, or, when that fails early, to another. */
export class ShardUpload {
  readonly name: ShardName;
  readonly #providers: Providers;
  readonly #clock: Clock;
  readonly #onChange: (upload: ShardUpload) => void;
  readonly #attempts: Attempt[] = [];
  /** The last of them. */
  #attempt: Attempt | undefined;
  #state: UploadState = 'unplaced';
  #failure: TransportErrorKind | undefined;
  /** All cells so far, as long as they are few enough to be sent again. */
  #kept: Cell[] | undefined = [];
  #seal: ShardSeal | undefined;
  /** When the wait for the provider alone began: with the last byte, or with a later attempt. */
  #waitingSince: number | undefined;

  /** @param onChange called when the state has changed or a cell was taken */
  constructor(name: ShardName, providers: Providers, clock: Clock, onChange: (upload: ShardUpload) => void) {
    this.name = name;
    this.#providers = providers;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get state(): UploadState {
    return this.#state;
  }

  /** Why the last attempt failed. */
  get failure(): TransportErrorKind | undefined {
    return this.#failure;
  }

  /** Where the shard is or is going; undefined when it is nowhere. */
  get provider(): ProviderInfo | undefined {
    const isPlaced = this.#state === 'sending' || this.#state === 'durable';
    return isPlaced ? this.#attempt?.handle.info : undefined;
  }

  /** Providers that were tried, the present one included. */
  get tried(): readonly ProviderInfo[] {
    return this.#attempts.map(({ handle }) => handle.info);
  }

  /** False when cells that a new provider would need are gone. */
  get canBeSentAgain(): boolean {
    return this.#kept !== undefined;
  }

  /** Cells that the provider has not taken in yet. */
  get backlog(): number {
    return this.#state === 'sending' ? this.#attempt!.feed.pending : 0;
  }

  get seal(): ShardSeal {
    return this.#seal!;
  }

  /** Sends what there is of the shard to a provider. */
  start(handle: ProviderHandle): void {
    const cells = this.#kept ?? [];
    // The feed gives each cell back once; the first attempt's are counted from the beginning.
    if (this.#attempts.length > 0) for (const cell of cells) cell.retain();
    const feed = new ShardFeed(cells, this.#seal, () => this.#onChange(this));
    const abort = new AbortController();
    this.#state = 'sending';
    this.#waitingSince = this.#clock.now();
    // The next turn: a transport that fails at once must find the attempt in its place.
    const put = Promise.resolve().then(() => handle.transport.put(this.name, feed, abort.signal));
    this.#attempt = { handle, feed, abort, settled: this.#follow(put, handle) };
    this.#attempts.push(this.#attempt);
  }

  push(cell: Cell): void {
    // Only one stripe's memory is kept, so from the second on there is no way back.
    if (this.#kept?.length === 0) {
      cell.retain();
      this.#kept.push(cell);
    } else {
      this.release();
    }
    if (this.#state === 'sending') this.#attempt!.feed.push(cell);
  }

  /** No more cells follow. */
  close(seal: ShardSeal): void {
    this.#seal = seal;
    this.#waitingSince = this.#clock.now();
    if (this.#state === 'sending') this.#attempt!.feed.close(seal);
  }

  /** Gives the present attempt up. It may still come to store the shard. */
  drop(failure: TransportErrorKind): void {
    if (this.#state !== 'sending') return;
    const { handle, feed, abort } = this.#attempt!;
    const error = new TransportError(failure, 'the writer gave this shard up');
    abort.abort(error);
    feed.fail(error);
    this.#providers.report(handle.info.id, { kind: 'write', latencyMs: this.#waited(), failure });
    this.#change('failed', failure);
  }

  /** Says that the provider is late, without giving it up. */
  chargeDelay(): void {
    const { id } = this.#attempt!.handle.info;
    this.#providers.report(id, { kind: 'write', latencyMs: this.#waited(), failure: 'Timeout' });
  }

  /** The shard will not be sent again: lets go of its memory. */
  release(): void {
    for (const cell of this.#kept ?? []) cell.release();
    this.#kept = undefined;
  }

  /** Resolves when no attempt is under way any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#attempts.map(({ settled }) => settled));
  }

  /** Removes whatever attempts have stored or will store yet. For a chunk that gets no record. */
  async remove(): Promise<void> {
    await Promise.all(
      this.#attempts.map(async ({ handle, settled }) => {
        if (await settled) await handle.transport.delete(this.name).catch(() => undefined);
      }),
    );
  }

  /** Removes what the failed attempt may have left, as well as can be. A conflict is with a shard that is not ours to remove. */
  async removeFailed(): Promise<void> {
    const { handle } = this.#attempt!;
    if (this.#failure !== 'Conflict') await handle.transport.delete(this.name).catch(() => undefined);
  }

  async #follow(put: Promise<void>, handle: ProviderHandle): Promise<boolean> {
    try {
      await put;
    } catch (error) {
      const kind = error instanceof TransportError ? error.kind : 'Unavailable';
      if (this.#isCurrent(handle)) {
        this.#providers.report(handle.info.id, { kind: 'write', latencyMs: this.#waited(), failure: kind });
        this.#change('failed', kind);
      }
      // A conflict is with a shard that is not ours to remove; after a lost answer it may be stored all the same.
      return kind === 'Unavailable' || kind === 'Timeout';
    }
    if (this.#isCurrent(handle)) {
      this.#attempt!.feed.end();
      this.#providers.report(handle.info.id, { kind: 'write', latencyMs: this.#waited() });
      this.#change('durable', undefined);
    }
    return true;
  }

  #isCurrent(handle: ProviderHandle): boolean {
    return this.#state === 'sending' && this.#attempt!.handle === handle;
  }

  #change(state: UploadState, failure: TransportErrorKind | undefined): void {
    this.#state = state;
    this.#failure = failure;
    if (state === 'durable') this.release();
    this.#onChange(this);
  }

  #waited(): number {
    return this.#clock.now() - (this.#waitingSince ?? this.#clock.now());
  }
}
