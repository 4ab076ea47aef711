import { TransportError, type ChunkId, type ProviderId, type ShardTransport } from '../types.ts';

/** Chunks of which strays are remembered; the oldest are left to the sweep of orphans. */
const CHUNKS_MAX = 16_384;

/** Where shards may lie that no record names: a put or a delete there has failed. As good as memory allows. */
export class Strays {
  readonly #chunks = new Map<ChunkId, Set<ProviderId>>();

  of(chunk: ChunkId): readonly ProviderId[] {
    return [...(this.#chunks.get(chunk) ?? [])];
  }

  note(chunk: ChunkId, provider: ProviderId): void {
    const providers = this.#chunks.get(chunk);
    if (providers) {
      providers.add(provider);
      return;
    }
    this.#chunks.set(chunk, new Set([provider]));
    if (this.#chunks.size > CHUNKS_MAX) this.#chunks.delete(this.#chunks.keys().next().value!);
  }

  forget(chunk: ChunkId, provider: ProviderId): void {
    const providers = this.#chunks.get(chunk);
    if (providers?.delete(provider) && providers.size === 0) this.#chunks.delete(chunk);
  }
}

/** Counts the puts under way at one provider, and notes which of its puts and deletes have failed. */
export class PutWatch {
  readonly #provider: ProviderId;
  readonly #strays: Strays;
  #open = 0;

  constructor(provider: ProviderId, strays: Strays) {
    this.#provider = provider;
    this.#strays = strays;
  }

  /** Puts that have not settled. */
  get open(): number {
    return this.#open;
  }

  /** The same transport, watched. */
  over(inner: ShardTransport): ShardTransport {
    return {
      put: async (name, source, signal) => {
        this.#open++;
        try {
          await inner.put(name, source, signal);
        } catch (error) {
          if (mayHaveStored(error)) this.#strays.note(name.chunk, this.#provider);
          throw error;
        } finally {
          this.#open--;
        }
      },
      delete: async (name, signal) => {
        try {
          await inner.delete(name, signal);
        } catch (error) {
          this.#strays.note(name.chunk, this.#provider);
          throw error;
        }
        this.#strays.forget(name.chunk, this.#provider);
      },
      get: (...all) => inner.get(...all),
      prove: (name, leaf, signal) => inner.prove(name, leaf, signal),
      list: (after, limit, signal) => inner.list(after, limit, signal),
      space: (signal) => inner.space(signal),
      close: () => inner.close(),
    };
  }
}

/** What breaks off while the shard is on its way cannot be known to have left nothing. A refusal has. */
function mayHaveStored(error: unknown): boolean {
  if (!(error instanceof TransportError)) return true;
  return error.kind === 'Unavailable' || error.kind === 'Timeout' || error.kind === 'Aborted';
}
