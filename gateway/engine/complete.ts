/** CompleteMultipartUpload: the parts' segments become the object's, in one commit. */
import { DOMAIN_LEVELS } from '#placement';
import { multipartChecksum, multipartETag } from './checksums.ts';
import { completedCodec, garbageCodec, versionCodec } from './codecs.ts';
import type { Plan } from './commit.ts';
import { checkWrite } from './conditions.ts';
import { newShortId } from './context.ts';
import type { Context } from './context.ts';
import { attributesOf, objectInfo } from './info.ts';
import { changeKey, locate } from './keyState.ts';
import type { KeyState } from './keyState.ts';
import { completedKey, expiryKey, garbageKey } from './keys.ts';
import { NO_BYTES } from './model.ts';
import type { PartRecord, UploadRecord, VersionRecord } from './model.ts';
import { existingOf, written } from './objects.ts';
import { prepareBody, whilePending } from './pages.ts';
import { PARTS_MAX, scanParts } from './parts.ts';
import type { StoredPart } from './parts.ts';
import { EngineError } from './types.ts';
import type { Checksum, CompletePart, CompleteRequest, WriteResult } from './types.ts';
import { checkUploadKey, findUpload } from './uploads.ts';
import type { FoundUpload } from './uploads.ts';
import { addVersion } from './versions.ts';

const TRIES_MAX = 20;

/** A part came or went between the look and the commit: look again. */
class PartsChanged extends Error {
  override readonly name = 'PartsChanged';
}

export async function completeUpload(context: Context, request: CompleteRequest): Promise<WriteResult> {
  assertOrder(request.parts);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      return await completeOnce(context, request);
    } catch (error) {
      if (error instanceof PartsChanged) continue;
      if (!(error instanceof EngineError && error.kind === 'NoSuchUpload')) throw error;
      const answer = await answerOf(context, request);
      if (!answer) throw error;
      return answer;
    }
  }
  throw new EngineError('OperationAborted', 'Parts of this upload are being written');
}

/** @throws EngineError 'InvalidRequest' | 'InvalidPart' | 'InvalidPartOrder' */
function assertOrder(parts: readonly CompletePart[]): void {
  if (parts.length === 0) throw new EngineError('InvalidRequest', 'You must specify at least one part');
  let last = 0;
  for (const { number } of parts) {
    if (!Number.isInteger(number) || number < 1 || number > PARTS_MAX) throw invalidPart(number);
    if (number <= last) {
      throw new EngineError(
        'InvalidPartOrder',
        'The list of parts was not in ascending order. Parts must be ordered by part number.',
      );
    }
    last = number;
  }
}

const invalidPart = (number: number): EngineError =>
  new EngineError(
    'InvalidPart',
    'One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part’s entity tag.',
    { fields: [['PartNumber', String(number)]] },
  );

/** The answer of the Complete that succeeded before, while it is remembered. */
async function answerOf(context: Context, request: CompleteRequest): Promise<WriteResult | undefined> {
  const { bucket, key, uploadId } = request;
  const { bucketId, partition, versioning } = await locate(context, bucket, key);
  if (!/^[0-9a-f]{32}$/.test(uploadId)) return undefined;
  const bytes = await context.kv.get(partition, completedKey(uploadId));
  if (!bytes) return undefined;
  const done = completedCodec.decode(bytes);
  if (done.bucket !== bucketId || done.key !== key) return undefined;
  const shown = { bucket, key, versioned: versioning !== 'Unversioned', isLatest: true };
  return {
    info: objectInfo(versionCodec.decode(done.version), shown),
    survives: done.survives,
  };
}

async function completeOnce(context: Context, request: CompleteRequest): Promise<WriteResult> {
  const upload = await findUpload(context, request);
  const { partition, record } = upload;
  // As on AWS, which reads the key only where the object gets a checksum: other uploads complete without it.
  if (request.customerKey || record.checksumAlgorithm) checkUploadKey(record, request.customerKey);
  const chosen = choose(context, request.parts, await scanParts(context, partition, request.uploadId));
  const version = describe(context, request, record, chosen);
  const tail = newShortId();
  const body = await prepareBody(
    context,
    partition,
    chosen.map(({ part }) => part),
    'pages',
  );
  let tries = 0;
  const commit = (deletes: Uint8Array[]): Promise<WriteResult> =>
    changeKey(context, request.bucket, request.key, async (state) => {
      if (tries++ > 0) await assertUnchanged(context, request, upload, chosen);
      checkWrite(existingOf(state), request.conditions);
      const plan = await planOf(context, request, state, chosen, { ...version, body: body.bytes }, tail);
      return {
        ...plan,
        checks: [{ key: upload.place, value: upload.bytes }, ...plan.checks],
        deletes: [upload.place, ...plan.deletes, ...deletes],
      };
    });
  const { pending } = body;
  return pending
    ? whilePending(context, partition, pending, (declaration) => commit([declaration]))
    : commit([]);
}

/** @throws EngineError 'NoSuchUpload'; PartsChanged */
async function assertUnchanged(
  context: Context,
  request: CompleteRequest,
  upload: FoundUpload,
  chosen: readonly StoredPart[],
): Promise<void> {
  const again = await findUpload(context, request);
  if (Buffer.compare(again.bytes, upload.bytes) !== 0) throw new PartsChanged();
  for (const { key, value } of chosen) {
    const found = await context.kv.get(upload.partition, key);
    if (!found || Buffer.compare(found, value) !== 0) throw new PartsChanged();
  }
}

