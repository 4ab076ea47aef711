/**
 * The engine seam: an object store in S3's terms, with no wire formats in it.
 * Durable and visible when a method resolves, invisible when it rejects. Where chunks lie stays inside.
 */
import type { DomainLevel } from '#placement';

/** Ordered pairs, never a plain object: names like `__proto__` are data. */
export type Pairs = readonly (readonly [name: string, value: string])[];

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';
export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  /** Base64; a composite one ends in `-N`. */
  readonly value: string;
}

/** What a writer promises of the body. All given promises are checked before anything becomes visible. */
export interface BodyPromises {
  /** Base64 of Content-MD5. @throws 'BadDigest' */
  readonly contentMd5?: string;
  /** Lower-case hex SHA-256 of the decoded body. @throws 'ContentSha256Mismatch' */
  readonly contentSha256?: string;
  /** Decoded length. A shorter or longer body: 'IncompleteBody'. */
  readonly length?: number;
  readonly checksum?: {
    readonly algorithm: ChecksumAlgorithm;
    /** Called once the body has ended, so that a trailer can supply it; undefined: compute and store only. @throws 'BadDigest' */
    expected(): string | undefined;
  };
}

export interface Body extends BodyPromises {
  /** Decoded payload. An error it throws is rethrown as it is, and nothing is stored. Iterated once. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Nobody else uses its pieces: their memory may be freed once they were used. */
  readonly isOwned?: boolean;
}

/** A customer's key (SSE-C); lives as long as the request. */
export interface CustomerKey {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** Base64 MD5 of the key, returned to clients and stored. */
  readonly md5: string;
}

/** Stored and returned as they came: content-type, cache-control, content-disposition, content-encoding, content-language, expires, x-amz-website-redirect-location, x-amz-storage-class. Lower-case names. */
export type SystemHeaders = Pairs;

export interface ObjectAttributes {
  readonly headers: SystemHeaders;
  /** Without the `x-amz-meta-` prefix, lower-case names. */
  readonly userMetadata: Pairs;
  readonly tags: Pairs;
  /** The client asked for `x-amz-server-side-encryption: AES256` (bodies are encrypted either way). */
  readonly sse?: 'AES256';
}

/** Conditions of a read or a write. ETags unquoted, or '*'. Times in ms since the epoch. Evaluated atomically with the write's commit. */
export interface Conditions {
  readonly ifMatch?: readonly string[];
  readonly ifNoneMatch?: readonly string[];
  readonly ifModifiedSince?: number;
  readonly ifUnmodifiedSince?: number;
}

export interface PartInfo {
  readonly number: number;
  readonly size: number;
  /** Unquoted. */
  readonly etag: string;
  readonly lastModified: number;
  readonly checksum?: Checksum;
}

export interface ObjectInfo extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  /** 'null' for the null version. */
  readonly versionId: string;
  /** True when the bucket has, or had, versioning: then responses name the version. */
  readonly versioned: boolean;
  readonly isLatest: boolean;
  readonly deleteMarker: boolean;
  readonly size: number;
  /** Unquoted hex MD5, or `md5ofmd5s-N`. Empty for a delete marker. */
  readonly etag: string;
  readonly lastModified: number;
  readonly checksum?: Checksum;
  /** Present on objects made by a multipart upload: parts in order, numbers as uploaded. */
  readonly parts?: readonly PartInfo[];
  /** Base64 MD5 of the customer key, when one is needed to read. */
  readonly customerKeyMd5?: string;
}

export interface OpenedObject {
  readonly info: ObjectInfo;
  /**
   * Plaintext bytes [start, end) of the body; nothing is read from providers before the first `next`. The version that was opened
   * is read to its end even when it is overwritten or deleted meanwhile. Errors before the first piece leave time for an error response.
   */
  stream(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Frees the memory of a piece of `stream`, which nobody may use any more; without it, it is the garbage collector's. */
  release(piece: Uint8Array): void;
  /** Plaintext range of one part (1-based position in `parts`; a plain object has the one part 1). @throws 'InvalidPartNumber' */
  partRange(partNumber: number): { start: number; end: number; count: number };
  /** Must be called once the caller is done with it, streamed or not; releases the version to reclaim. Idempotent. */
  close(): void;
}

export type VersioningState = 'Unversioned' | 'Enabled' | 'Suspended';

export interface BucketInfo {
  readonly name: string;
  /** ms since the epoch */
  readonly created: number;
  readonly region: string;
  readonly owner: string;
  readonly versioning: VersioningState;
  readonly tags: Pairs;
}

export interface PutRequest extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly body: Body;
  readonly conditions?: Conditions;
  readonly customerKey?: CustomerKey;
  readonly signal?: AbortSignal;
}

