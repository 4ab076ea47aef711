import type { ChunkId } from '../types.ts';

/** One shard that a provider holds by the chunk records. */
export interface SampledShard {
  readonly chunk: ChunkId;
  readonly index: number;
  /** Bytes of the shard. */
  readonly length: number;
  /** Not the shard itself is meant, but the canary beside it. */
  readonly canary: boolean;
}

const ID_BYTES = 16;
const FIRST_CAPACITY = 32;

/**
 * The `size` shards with the lowest keys of all that are added (bottom-k), in bounded, flat memory: 34 bytes a shard. With keys that are
 * a hash, that is a uniform sample.
 */
export class ShardSample {
  readonly #size: number;
  #count = 0;
  /** A key at or above it is not among the lowest. */
  #bound = Infinity;
  #keys = new Float64Array(FIRST_CAPACITY);
  #lengths = new Float64Array(FIRST_CAPACITY);
  #indexes = new Uint8Array(FIRST_CAPACITY);
  #canaries = new Uint8Array(FIRST_CAPACITY);
  #chunks = new Uint8Array(FIRST_CAPACITY * ID_BYTES);

  constructor(size: number) {
    this.#size = size;
  }

  /** @param chunk the 16 bytes of its id */
  add(key: number, chunk: Uint8Array, index: number, length: number, canary = false): void {
    if (key >= this.#bound) return;
    if (this.#count === this.#keys.length) this.#makeRoom();
    if (key >= this.#bound) return;
    const at = this.#count++;
    this.#keys[at] = key;
    this.#lengths[at] = length;
    this.#indexes[at] = index;
    this.#canaries[at] = canary ? 1 : 0;
    this.#chunks.set(chunk, at * ID_BYTES);
  }

  /** The lowest of what was added, in order of key. */
  seal(): SealedSample {
    const kept = this.#lowest();
    const chunks = new Uint8Array(kept.length * ID_BYTES);
    kept.forEach((from, to) => {
      chunks.set(this.#chunks.subarray(from * ID_BYTES, (from + 1) * ID_BYTES), to * ID_BYTES);
    });
    const lengths = Float64Array.from(kept, (at) => this.#lengths[at]!);
    return new SealedSample(
      chunks,
      Uint8Array.from(kept, (at) => this.#indexes[at]!),
      lengths,
      Uint8Array.from(kept, (at) => this.#canaries[at]!),
    );
  }

  #lowest(): number[] {
    const order = Array.from({ length: this.#count }, (_, at) => at);
    order.sort((a, b) => this.#keys[a]! - this.#keys[b]! || this.#indexes[a]! - this.#indexes[b]!);
    return order.slice(0, this.#size);
  }

  /** Up to twice the size is gathered before the rest is dropped, so that a shard costs little. */
  #makeRoom(): void {
    const isFull = this.#count >= 2 * this.#size;
    const kept = isFull ? this.#lowest() : Array.from({ length: this.#count }, (_, at) => at);
    const capacity = isFull ? this.#keys.length : Math.min(2 * this.#keys.length, 2 * this.#size);
    const { keys, lengths, indexes, canaries, chunks } = {
      keys: new Float64Array(Math.max(capacity, kept.length + 1)),
      lengths: new Float64Array(Math.max(capacity, kept.length + 1)),
      indexes: new Uint8Array(Math.max(capacity, kept.length + 1)),
      canaries: new Uint8Array(Math.max(capacity, kept.length + 1)),
      chunks: new Uint8Array(Math.max(capacity, kept.length + 1) * ID_BYTES),
    };
    kept.forEach((from, to) => {
      keys[to] = this.#keys[from]!;
      lengths[to] = this.#lengths[from]!;
      indexes[to] = this.#indexes[from]!;
      canaries[to] = this.#canaries[from]!;
      chunks.set(this.#chunks.subarray(from * ID_BYTES, (from + 1) * ID_BYTES), to * ID_BYTES);
    });
    if (isFull) this.#bound = keys[kept.length - 1]!;
    this.#count = kept.length;
    [this.#keys, this.#lengths] = [keys, lengths];
    [this.#indexes, this.#canaries, this.#chunks] = [indexes, canaries, chunks];
  }
}

/** A sample that a shard can be drawn from. */
export class SealedSample {
  readonly #chunks: Uint8Array;
  readonly #indexes: Uint8Array;
  readonly #lengths: Float64Array;
  readonly #canaries: Uint8Array;
  /** Bytes up to and with each shard. */
  readonly #ends: Float64Array;

  constructor(chunks: Uint8Array, indexes: Uint8Array, lengths: Float64Array, canaries: Uint8Array) {
    this.#chunks = chunks;
    this.#canaries = canaries;
    this.#indexes = indexes;
    this.#lengths = lengths;
    let end = 0;
    this.#ends = lengths.map((length) => (end += length));
  }

  get size(): number {
    return this.#lengths.length;
  }

  at(place: number): SampledShard {
    return {
      chunk: Buffer.from(this.#chunks.subarray(place * ID_BYTES, (place + 1) * ID_BYTES)).toString('hex'),
      index: this.#indexes[place]!,
      length: this.#lengths[place]!,
      canary: this.#canaries[place] === 1,
    };
  }

  /** Of the sample's bytes, and so of what is drawn from it. */
  get canaryShare(): number {
    const bytes = this.#lengths.reduce((sum, length, at) => sum + length * this.#canaries[at]!, 0);
    return this.size === 0 ? 0 : bytes / this.#ends[this.size - 1]!;
  }

  /** Place of the shard that holds this fraction of the sample's bytes: long shards come up more often. Not for an empty sample. */
  placeAt(fraction: number): number {
    const sought = fraction * this.#ends[this.size - 1]!;
    let [low, high] = [0, this.size - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ends[middle]! > sought) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
