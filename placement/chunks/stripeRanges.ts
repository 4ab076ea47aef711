import type { ChunkLayout, Profile } from '#erasure';

/** Bytes [start, end). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The part of a range of a chunk that lies in one stripe: for each data shard that it touches, which bytes of the shard. */
export interface StripePart {
  readonly shards: readonly (ByteRange & { readonly index: number })[];
}

/** The parts, in order, of bytes [offset, offset + length) of a chunk. */
export function* stripeParts(
  layout: ChunkLayout,
  { data }: Profile,
  offset: number,
  length: number,
): Generator<StripePart, undefined> {
  const end = offset + length;
  for (let at = offset; at < end;) {
    const stripe = Math.floor(at / (layout.cell * data));
    const cell = stripe < layout.fullStripes ? layout.cell : layout.lastCell;
    const begin = stripe * layout.cell * data;
    const to = Math.min(end, begin + cell * data);
    yield partOf(stripe * layout.cell, cell, at - begin, to - begin);
    at = to;
  }
}

/** @param base where the stripe begins in every shard; @param from,to bytes of the stripe's data */
function partOf(base: number, cell: number, from: number, to: number): StripePart {
  const first = Math.floor(from / cell);
  const last = Math.floor((to - 1) / cell);
  return {
    shards: Array.from({ length: last - first + 1 }, (_, step) => {
      const index = first + step;
      const start = base + Math.max(0, from - index * cell);
      const end = base + Math.min(cell, to - index * cell);
      return { index, start, end };
    }),
  };
}

/** The smallest range that has all of them in it. @param ranges at least one */
export function hull(ranges: readonly ByteRange[]): ByteRange {
  return {
    start: Math.min(...ranges.map(({ start }) => start)),
    end: Math.max(...ranges.map(({ end }) => end)),
  };
}

export function covers(outer: ByteRange, inner: ByteRange): boolean {
  return outer.start <= inner.start && outer.end >= inner.end;
}