export interface WriteResult {
  readonly info: ObjectInfo;
  /**
   * Levels of which any one domain may be lost without losing any of the object's chunks. Undefined where chunks were taken over from
   * another object, placed at another time.
   */
  readonly survives: readonly DomainLevel[] | undefined;
}

export interface OpenRequest {
  readonly bucket: string;
  readonly key: string;
  /** Absent: the current version. */
  readonly versionId?: string;
  readonly customerKey?: CustomerKey;
  readonly conditions?: Conditions;
}

export interface CopyRequest {
  readonly source: OpenRequest;
  readonly bucket: string;
  readonly key: string;
  /** Attributes to store instead of the source's (REPLACE); absent fields are the source's (COPY). */
  readonly headers?: SystemHeaders;
  /** Storage class and website redirect: always the copy's own, also where the other headers are the source's. Not beside `headers`. */
  readonly ownHeaders?: SystemHeaders;
  readonly userMetadata?: Pairs;
  readonly tags?: Pairs;
  readonly sse?: 'AES256';
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly customerKey?: CustomerKey;
  readonly conditions?: Conditions;
}

export interface DeleteRequest {
  readonly bucket: string;
  readonly key: string;
  readonly versionId?: string;
  readonly conditions?: Conditions;
}
export interface DeleteResult {
  /** Version that was removed or delete marker that was made; absent on an unversioned bucket. */
  readonly versionId?: string;
  /** A delete marker was made, or the version removed was one. */
  readonly deleteMarker: boolean;
}

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  /** Start after this key, or after this common prefix (exclusive). */
  readonly after: string;
  /** 0…1,000 */
  readonly limit: number;
}
export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  readonly commonPrefixes: readonly string[];
  readonly truncated: boolean;
  /** Largest key or common prefix of the page, in key order: `after` of the next one. Set when truncated. */
  readonly next?: string;
}
export interface ListVersionsRequest extends ListRequest {
  /** With `after` = key marker: continue after this version of that key. */
  readonly versionIdMarker?: string;
}
export interface ListVersionsPage {
  /** Keys ascending, newest version first; delete markers included. */
  readonly versions: readonly ObjectInfo[];
  readonly commonPrefixes: readonly string[];
  readonly truncated: boolean;
  readonly nextKey?: string;
  readonly nextVersionId?: string;
}

export interface UploadInfo extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  readonly initiated: number;
  readonly initiator: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ChecksumType;
  readonly customerKeyMd5?: string;
}
export interface CreateUploadRequest extends ObjectAttributes {
  readonly bucket: string;
  readonly key: string;
  readonly initiator: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ChecksumType;
  readonly customerKey?: CustomerKey;
}
export interface UploadRef {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}
export interface PutPartRequest extends UploadRef {
  readonly partNumber: number;
  readonly body: Body;
  readonly customerKey?: CustomerKey;
  readonly signal?: AbortSignal;
}
export interface CopyPartRequest extends UploadRef {
  readonly partNumber: number;
  readonly source: OpenRequest;
  /** Plaintext bytes [start, end) of the source; absent: all of it. @throws 'InvalidRange' */
  readonly range?: { readonly start: number; readonly end: number };
  readonly customerKey?: CustomerKey;
}
export interface CompletePart {
  readonly number: number;
  /** Unquoted. */
  readonly etag: string;
  /** Base64 checksum the client gave for the part, with its algorithm. */
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value: string };
}
export interface CompleteRequest extends UploadRef {
  readonly parts: readonly CompletePart[];
  readonly conditions?: Conditions;
  /** Whole-object checksum that the client expects. @throws 'BadDigest' */
  readonly checksum?: {
    readonly algorithm: ChecksumAlgorithm;
    readonly type?: ChecksumType;
    readonly value: string;
  };
  readonly checksumType?: ChecksumType;
  /** x-amz-mp-object-size. @throws 'InvalidRequest' */
  readonly objectSize?: number;
  readonly customerKey?: CustomerKey;
}
export interface ListPartsRequest extends UploadRef {
  readonly after: number;
  readonly limit: number;
}
export interface ListUploadsRequest {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly limit: number;
}

export interface ObjectStore {
  /** Ordered by name, after `after` (exclusive). */
  listBuckets(options?: {
    prefix?: string;
    after?: string;
    limit?: number;
  }): Promise<{ buckets: BucketInfo[]; next?: string }>;
  /** @throws 'BucketAlreadyOwnedByYou' | 'BucketAlreadyExists' */
  createBucket(name: string, owner: string): Promise<BucketInfo>;
  /** @throws 'NoSuchBucket' */
  bucket(name: string): Promise<BucketInfo>;
  /** @throws 'NoSuchBucket' | 'BucketNotEmpty' (versions, markers and objects count; unfinished uploads are aborted) */
  deleteBucket(name: string): Promise<void>;
  setVersioning(name: string, state: 'Enabled' | 'Suspended'): Promise<void>;
  setBucketTags(name: string, tags: Pairs): Promise<void>;

