/**
 * Buckets. The record lies in partition 0; each partition has a gate that every object commit checks. With one partition a change of
 * both is one commit; with more, the record names the change first, so that it is carried to its end after a crash.
 */
import type { Bytes, Check } from '../metadata/types.ts';
import { bucketCodec, gateCodec } from './codecs.ts';
import { newShortId } from './context.ts';
import type { Context } from './context.ts';
import { toEngineError } from './errors.ts';
import { bucketKey, decodeKey, gateKey, KIND, ofKind, prefixRange } from './keys.ts';
import { justAfter, scanPages } from './scan.ts';
import { emptyBucket, isEmpty } from './bucketContents.ts';
import type { BucketChange, BucketRecord, GateRecord } from './model.ts';
import { EngineError } from './types.ts';
import type { BucketInfo, ObjectStore, Pairs, VersioningState } from './types.ts';

type GateState = Omit<GateRecord, 'stamp'>;

const PAGE = 1000;
/** Partition of all bucket records. */
const HOME = 0;

export interface Found {
  readonly name: string;
  readonly record: BucketRecord;
  readonly bytes: Bytes;
}

async function find(context: Context, name: string): Promise<Found | undefined> {
  const bytes = await context.kv.get(HOME, bucketKey(name));
  return bytes && { name, bytes, record: bucketCodec.decode(bytes) };
}

/** @throws EngineError 'NoSuchBucket' */
export async function findBucket(context: Context, name: string): Promise<Found> {
  const found = await find(context, name);
  if (!found || found.record.change?.kind === 'create') {
    throw new EngineError('NoSuchBucket', 'The specified bucket does not exist');
  }
  return found;
}

function infoOf(context: Context, name: string, record: BucketRecord): BucketInfo {
  const { created, owner, versioning, tags } = record;
  return { name, created, region: context.region, owner, versioning, tags };
}

type BucketMethods = Pick<
  ObjectStore,
  'listBuckets' | 'createBucket' | 'bucket' | 'deleteBucket' | 'setVersioning' | 'setBucketTags'
>;

export function createBuckets(context: Context): BucketMethods {
  const locked = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await context.locks.run(`bucket ${name}`, work);
    } catch (error) {
      throw toEngineError(error);
    }
  };
  return {
    listBuckets: (options = {}) => listBuckets(context, options),
    bucket: async (name) => infoOf(context, name, (await findBucket(context, name)).record),
    createBucket: (name, owner) => locked(name, () => createBucket(context, name, owner)),
    deleteBucket: (name) => locked(name, () => deleteBucket(context, name)),
    setVersioning: (name, state) => locked(name, () => setVersioning(context, name, state)),
    setBucketTags: (name, tags) => locked(name, () => setTags(context, name, tags)),
  };
}

async function listBuckets(
  context: Context,
  { prefix = '', after, limit = PAGE }: { prefix?: string; after?: string; limit?: number },
): Promise<{ buckets: BucketInfo[]; next?: string }> {
  const { from, to } = prefixRange(bucketKey(prefix));
  const start = after === undefined ? from : justAfter(bucketKey(after));
  const buckets: BucketInfo[] = [];
  if (limit <= 0 || Buffer.compare(start, to) >= 0) return { buckets };
  const range = { from: Buffer.compare(start, from) > 0 ? start : from, to };
  for await (const page of scanPages(context.kv, HOME, range, Math.min(limit + 1, PAGE))) {
    for (const [key, value] of page) {
      const record = bucketCodec.decode(value);
      if (record.change?.kind === 'create') continue;
      const last = buckets[buckets.length - 1];
      if (buckets.length === limit && last) return { buckets, next: last.name };
      buckets.push(infoOf(context, decodeKey(key.subarray(1)), record));
    }
  }
  return { buckets };
}

async function createBucket(context: Context, name: string, owner: string): Promise<BucketInfo> {
  const there = await settled(context, name);
  if (there) {
    throw there.record.owner === owner
      ? new EngineError('BucketAlreadyOwnedByYou', 'Your previous request to create the bucket succeeded')
      : new EngineError('BucketAlreadyExists', 'The requested bucket name is not available');
  }
  const record: BucketRecord = {
    id: newShortId(),
    created: context.clock.now(),
    owner,
    versioning: 'Unversioned',
    tags: [],
  };
  await change(context, { name, bytes: undefined, record }, 'create', {
    open: true,
    versioning: 'Unversioned',
  });
  return infoOf(context, name, record);
}

async function setVersioning(context: Context, name: string, versioning: VersioningState): Promise<void> {
  const found = await settledOrNone(context, name);
  if (found.record.versioning === versioning) return;
  await change(context, { ...found, record: { ...found.record, versioning } }, 'versioning', {
    open: true,
    versioning,
  });
}

async function setTags(context: Context, name: string, tags: Pairs): Promise<void> {
  const found = await settledOrNone(context, name);
  await putRecord(context, found.name, found.bytes, { ...found.record, tags });
}

async function deleteBucket(context: Context, name: string): Promise<void> {
  const found = await settledOrNone(context, name);
  await resumeDelete(context, await announce(context, found, 'delete'), found.record);
}

