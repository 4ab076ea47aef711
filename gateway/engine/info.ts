/** From stored records to what the seam shows. Pure. */
import type { PartSummary, UploadRecord, VersionRecord } from './model.ts';
import type { ObjectAttributes, ObjectInfo, UploadInfo, UploadRef } from './types.ts';

export interface Shown {
  readonly bucket: string;
  readonly key: string;
  readonly versioned: boolean;
  readonly isLatest: boolean;
  readonly parts?: readonly PartSummary[];
}

export function objectInfo(record: VersionRecord, shown: Shown): ObjectInfo {
  const { versionId, deleteMarker, lastModified, size, etag, checksum, customerKeyMd5 } = record;
  const { bucket, key, versioned, isLatest, parts } = shown;
  return {
    bucket,
    key,
    versionId,
    versioned,
    isLatest,
    deleteMarker,
    size,
    etag,
    lastModified,
    ...attributesOf(record),
    ...(checksum ? { checksum } : {}),
    ...(customerKeyMd5 === undefined ? {} : { customerKeyMd5 }),
    ...(parts && parts.length > 0 ? { parts } : {}),
  };
}

export function attributesOf({ headers, userMetadata, tags, sse }: ObjectAttributes): ObjectAttributes {
  return { headers, userMetadata, tags, ...(sse ? { sse } : {}) };
}

export function uploadInfo(record: UploadRecord, { bucket, key, uploadId }: UploadRef): UploadInfo {
  return { bucket, key, uploadId, ...record };
}
