import { chunkLayout, createHasher, LEAF_BYTES } from '#erasure';
import type { ChunkCatalog, ChunkId, ProviderId } from '../types.ts';
import type { SampledShard } from './shardSample.ts';

const hasher = createHasher();
const hash = (...parts: readonly Uint8Array[]): Buffer => Buffer.from(hasher.hash(Buffer.concat(parts)));
/** Eras that a canary has one name: the log tells of it after the first. Names do not change together, so that a new one shows nothing. */
const LIFE_ERAS = 24;
/** Names that are tried: those of a run of ids, one of which is the model's. */
const RUN = 16;
/** Of an id: where its chunk is at home, and who made it (see the engine's sessions). Ids that share it are numbered. */
const SERIES_DIGITS = 20;
/** Places in a digest that six bytes can be read at: each gives another number, so that one hash serves all shards of a chunk. */
const PLACES = 27;
/** Leaves of a canary where no real shard shows what is usual. */
const LEAVES_MAX = 64;

/** A number in [0, 2^48) for one shard of a chunk, of the chunk's digest. */
export function keyOf(digest: Buffer, index: number): number {
  return digest.readUIntBE(index % PLACES, 6);
}

/**
 * Shards that a provider does not hold, and that look as if it did. Each stands beside a shard that it does hold, as long as that one, and
 * takes its length and index from it; its name is of the same series of ids. So canaries are sampled, drawn and met again just as shards
 * are, by all monitors alike, and only the gateway's secret tells which they are.
 */
export class Canaries {
  readonly #secret: Uint8Array;
  readonly #era: number;
  readonly #bound: number;

  /**
   * @param secret 32 bytes of the gateway's own
   * @param share of all that is asked
   */
  constructor(secret: Uint8Array, era: number, share: number) {
    this.#secret = secret;
    this.#era = era;
    this.#bound = (share / (1 - share)) * 2 ** 48;
  }

  /** @param chunk the 16 bytes of its id */
  digestOf(chunk: Uint8Array): Buffer {
    return hash(this.#secret, chunk);
  }

  /** Is there a canary beside the shard whose key in its chunk's digest this is? */
  standsBeside(key: number): boolean {
    return key < this.#bound;
  }

  /** The same each time. 64 hex digits. */
  rootOf(chunk: ChunkId, index: number): string {
    return hash(this.#secret, Buffer.from(`root ${chunk} ${index}`)).toString('hex');
  }

  /**
   * The id that the canary beside a provider's shard goes by. Best is the id of a chunk that is gone, for ids are not used twice; then that of
   * one with no shard there; then with another shard there. An id beyond all others would stand out, and so would, to who compares, that of
   * a chunk whose shards have another length.
   */
  async nameBeside(
    catalog: ChunkCatalog,
    provider: ProviderId,
    { chunk, index, length }: SampledShard,
  ): Promise<ChunkId> {
    let best: { readonly id: ChunkId; readonly rank: number } | undefined;
    for (const id of this.#runOf(chunk)) {
      const rank = await rankOf(catalog, provider, id, { index, length });
      if (rank < (best?.rank ?? Infinity)) best = { id, rank };
      if (rank === 0) break;
    }
    return best!.id;
  }

  /** For a provider that holds nothing. */
  madeUp(provider: ProviderId): SampledShard {
    const drawn = hash(this.#secret, Buffer.from(`${provider} ${Math.floor(this.#era / LIFE_ERAS)}`));
    const chunk = `0000${drawn.toString('hex', 0, 14)}`;
    return { chunk, index: 0, length: LEAF_BYTES * (1 + (drawn[14]! % LEAVES_MAX)), canary: true };
  }

  /** The ids around one, without it, in an order that lasts for the canary's life. */
  #runOf(chunk: ChunkId): ChunkId[] {
    const digest = this.digestOf(Buffer.from(chunk, 'hex'));
    const life = Math.floor((this.#era + digest.readUInt16BE(30)) / LIFE_ERAS);
    const drawn = hash(digest, Buffer.from(`canary ${life}`));
    const last = Number.parseInt(chunk.slice(-1), 16);
    return Array.from({ length: RUN }, (_, digit) => digit)
      .filter((digit) => digit !== last)
      .sort((a, b) => drawn[a]! - drawn[b]! || a - b)
      .map((digit) => chunk.slice(0, -1) + digit.toString(16));
  }
}

async function rankOf(
  catalog: ChunkCatalog,
  provider: ProviderId,
  id: ChunkId,
  { index, length }: Pick<SampledShard, 'index' | 'length'>,
): Promise<number> {
  const record = await catalog.get(id);
  if (record === undefined) {
    const [next] = await catalog.list(id, 1);
    return next?.id.startsWith(id.slice(0, SERIES_DIGITS)) ? 0 : 3;
  }
  if (chunkLayout(record.length, record.profile, record.cell).shardLength !== length) return 6;
  const held = record.shards.findIndex((place) => place?.provider === provider);
  if (held === -1) return index < record.shards.length ? 1 : 4;
  return held === index ? 5 : 2;
}
