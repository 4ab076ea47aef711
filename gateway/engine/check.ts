/** Reads every byte of every object version and compares it with what its metadata says. */
import type { Progress } from '#placement';
import { allBuckets } from './buckets.ts';
import { createDigests } from './checksums.ts';
import { chunkCodec, versionCodec } from './codecs.ts';
import type { Context } from './context.ts';
import {
  chunkKey,
  decodeKey,
  homeOf,
  inBucket,
  KIND,
  OBJECT_KEY_AT,
  prefixRange,
  SEQUENCE_BYTES,
} from './keys.ts';
import type { BodyPart, Segment, VersionRecord } from './model.ts';
import { loadParts } from './pages.ts';
import { ReadCache } from './readCache.ts';
import { streamSegments } from './reader.ts';
import { scanPages } from './scan.ts';
import { bodyIdOf, lengthOf, segmentsOf, storedBody } from './segments.ts';

const PAGE = 100;

interface CheckProblem {
  readonly bucket: string;
  readonly key: string;
  readonly versionId: string;
  readonly reason: string;
}

interface CheckReport {
  /** Versions looked at, delete markers left out. */
  readonly versions: number;
  readonly bytes: number;
  /** Versions under customers' keys: their ciphertext was read, their plaintext cannot be. */
  readonly sealed: number;
  readonly problems: readonly CheckProblem[];
}

export type CheckObjects = (
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
) => Promise<CheckReport>;

interface Found {
  readonly bucket: string;
  readonly key: string;
  readonly partition: number;
  readonly entry: Uint8Array;
}

export const createCheck =
  (given: Context): CheckObjects =>
  async (onProgress, signal) => {
    // What the providers have is asked for, not what was read from them lately.
    const context = { ...given, cache: new ReadCache(0) };
    const problems: CheckProblem[] = [];
    let versions = 0;
    let bytes = 0;
    let sealed = 0;
    for await (const found of allVersions(context)) {
      signal?.throwIfAborted();
      const looked = await context.pins.resolving(() => pinVersion(context, found));
      if (!looked || looked.record.deleteMarker) continue;
      const { record, release } = looked;
      try {
        const reason = await problemOf(context, found.partition, record, signal);
        const { bucket, key } = found;
        if (reason) problems.push({ bucket, key, versionId: record.versionId, reason });
      } finally {
        release();
      }
      versions++;
      bytes += record.size;
      if (record.customerKeyMd5 !== undefined) sealed++;
      onProgress?.({ job: 'check', done: versions, total: undefined, bytes });
    }
    return { versions, bytes, sealed, problems };
  };

async function* allVersions(context: Context): AsyncIterable<Found> {
  for await (const { name, record } of allBuckets(context)) {
    for (let partition = 0; partition < context.kv.partitions; partition++) {
      for (const kind of [KIND.current, KIND.version] as const) {
        const range = prefixRange(inBucket(kind, record.id));
        for await (const page of scanPages(context.kv, partition, range, PAGE)) {
          for (const [entry] of page) yield { bucket: name, key: keyOf(entry, kind), partition, entry };
        }
      }
    }
  }
}

function keyOf(entry: Uint8Array, kind: number): string {
  const suffix = kind === KIND.version ? 1 + SEQUENCE_BYTES : 0;
  return decodeKey(entry.subarray(OBJECT_KEY_AT, entry.length - suffix));
}

/** The version as it is now, kept from reclaim; undefined when it has gone. */
async function pinVersion(
  context: Context,
  { partition, entry }: Found,
): Promise<{ record: VersionRecord; release: () => void } | undefined> {
  const value = await context.kv.get(partition, entry);
  if (!value) return undefined;
  const record = versionCodec.decode(value);
  const id = bodyIdOf(storedBody(record.body));
  return { record, release: id === undefined ? () => undefined : context.pins.pin(id) };
}

async function problemOf(
  context: Context,
  partition: number,
  record: VersionRecord,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const parts = await loadParts(context, partition, storedBody(record.body));
    const length = lengthOf(segmentsOf(parts));
    if (length !== record.size) return `it has ${length} bytes and should have ${record.size}`;
    for (const part of parts) {
      const reason = await problemOfPart(context, record, part, signal);
      if (reason) return reason;
    }
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    return error instanceof Error ? error.message : String(error);
  }
}

async function problemOfPart(
  context: Context,
  record: VersionRecord,
  { summary, segments }: BodyPart,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (record.customerKeyMd5 !== undefined) {
    for (const segment of segments) await readSealed(context, segment, signal);
    return undefined;
  }
  const digests = createDigests();
  let size = 0;
  for await (const bytes of streamSegments(context, segments, undefined, signal, 'leaves')) {
    digests.update(bytes);
    size += bytes.length;
  }
  const expected = summary ?? record;
  if (size !== expected.size) return `${size} bytes were read in place of ${expected.size}`;
  const { md5 } = digests.finish();
  return md5 === expected.etag ? undefined : `its MD5 is ${md5} and should be ${expected.etag}`;
}

/** Reads ciphertext: every shard it needs is verified on the way. */
async function readSealed(
  context: Context,
  { extents }: Segment,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { chunk, offset, length } of extents) {
    const value = await context.kv.get(homeOf(chunk), chunkKey(chunk));
    if (!value) throw new Error(`Chunk ${chunk} has no record`);
    let left = length;
    const bytes = context.chunks.read(chunkCodec.decode(value).record, offset, length, signal);
    for await (const piece of bytes) left -= piece.length;
    if (left !== 0) throw new Error(`Chunk ${chunk} is ${left} bytes short`);
  }
}
