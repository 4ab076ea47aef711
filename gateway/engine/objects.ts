/** PUT, DELETE and tagging of objects. */
import { abandonBody, bodyEntries, settleBody, writeBody } from './body.ts';
import type { WrittenBody } from './body.ts';
import { checkWrite } from './conditions.ts';
import type { Existing } from './conditions.ts';
import { UnknownOutcome } from './commit.ts';
import type { Plan } from './commit.ts';
import { newShortId } from './context.ts';
import type { Context } from './context.ts';
import { attributesOf, objectInfo } from './info.ts';
import { changeKey, locate } from './keyState.ts';
import type { KeyState, Located } from './keyState.ts';
import { assertVersionId, lookup } from './lookup.ts';
import type { VersionRecord } from './model.ts';
import { inlineBody } from './segments.ts';
import { EngineError } from './types.ts';
import type {
  DeleteRequest,
  DeleteResult,
  ObjectInfo,
  OpenRequest,
  Pairs,
  PutRequest,
  WriteResult,
} from './types.ts';
import {
  addVersion,
  findVersion,
  NULL_VERSION,
  removeOnly,
  removeVersion,
  replaceVersion,
} from './versions.ts';

/** Conditions see the current version; a delete marker is no version to them. */
export const existingOf = (state: KeyState): Existing | undefined => state.current?.record;

export async function put(context: Context, request: PutRequest): Promise<WriteResult> {
  const { bucket, key, conditions, customerKey, signal } = request;
  const located = await locate(context, bucket, key);
  if (conditions) await checkAhead(context, request);
  const body = await writeBody(context, located.partition, request.body, {
    customerKey,
    signal,
    mayShare: true,
  });
  const version = {
    ...attributesOf(request),
    deleteMarker: false,
    lastModified: context.clock.now(),
    size: body.size,
    etag: body.md5,
    ...(body.checksum ? { checksum: body.checksum } : {}),
    ...(customerKey ? { customerKeyMd5: customerKey.md5 } : {}),
  };
  return nameBody(context, request, located, body, version);
}

/** A version without what its commit gives it. */
export type DescribedVersion = Omit<VersionRecord, 'sequence' | 'versionId' | 'body'>;

/** The visible commit of a body that was written for a key. */
export function nameBody(
  context: Context,
  { bucket, key, conditions }: Pick<PutRequest, 'bucket' | 'key' | 'conditions'>,
  located: Located,
  body: WrittenBody,
  version: DescribedVersion,
): Promise<WriteResult> {
  const tail = newShortId();
  const bytes = inlineBody([body.part]);
  return settling(context, body, () =>
    changeKey(context, bucket, key, async (state) => {
      checkWrite(existingOf(state), conditions);
      assertSameBucket(state, located.bucketId);
      const change = await addVersion(state, { ...version, body: bytes }, tail);
      const { sequence } = change.record;
      const entries = await bodyEntries(context, body, {
        bucket: state.bucketId,
        key: located.encoded,
        sequence,
      });
      return {
        checks: entries.checks,
        puts: [...change.puts, ...entries.puts],
        deletes: change.deletes,
        result: written(change.record, { bucket, key }, state, body.survives),
      };
    }),
  );
}

/** Spares a body that is refused anyhow. Its commit looks again. */
async function checkAhead(context: Context, { bucket, key, conditions }: PutRequest): Promise<void> {
  const found = await lookup(context, { bucket, key }).catch((error: unknown) => {
    if (error instanceof EngineError && error.kind === 'NoSuchKey') return undefined;
    throw error;
  });
  checkWrite(found?.stored.record, conditions);
}

/** Chunks are cut for a partition, and so for a bucket: one created again meanwhile is another. */
export function assertSameBucket(state: KeyState, bucketId: string): void {
  if (state.bucketId !== bucketId) {
    throw new EngineError('NoSuchBucket', 'The bucket was deleted while the body was written');
  }
}

export function written(
  record: VersionRecord,
  { bucket, key }: { bucket: string; key: string },
  state: KeyState,
  survives: WriteResult['survives'],
): WriteResult {
  const versioned = state.versioning !== 'Unversioned';
  return { info: objectInfo(record, { bucket, key, versioned, isLatest: true }), survives };
}

/** Runs the commit of a written body: its chunks are recorded when it resolves, given up when it is refused, and kept when that is not known. */
export async function settling<R>(
  context: Context,
  body: Pick<WrittenBody, 'chunks' | 'packed'>,
  commit: () => Promise<R>,
): Promise<R> {
  try {
    const result = await commit();
    settleBody(context, body);
    return result;
  } catch (error) {
    if (error instanceof UnknownOutcome) context.session.doubt();
    else abandonBody(context, body);
    throw error;
  }
}

export async function remove(context: Context, request: DeleteRequest): Promise<DeleteResult> {
  const { bucket, key, versionId, conditions } = request;
  assertVersionId(versionId);
  const tail = newShortId();
  const lastModified = context.clock.now();
  return changeKey(context, bucket, key, async (state): Promise<Plan<DeleteResult>> => {
    if (versionId !== undefined) return removeById(state, request, versionId);
    checkWrite(existingOf(state), conditions);
    if (state.versioning === 'Unversioned') {
      return { checks: [], ...removeOnly(state), result: { deleteMarker: false } };
    }
    const marker = {
      headers: [],
      userMetadata: [],
      tags: [],
      deleteMarker: true,
      lastModified,
      size: 0,
      etag: '',
      body: new Uint8Array(0),
    };
    const change = await addVersion(state, marker, tail);
    return {
      checks: [],
      puts: change.puts,
      deletes: change.deletes,
      result: { versionId: change.record.versionId, deleteMarker: true },
    };
  });
}

async function removeById(
  state: KeyState,
  { conditions }: DeleteRequest,
  versionId: string,
): Promise<Plan<DeleteResult>> {
  const found = await findVersion(state, versionId);
  checkWrite(found?.record.deleteMarker ? undefined : found?.record, conditions);
  // A bucket without versioning has only null versions, and its responses name none.
  const named = state.versioning === 'Unversioned' && versionId === NULL_VERSION ? {} : { versionId };
  if (!found) return { checks: [], puts: [], deletes: [], result: { ...named, deleteMarker: false } };
  const change = await removeVersion(state, found);
  return { checks: [], ...change, result: { ...named, deleteMarker: found.record.deleteMarker } };
}

export async function stat(context: Context, request: OpenRequest): Promise<ObjectInfo> {
  const { stored, versioned, isLatest } = await lookup(context, request);
  const { bucket, key } = request;
  return objectInfo(stored.record, { bucket, key, versioned, isLatest });
}

export async function setTags(context: Context, request: OpenRequest, tags: Pairs): Promise<ObjectInfo> {
  const { bucket, key, versionId } = request;
  // For its errors: absent versions and delete markers are refused here as they are on reads.
  const seen = await lookup(context, request);
  return changeKey(context, bucket, key, async (state): Promise<Plan<ObjectInfo>> => {
    const found =
      versionId === undefined
        ? state.current && { ...state.current, isLatest: true }
        : await findVersion(state, versionId);
    if (!found || found.record.deleteMarker) {
      throw new EngineError(
        versionId === undefined ? 'NoSuchKey' : 'NoSuchVersion',
        'It was deleted meanwhile',
      );
    }
    const record = { ...found.record, tags };
    const { versioned } = seen;
    const result = objectInfo(record, { bucket, key, versioned, isLatest: found.isLatest });
    return { checks: [], ...replaceVersion(state, found, record), result };
  });
}