/** Closes the gates, so that no object can come, then looks. */
async function resumeDelete(context: Context, announced: Found, record: BucketRecord): Promise<void> {
  const { id, versioning } = record;
  await setGates(context, id, { open: false, versioning });
  if (!(await isEmpty(context, id))) {
    await setGates(context, id, { open: true, versioning });
    await putRecord(context, announced.name, announced.bytes, withoutChange(record));
    throw new EngineError('BucketNotEmpty', 'The bucket you tried to delete is not empty');
  }
  await emptyBucket(context, id);
  for (let partition = 0; partition < context.kv.partitions; partition++) {
    if (partition !== HOME) await context.kv.commit(partition, { deletes: [gateKey(id)] });
  }
  const done = await context.kv.commit(HOME, {
    checks: [{ key: bucketKey(announced.name), value: announced.bytes }],
    deletes: [bucketKey(announced.name), gateKey(id)],
  });
  if (!done) throw aborted();
}

/** A change of the record and of every gate to one state. */
async function change(
  context: Context,
  target: { name: string; bytes: Bytes | undefined; record: BucketRecord },
  kind: BucketChange['kind'],
  gate: GateState,
): Promise<void> {
  const { name, bytes, record } = target;
  if (context.kv.partitions === 1) {
    const done = await context.kv.commit(HOME, {
      checks: [{ key: bucketKey(name), value: bytes ?? null }],
      puts: [
        [bucketKey(name), bucketCodec.encode(withoutChange(record))],
        [gateKey(record.id), gateCodec.encode({ ...gate, stamp: newShortId() })],
      ],
    });
    if (!done) throw aborted();
    return;
  }
  const announced = await announce(context, { name, bytes, record }, kind);
  await setGates(context, record.id, gate);
  await putRecord(context, name, announced.bytes, withoutChange(record));
}

async function announce(
  context: Context,
  { name, bytes, record }: { name: string; bytes: Bytes | undefined; record: BucketRecord },
  kind: BucketChange['kind'],
): Promise<Found> {
  const next: BucketRecord = { ...record, change: { kind, session: context.session.id } };
  await context.session.enter(HOME);
  return {
    name,
    record: next,
    bytes: await putRecord(context, name, bytes, next, [context.session.alive()]),
  };
}

/** A process that was declared dead meanwhile sets none: another may have carried the change to its end. */
async function setGates(context: Context, bucket: string, gate: GateState): Promise<void> {
  const value = gateCodec.encode({ ...gate, stamp: newShortId() });
  for (let partition = 0; partition < context.kv.partitions; partition++) {
    await context.session.enter(partition);
    const checks = [context.session.alive()];
    const done = await context.kv.commit(partition, { checks, puts: [[gateKey(bucket), value]] });
    if (!done) throw aborted();
  }
}

async function putRecord(
  context: Context,
  name: string,
  before: Bytes | undefined,
  record: BucketRecord,
  further: readonly Check[] = [],
): Promise<Bytes> {
  const key = bucketKey(name);
  const value = bucketCodec.encode(record);
  const done = await context.kv.commit(HOME, {
    checks: [{ key, value: before ?? null }, ...further],
    puts: [[key, value]],
  });
  if (!done) throw aborted();
  return value;
}

function withoutChange(record: BucketRecord): BucketRecord {
  const { change: _, ...rest } = record;
  return rest;
}

const aborted = (): EngineError =>
  new EngineError('OperationAborted', 'A conflicting operation is in progress on this bucket');

/** The bucket once no change is under way: one of a dead session, or one this process left undone, is carried to its end. */
async function settled(context: Context, name: string): Promise<Found | undefined> {
  const found = await find(context, name);
  const under = found?.record.change;
  if (!found || !under) return found;
  if (under.session !== context.session.id && context.options.isLive(under.session)) throw aborted();
  const { record } = found;
  if (under.kind === 'delete') {
    await resumeDelete(context, found, record).catch((error: unknown) => {
      if (!(error instanceof EngineError && error.kind === 'BucketNotEmpty')) throw error;
    });
  } else {
    await setGates(context, record.id, { open: true, versioning: record.versioning });
    await putRecord(context, name, found.bytes, withoutChange(record));
  }
  return find(context, name);
}

async function settledOrNone(context: Context, name: string): Promise<Found> {
  const found = await settled(context, name);
  if (!found) throw new EngineError('NoSuchBucket', 'The specified bucket does not exist');
  return found;
}

/** Carries every change that a crash interrupted to its end. Called before the store is used. */
export async function recoverBuckets(context: Context): Promise<void> {
  for await (const { name, record } of allBuckets(context)) {
    if (record.change && !context.options.isLive(record.change.session)) await settled(context, name);
  }
}

/** Names of all buckets, for jobs that walk the whole store. */
export async function* allBuckets(context: Context): AsyncIterable<{ name: string; record: BucketRecord }> {
  for await (const page of scanPages(context.kv, HOME, ofKind(KIND.bucket), PAGE)) {
    for (const [key, value] of page) {
      yield { name: decodeKey(key.subarray(1)), record: bucketCodec.decode(value) };
    }
  }
}
