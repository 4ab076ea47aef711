import { createHasher, LEAF_BYTES } from '#erasure';
import type { BucketObjects } from './s3BucketObjects.ts';
import { readTail, ShardTails, type ShardTail } from './s3BucketTails.ts';
import { leafRange, shardLengthOf, TRAILER_BYTES } from './shardFile.ts';
import { TransportError, type ShardSeal, type ShardSlice } from '../types.ts';

/** What is stored under a name, beside a shard that should be: 'broken' is none, or one whose bytes have not its own root. */
type Standing = 'absent' | 'same' | 'other' | 'broken';

const hasher = createHasher();
/** End of an object that is asked for where its length is not known: enough for the leaf hashes of 16 MiB. */
const TAIL_BYTES = 32 * 1024 + TRAILER_BYTES;

/** Leaves of the shards in a bucket. */
export class BucketReader {
  readonly #objects: BucketObjects;
  readonly #tails = new ShardTails();

  constructor(objects: BucketObjects) {
    this.#objects = objects;
  }

  /** @throws TransportError */
  async slice(
    key: string,
    first: number,
    count: number,
    signal: AbortSignal | undefined,
  ): Promise<ShardSlice> {
    const tail = this.#tails.get(key);
    if (tail) {
      const { start, end } = rangeOf(tail, first, count);
      const { bytes, size } = await this.#objects.range(key, `${start}-${end - 1}`, end - start, signal);
      if (size === tail.size && bytes.length === end - start) return sliceOf(tail, first, count, bytes);
      this.forget(key);
    }
    return this.sliceAnew(key, first, count, signal);
  }

  /** As if nothing was known of the object: its leaves and its end are asked for at once. @throws TransportError */
  async sliceAnew(
    key: string,
    first: number,
    count: number,
    signal: AbortSignal | undefined,
  ): Promise<ShardSlice> {
    const from = first * LEAF_BYTES;
    const wanted = count * LEAF_BYTES;
    const [head, end] = await Promise.all([
      this.#objects.range(key, `${from}-${from + wanted - 1}`, wanted, signal),
      this.#objects.range(key, `-${TAIL_BYTES}`, TAIL_BYTES, signal),
    ]);
    const { size } = end;
    const length = shardLengthOf(size);
    if (length === undefined || head.size !== size || head.start !== from) {
      throw new TransportError('Corrupt', `no shard has an object of ${size} bytes`);
    }
    const known = end.bytes.subarray(Math.max(0, length - end.start));
    const rest = end.start - length;
    const before =
      rest > 0 ? await this.#objects.range(key, `${length}-${end.start - 1}`, rest, signal) : undefined;
    const tail = readTail(before ? Buffer.concat([before.bytes, known]) : known, length, size);
    const range = rangeOf(tail, first, count);
    const bytes = head.bytes.subarray(0, range.end - range.start);
    if (bytes.length < range.end - range.start) throw new TransportError('Corrupt', 'the object is torn');
    this.#tails.set(key, tail);
    return sliceOf(tail, first, count, bytes);
  }

  /** How what is stored compares with the shard of this seal. */
  async standing(key: string, { root }: ShardSeal, signal: AbortSignal | undefined): Promise<Standing> {
    const size = await this.#objects.sizeOf(key, signal);
    if (size === undefined) return 'absent';
    const length = shardLengthOf(size);
    if (length === undefined) return 'broken';
    const tree = hasher.tree();
    let at = 0;
    const end: Buffer[] = [];
    await this.#objects.read(
      key,
      size,
      (piece) => {
        const ofShard = Math.max(0, Math.min(piece.length, length - at));
        tree.update(piece.subarray(0, ofShard));
        if (ofShard < piece.length) end.push(piece.subarray(ofShard));
        at += piece.length;
      },
      signal,
    );
    const found = tree.finish().root;
    const trailer = Buffer.concat(end).subarray(-root.length);
    if (at !== size || Buffer.compare(found, trailer) !== 0) return 'broken';
    return Buffer.compare(found, root) === 0 ? 'same' : 'other';
  }

  /** The object has been changed or removed. */
  forget(key: string): void {
    this.#tails.delete(key);
  }
}

/** @throws TransportError 'Corrupt' */
function rangeOf({ seal }: ShardTail, first: number, count: number): { start: number; end: number } {
  const range = leafRange(seal.length, first, count);
  if (range) return range;
  throw new TransportError(
    'Corrupt',
    `a shard of ${seal.length} bytes has no leaves [${first}, ${first + count})`,
  );
}

function sliceOf({ prover }: ShardTail, first: number, count: number, bytes: Uint8Array): ShardSlice {
  return { first, bytes, proof: prover.proof(first, count) };
}