  put(request: PutRequest): Promise<WriteResult>;
  /**
   * Metadata only. An SSE-C object without its key: 'InvalidRequest'; wrong key: 'AccessDenied'. Failed conditions: 'PreconditionFailed' or
   * 'NotModified' (412 before 304). A delete marker as current version: 'NoSuchKey' with `deleteMarker` and `versionId` in its details; asked for by id:
   * 'MethodNotAllowed' likewise.
   */
  open(request: OpenRequest): Promise<OpenedObject>;
  /** The source's version is told where its bucket has, or had, versioning. */
  copy(request: CopyRequest): Promise<WriteResult & { sourceVersionId?: string }>;
  delete(request: DeleteRequest): Promise<DeleteResult>;
  /** Replaces the tags of a version in place. Returns the version touched. */
  setTags(request: OpenRequest, tags: Pairs): Promise<ObjectInfo>;
  /** Info without SSE-C key checks, conditions or pins: for tagging reads and permission checks. Same errors for absent versions as open. */
  stat(request: OpenRequest): Promise<ObjectInfo>;
  list(request: ListRequest): Promise<ListPage>;
  listVersions(request: ListVersionsRequest): Promise<ListVersionsPage>;

  createUpload(request: CreateUploadRequest): Promise<UploadInfo>;
  /** @throws 'NoSuchUpload' */
  upload(ref: UploadRef): Promise<UploadInfo>;
  putPart(request: PutPartRequest): Promise<PartInfo>;
  copyPart(request: CopyPartRequest): Promise<PartInfo & { sourceVersionId?: string }>;
  /** @throws 'NoSuchUpload' | 'InvalidPart' | 'InvalidPartOrder' | 'EntityTooSmall' | …; a retry after success answers the same object. */
  completeUpload(request: CompleteRequest): Promise<WriteResult>;
  abortUpload(ref: UploadRef): Promise<void>;
  listParts(
    request: ListPartsRequest,
  ): Promise<{ upload: UploadInfo; parts: PartInfo[]; truncated: boolean }>;
  listUploads(request: ListUploadsRequest): Promise<{
    uploads: UploadInfo[];
    commonPrefixes: string[];
    truncated: boolean;
    nextKeyMarker?: string;
    nextUploadIdMarker?: string;
  }>;
}

/** Kinds are S3 codes' causes; gateway/s3/errors.ts maps each to a code and a status, and does not compile without. */
export type EngineErrorKind =
  | 'NoSuchBucket'
  | 'BucketAlreadyExists'
  | 'BucketAlreadyOwnedByYou'
  | 'BucketNotEmpty'
  | 'NoSuchKey'
  | 'NoSuchVersion'
  | 'NoSuchUpload'
  | 'MethodNotAllowed'
  | 'PreconditionFailed'
  | 'NotModified'
  | 'ConditionalRequestConflict'
  | 'OperationAborted'
  | 'BadDigest'
  | 'ContentSha256Mismatch'
  | 'IncompleteBody'
  | 'EntityTooLarge'
  | 'EntityTooSmall'
  | 'InvalidPart'
  | 'InvalidPartOrder'
  | 'InvalidPartNumber'
  | 'InvalidRange'
  | 'InvalidRequest'
  | 'InvalidArgument'
  | 'KeyTooLong'
  | 'AccessDenied'
  | 'Unavailable'
  /** The failure domains that the operator requires to be survived cannot be had. */
  | 'DomainRule'
  | 'StorageFull'
  | 'Unreadable';

export interface EngineErrorDetails {
  readonly deleteMarker?: boolean;
  readonly versionId?: string;
  /** Of the current version, on 'NotModified'. */
  readonly info?: ObjectInfo;
  /** Extra elements of the error XML, such as PartNumber or Condition. */
  readonly fields?: Pairs;
}

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly kind: EngineErrorKind;
  readonly retryable: boolean;
  readonly details: EngineErrorDetails;
  constructor(
    kind: EngineErrorKind,
    message: string,
    details: EngineErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.kind = kind;
    this.details = details;
    this.retryable =
      kind === 'Unavailable' ||
      kind === 'DomainRule' ||
      kind === 'OperationAborted' ||
      kind === 'ConditionalRequestConflict';
  }
}
