/** Where a body's plaintext lies. Pure. */
import type { ChunkId } from '#placement';
import { cipherRange } from './encryption.ts';
import type { BodyPart, Extent, Hex, PartSummary, Segment, StoredBody } from './model.ts';
import { NO_BYTES } from './model.ts';
import { bodyCodec } from './codecs.ts';

export const segmentsOf = (parts: readonly BodyPart[]): Segment[] => parts.flatMap((part) => part.segments);
export const lengthOf = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { start, end }) => sum + end - start, 0);

/** Segments of the plaintext [start, end) of a run of segments, with no more extents than it needs. */
export function slice(segments: readonly Segment[], start: number, end: number): Segment[] {
  const slices: Segment[] = [];
  let at = 0;
  for (const segment of segments) {
    const length = segment.end - segment.start;
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, length);
    at += length;
    if (from >= to) continue;
    slices.push(from === 0 && to === length ? segment : sliceOne(segment, from, to));
  }
  return slices;
}

function sliceOne(segment: Segment, from: number, to: number): Segment {
  const start = segment.start + from;
  const end = segment.start + to;
  const cipher = cipherRange(start, end, segment.plainLength);
  return { ...segment, start, end, cipherStart: cipher.start, extents: extentsOf(segment, cipher) };
}

/** The extents that hold the ciphertext [start, end) of a segment's body. */
export function extentsOf(segment: Segment, range: { start: number; end: number }): Extent[] {
  const extents: Extent[] = [];
  let at = segment.cipherStart;
  for (const { chunk, offset, length } of segment.extents) {
    const from = Math.max(range.start - at, 0);
    const to = Math.min(range.end - at, length);
    at += length;
    if (from < to) extents.push({ chunk, offset: offset + from, length: to - from });
  }
  return extents;
}

export function chunksOf(parts: readonly BodyPart[]): ChunkId[] {
  const ids = new Set<ChunkId>();
  for (const { segments } of parts) {
    for (const { extents } of segments) for (const { chunk } of extents) ids.add(chunk);
  }
  return [...ids];
}

export const summariesOf = (parts: readonly BodyPart[]): PartSummary[] =>
  parts.flatMap((part) => (part.summary ? [part.summary] : []));

/** Bytes of an inline body; none for an empty one. */
export const inlineBody = (parts: readonly BodyPart[]): Uint8Array =>
  parts.length === 0 || (parts.length === 1 && parts[0]!.segments.length === 0 && !parts[0]!.summary)
    ? NO_BYTES
    : bodyCodec.encode({ kind: 'inline', parts });

export const storedBody = (bytes: Uint8Array): StoredBody =>
  bytes.length === 0 ? { kind: 'inline', parts: [] } : bodyCodec.decode(bytes);

/** The id under which a body is pinned, and becomes garbage. Undefined: it has nothing to clean. */
export function bodyIdOf(body: StoredBody): Hex | undefined {
  return body.kind === 'paged' ? body.id : body.parts[0]?.owner;
}