async function planOf(
  context: Context,
  request: CompleteRequest,
  state: KeyState,
  chosen: readonly StoredPart[],
  version: Omit<VersionRecord, 'sequence' | 'versionId'>,
  tail: string,
): Promise<Plan<WriteResult>> {
  const { uploadId, key } = request;
  const change = await addVersion(state, version, tail);
  const survives = survivedByAll(chosen);
  const completed = completedCodec.encode({
    bucket: state.bucketId,
    key,
    version: versionCodec.encode({ ...change.record, body: NO_BYTES }),
    survives,
  });
  const expiry = context.clock.now() + context.options.completedForMs;
  return {
    // A part written anew has put this one into the garbage.
    checks: chosen.map(({ key, value }) => ({ key, value })),
    puts: [
      ...change.puts,
      [completedKey(uploadId), completed],
      [expiryKey(expiry, uploadId), Buffer.of(1)],
      // Parts that were not chosen, also those that come between the look and the commit.
      [garbageKey(uploadId), garbageCodec.encode({ kind: 'upload', upload: uploadId })],
    ],
    deletes: [...change.deletes, ...chosen.map(({ key }) => key)],
    result: written(change.record, request, state, survives),
  };
}

/** Undefined when that of one part is. */
function survivedByAll(parts: readonly PartRecord[]): WriteResult['survives'] {
  if (parts.some(({ survives }) => survives === undefined)) return undefined;
  return DOMAIN_LEVELS.filter((level) => parts.every(({ survives }) => survives?.includes(level)));
}

/** The parts asked for. @throws EngineError 'InvalidPart' | 'EntityTooSmall' */
function choose(
  context: Context,
  wanted: readonly CompletePart[],
  stored: readonly StoredPart[],
): StoredPart[] {
  const byNumber = new Map(stored.map((part) => [part.part.summary.number, part]));
  return wanted.map(({ number, etag, checksum }, index) => {
    const found = byNumber.get(number);
    const summary = found?.part.summary;
    if (!found || summary?.etag !== etag) throw invalidPart(number);
    if (checksum && !sameChecksum(summary.checksum, checksum)) throw invalidPart(number);
    if (summary.size < context.options.partBytesMin && index < wanted.length - 1) {
      throw new EngineError(
        'EntityTooSmall',
        'Your proposed upload is smaller than the minimum allowed size',
        {
          fields: [
            ['ProposedSize', String(summary.size)],
            ['MinSizeAllowed', String(context.options.partBytesMin)],
            ['PartNumber', String(number)],
            ['ETag', etag],
          ],
        },
      );
    }
    return found;
  });
}

const sameChecksum = (stored: Checksum | undefined, given: NonNullable<CompletePart['checksum']>): boolean =>
  stored?.algorithm === given.algorithm && stored.value === given.value;

/** The object's version, checked against what the client expects. @throws EngineError 'BadDigest' | 'InvalidRequest' */
function describe(
  context: Context,
  request: CompleteRequest,
  upload: UploadRecord,
  chosen: readonly StoredPart[],
): Omit<VersionRecord, 'sequence' | 'versionId' | 'body'> {
  const summaries = chosen.map(({ part }) => part.summary);
  const size = summaries.reduce((sum, part) => sum + part.size, 0);
  if (request.objectSize !== undefined && request.objectSize !== size) {
    throw new EngineError(
      'InvalidRequest',
      `The provided 'x-amz-mp-object-size' header value ${request.objectSize} does not match what was computed: ${size}`,
    );
  }
  const checksum = checksumOf(request, upload, summaries);
  return {
    ...attributesOf(upload),
    deleteMarker: false,
    lastModified: context.clock.now(),
    size,
    etag: multipartETag(summaries.map(({ etag }) => etag)),
    ...(checksum ? { checksum } : {}),
    ...(upload.customerKeyMd5 === undefined ? {} : { customerKeyMd5: upload.customerKeyMd5 }),
  };
}

function checksumOf(
  request: CompleteRequest,
  { checksumAlgorithm: algorithm, checksumType: type }: UploadRecord,
  summaries: readonly StoredPart['part']['summary'][],
): Checksum | undefined {
  const expected = request.checksum;
  const typeAsked = expected?.type ?? request.checksumType;
  const mismatched =
    (expected && expected.algorithm !== algorithm) || (typeAsked !== undefined && typeAsked !== type);
  if (mismatched) {
    throw new EngineError(
      'InvalidRequest',
      `The upload was created with checksum ${algorithm ?? 'none'} of type ${type ?? 'none'}; the complete request must use the same`,
    );
  }
  if (!algorithm || !type) return undefined;
  const parts = summaries.map(({ checksum, size }) => ({ value: checksum?.value ?? '', length: size }));
  const checksum = multipartChecksum(algorithm, type, parts);
  const { value } = checksum;
  if (expected && expected.value !== value && `${expected.value}-${parts.length}` !== value) {
    throw new EngineError(
      'BadDigest',
      `The ${algorithm} you specified did not match the calculated checksum`,
    );
  }
  return checksum;
}
