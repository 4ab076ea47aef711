import { createMatcher } from './match.ts';
import type { Matcher, TableEntry } from './match.ts';
import { abortMultipartUpload } from './operations/abortMultipartUpload.ts';
import { getBucketAcl, getObjectAcl, putBucketAcl, putObjectAcl } from './operations/acl.ts';
import { completeMultipartUpload } from './operations/completeMultipartUpload.ts';
import { copyObject } from './operations/copyObject.ts';
import { createBucket } from './operations/createBucket.ts';
import { createMultipartUpload } from './operations/createMultipartUpload.ts';
import { DEFAULTS } from './operations/defaults.ts';
import { deleteBucket } from './operations/deleteBucket.ts';
import { deleteBucketTagging } from './operations/deleteBucketTagging.ts';
import { deleteObject } from './operations/deleteObject.ts';
import { deleteObjects } from './operations/deleteObjects.ts';
import { deleteObjectTagging } from './operations/deleteObjectTagging.ts';
import { getBucketLocation } from './operations/getBucketLocation.ts';
import { getBucketTagging } from './operations/getBucketTagging.ts';
import { getBucketVersioning } from './operations/getBucketVersioning.ts';
import { getObject } from './operations/getObject.ts';
import { getObjectAttributes } from './operations/getObjectAttributes.ts';
import { getObjectTagging } from './operations/getObjectTagging.ts';
import { headBucket } from './operations/headBucket.ts';
import { headObject } from './operations/headObject.ts';
import { listBuckets } from './operations/listBuckets.ts';
import { listMultipartUploads } from './operations/listMultipartUploads.ts';
import { listObjects } from './operations/listObjects.ts';
import { listObjectsV2 } from './operations/listObjectsV2.ts';
import { listObjectVersions } from './operations/listObjectVersions.ts';
import { listParts } from './operations/listParts.ts';
import { putBucketEncryption } from './operations/putBucketEncryption.ts';
import { putBucketTagging } from './operations/putBucketTagging.ts';
import { putBucketVersioning } from './operations/putBucketVersioning.ts';
import { putObject } from './operations/putObject.ts';
import { putObjectTagging } from './operations/putObjectTagging.ts';
import { REFUSED } from './operations/refused.ts';
import { uploadPart } from './operations/uploadPart.ts';
import { uploadPartCopy } from './operations/uploadPartCopy.ts';
import type { S3Operation } from './types.ts';

/** Operations that Shardway carries out. */
const IMPLEMENTED = {
  AbortMultipartUpload: abortMultipartUpload,
  CompleteMultipartUpload: completeMultipartUpload,
  CopyObject: copyObject,
  CreateBucket: createBucket,
  CreateMultipartUpload: createMultipartUpload,
  DeleteBucket: deleteBucket,
  DeleteBucketTagging: deleteBucketTagging,
  DeleteObject: deleteObject,
  DeleteObjects: deleteObjects,
  DeleteObjectTagging: deleteObjectTagging,
  GetBucketAcl: getBucketAcl,
  GetBucketLocation: getBucketLocation,
  GetBucketTagging: getBucketTagging,
  GetBucketVersioning: getBucketVersioning,
  GetObject: getObject,
  GetObjectAcl: getObjectAcl,
  GetObjectAttributes: getObjectAttributes,
  GetObjectTagging: getObjectTagging,
  HeadBucket: headBucket,
  HeadObject: headObject,
  ListBuckets: listBuckets,
  ListMultipartUploads: listMultipartUploads,
  ListObjects: listObjects,
  ListObjectsV2: listObjectsV2,
  ListObjectVersions: listObjectVersions,
  ListParts: listParts,
  PutBucketAcl: putBucketAcl,
  PutBucketEncryption: putBucketEncryption,
  PutBucketTagging: putBucketTagging,
  PutBucketVersioning: putBucketVersioning,
  PutObject: putObject,
  PutObjectAcl: putObjectAcl,
  PutObjectTagging: putObjectTagging,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
} as const satisfies Record<string, S3Operation>;

/** Compiles where no operation is in two groups. */
type Disjoint<A, B> = [keyof A & keyof B] extends [never] ? Record<string, TableEntry> : never;

const ANSWERED = { ...DEFAULTS, ...IMPLEMENTED } satisfies Disjoint<typeof DEFAULTS, typeof IMPLEMENTED>;

/** Every operation of the S3 API, once: carried out, answered from what is in force, or refused. */
const TABLE = { ...REFUSED, ...ANSWERED } satisfies Disjoint<typeof REFUSED, typeof ANSWERED>;

export const ENTRIES: readonly TableEntry[] = Object.values(TABLE);

export const matchOperation: Matcher = createMatcher(ENTRIES);
