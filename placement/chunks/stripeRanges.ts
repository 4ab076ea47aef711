import { CELL_BYTES, type ChunkLayout, type Profile } from '#erasure';

/** Bytes [start, end). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Bytes [start, end) of a data shard. */
type ShardRange = ByteRange & { readonly index: number };

/** The part of a range of a chunk that lies in some stripes in a row. */
export interface StripePart {
  /** For each data shard that it touches, which bytes of the shard. */
  readonly shards: readonly ShardRange[];
  /** The same bytes in the order of the chunk: a piece for each cell. */
  readonly cells: readonly ShardRange[];
}

/** Bytes of a cell that stripes are read together up to: short stripes, as of a crowd or at a chunk's end, would be a call each. */
const CELLS_BYTES_MAX = 1.25 * CELL_BYTES;

/** The parts, in order, of bytes [offset, offset + length) of a chunk: as many stripes each as one call to a provider may well give. */
export function* stripeParts(
  { cell, fullStripes, lastCell }: ChunkLayout,
  { data }: Profile,
  offset: number,
  length: number,
): Generator<StripePart, undefined> {
  const end = offset + length;
  for (let at = offset; at < end;) {
    const cells: ShardRange[] = [];
    for (let width = 0; at < end;) {
      const stripe = Math.floor(at / (cell * data));
      const own = stripe < fullStripes ? cell : lastCell;
      width += own;
      if (cells.length > 0 && width > CELLS_BYTES_MAX) break;
      const begin = stripe * cell * data;
      const to = Math.min(end, begin + own * data);
      cells.push(...cellsOf(stripe * cell, own, at - begin, to - begin));
      at = to;
    }
    yield { shards: joined(cells), cells };
  }
}

/** @param base where the stripe begins in every shard; @param from,to bytes of the stripe's data */
function cellsOf(base: number, cell: number, from: number, to: number): ShardRange[] {
  const first = Math.floor(from / cell);
  const last = Math.floor((to - 1) / cell);
  return Array.from({ length: last - first + 1 }, (_, step) => {
    const index = first + step;
    const start = base + Math.max(0, from - index * cell);
    const end = base + Math.min(cell, to - index * cell);
    return { index, start, end };
  });
}

/** A shard's cells of stripes in a row lie in a row, too. */
function joined(cells: readonly ShardRange[]): ShardRange[] {
  const shards = new Map<number, ShardRange>();
  for (const { index, start, end } of cells) {
    const before = shards.get(index);
    shards.set(index, { index, start: before?.start ?? start, end });
  }
  return [...shards.values()];
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
