/** Finds a version for a reader. */
import { findBucket } from './buckets.ts';
import { guardCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { assertKeyLength, encodeKey, keyPlace, partitionOf } from './keys.ts';
import type { KeyPlace } from './keys.ts';
import { decodeVersion } from './keyState.ts';
import type { Stored } from './keyState.ts';
import { EngineError } from './types.ts';
import { isVersionId, NULL_VERSION, sequenceOf } from './versions.ts';

interface FoundVersion {
  readonly stored: Stored;
  readonly isLatest: boolean;
}

export interface FoundObject extends FoundVersion {
  readonly partition: number;
  readonly versioned: boolean;
}

const TRIES_MAX = 10;

const noSuchKey = (marker?: Stored): EngineError =>
  new EngineError(
    'NoSuchKey',
    'The specified key does not exist.',
    marker ? { deleteMarker: true, versionId: marker.record.versionId } : {},
  );

/**
 * A version as the last commit left it.
 * @throws EngineError 'NoSuchBucket' | 'NoSuchKey' | 'NoSuchVersion' | 'MethodNotAllowed' (a delete marker asked for by id) | 'InvalidArgument'
 */
export async function lookup(
  context: Context,
  { bucket, key, versionId }: { bucket: string; key: string; versionId?: string },
): Promise<FoundObject> {
  assertVersionId(versionId);
  assertKeyLength(key);
  const { record } = await findBucket(context, bucket);
  const encoded = encodeKey(key);
  const partition = partitionOf(record.id, encoded, context.kv.partitions);
  const place = keyPlace(record.id, encoded);
  const versioned = record.versioning !== 'Unversioned';
  const found =
    versionId === undefined
      ? await findCurrent(context, partition, place)
      : await findById(context, partition, place, versionId);
  if (found.stored.record.deleteMarker) {
    const details = { deleteMarker: true, versionId: found.stored.record.versionId };
    throw new EngineError(
      'MethodNotAllowed',
      'The specified method is not allowed against this resource.',
      details,
    );
  }
  return { partition, versioned, ...found };
}

/** @throws EngineError 'InvalidArgument' */
export function assertVersionId(versionId: string | undefined): void {
  if (versionId !== undefined && !isVersionId(versionId)) {
    throw new EngineError('InvalidArgument', 'Invalid version id specified');
  }
}

async function findCurrent(context: Context, partition: number, place: KeyPlace): Promise<FoundVersion> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const bytes = await context.kv.get(partition, place.current);
    if (bytes) return { stored: decodeVersion(bytes), isLatest: true };
    const [newest] = await context.kv.scan(partition, { ...place.versions, limit: 1 });
    if (!newest) throw noSuchKey();
    const marker = decodeVersion(newest[1]);
    if (marker.record.deleteMarker) throw noSuchKey(marker);
    // An older version in front: between the two reads one was written or made current again.
  }
  throw new EngineError('Unavailable', 'The key changes too fast to be read');
}

async function findById(
  context: Context,
  partition: number,
  place: KeyPlace,
  versionId: string,
): Promise<FoundVersion> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const bytes = await context.kv.get(partition, place.current);
    const current = bytes && decodeVersion(bytes);
    if (current?.record.versionId === versionId) return { stored: current, isLatest: true };
    const stored = await findOlder(context, partition, place, versionId);
    if (stored) return { stored, isLatest: !current && (await isNewest(context, partition, place, stored)) };
    // It may have become current again in between.
    const again = await context.kv.get(partition, place.current);
    if (bytes ? again && Buffer.compare(bytes, again) === 0 : !again) {
      throw new EngineError('NoSuchVersion', 'The specified version does not exist.', { versionId });
    }
  }
  throw new EngineError('Unavailable', 'The key changes too fast to be read');
}

async function findOlder(
  context: Context,
  partition: number,
  place: KeyPlace,
  versionId: string,
): Promise<Stored | undefined> {
  let sequence: number | undefined;
  if (versionId === NULL_VERSION) {
    const guard = await context.kv.get(partition, place.guard);
    sequence = guard && guardCodec.decode(guard).nullSequence;
  } else {
    sequence = sequenceOf(versionId);
  }
  if (sequence === undefined || !Number.isSafeInteger(sequence)) return undefined;
  const value = await context.kv.get(partition, place.version(sequence));
  const stored = value && decodeVersion(value);
  return stored?.record.versionId === versionId ? stored : undefined;
}

async function isNewest(
  context: Context,
  partition: number,
  place: KeyPlace,
  { record }: Stored,
): Promise<boolean> {
  const [newest] = await context.kv.scan(partition, { ...place.versions, limit: 1 });
  return newest !== undefined && decodeVersion(newest[1]).record.sequence === record.sequence;
}
