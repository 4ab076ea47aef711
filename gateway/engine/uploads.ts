/** Multipart uploads: start, look-up, abort. */
import { defaultMultipartType, multipartTypeAllowed } from './checksums.ts';
import { garbageCodec, uploadCodec } from './codecs.ts';
import { commitPlan } from './commit.ts';
import { newShortId } from './context.ts';
import type { Context } from './context.ts';
import { attributesOf, uploadInfo } from './info.ts';
import { locate, openGate } from './keyState.ts';
import type { Located } from './keyState.ts';
import { garbageKey, uploadKey } from './keys.ts';
import type { UploadRecord } from './model.ts';
import { EngineError } from './types.ts';
import type { CreateUploadRequest, CustomerKey, UploadInfo, UploadRef } from './types.ts';

const UPLOAD_ID = /^[0-9a-f]{32}$/;

export async function createUpload(context: Context, request: CreateUploadRequest): Promise<UploadInfo> {
  const { bucket, key, initiator, customerKey } = request;
  const located = await locate(context, bucket, key);
  const initiated = context.clock.now();
  // Ids of one key sort by their start, as listings show them.
  const uploadId = initiated.toString(16).padStart(16, '0') + newShortId();
  const record: UploadRecord = {
    ...attributesOf(request),
    initiated,
    initiator,
    ...checksumOf(request),
    ...(customerKey ? { customerKeyMd5: customerKey.md5 } : {}),
  };
  const place = uploadKey(located.bucketId, located.encoded, uploadId);
  await commitPlan(context, located.partition, async () => ({
    checks: [(await openGate(context, bucket, located)).check],
    puts: [[place, uploadCodec.encode(record)]],
    deletes: [],
    result: undefined,
  }));
  return uploadInfo(record, { bucket, key, uploadId });
}

/** @throws EngineError 'InvalidRequest' when the algorithm does not allow the type */
function checksumOf({
  checksumAlgorithm,
  checksumType,
}: CreateUploadRequest): Pick<UploadRecord, 'checksumAlgorithm' | 'checksumType'> {
  if (!checksumAlgorithm) {
    if (!checksumType) return {};
    throw new EngineError('InvalidRequest', 'A checksum type needs a checksum algorithm');
  }
  const type = checksumType ?? defaultMultipartType(checksumAlgorithm);
  if (!multipartTypeAllowed(checksumAlgorithm, type)) {
    throw new EngineError(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${checksumAlgorithm} checksum algorithm`,
    );
  }
  return { checksumAlgorithm, checksumType: type };
}

export interface FoundUpload extends Located {
  readonly place: Buffer;
  readonly bytes: Uint8Array;
  readonly record: UploadRecord;
}

const noSuchUpload = (): EngineError =>
  new EngineError(
    'NoSuchUpload',
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  );

/** @throws EngineError 'NoSuchUpload' */
export async function findUpload(
  context: Context,
  { bucket, key, uploadId }: UploadRef,
): Promise<FoundUpload> {
  const located = await locate(context, bucket, key);
  if (!UPLOAD_ID.test(uploadId)) throw noSuchUpload();
  const place = uploadKey(located.bucketId, located.encoded, uploadId);
  const bytes = await context.kv.get(located.partition, place);
  if (!bytes) throw noSuchUpload();
  return { ...located, place, bytes, record: uploadCodec.decode(bytes) };
}

/**
 * Each request that writes to an upload brings the upload's customer key. Another key is a wrong request here, not a denied one: it would
 * open nothing. @throws EngineError 'InvalidRequest'
 */
export function checkUploadKey({ customerKeyMd5 }: UploadRecord, customerKey: CustomerKey | undefined): void {
  if (customerKeyMd5 === customerKey?.md5) return;
  if (customerKeyMd5 === undefined) {
    throw new EngineError('InvalidRequest', 'The encryption parameters are not applicable to this object.');
  }
  throw new EngineError(
    'InvalidRequest',
    customerKey
      ? 'The provided encryption parameters did not match the ones used originally.'
      : 'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
  );
}

export async function upload(context: Context, ref: UploadRef): Promise<UploadInfo> {
  return uploadInfo((await findUpload(context, ref)).record, ref);
}

export async function abortUpload(context: Context, ref: UploadRef): Promise<void> {
  const { partition } = await findUpload(context, ref);
  const garbage = garbageCodec.encode({ kind: 'upload', upload: ref.uploadId });
  await commitPlan(context, partition, async () => {
    const { place, bytes } = await findUpload(context, ref);
    return {
      checks: [{ key: place, value: bytes }],
      puts: [[garbageKey(ref.uploadId), garbage]],
      deletes: [place],
      result: undefined,
    };
  });
}
