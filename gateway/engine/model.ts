/** What the engine stores, in its own terms; codecs.ts turns each into bytes. */
import type { ChunkId, ChunkRecord, DomainLevel } from '#placement';
import type {
  Checksum,
  ChecksumAlgorithm,
  ChecksumType,
  ObjectAttributes,
  Pairs,
  VersioningState,
} from './types.ts';

/** Lower-case hex. */
export type Hex = string;

/** Change of a bucket that spans partitions and is under way; its session's death makes it resumable. */
export interface BucketChange {
  readonly kind: 'create' | 'delete' | 'versioning';
  readonly session: Hex;
}

export interface BucketRecord {
  /** 8 random bytes: a bucket created again never sees old keys. */
  readonly id: Hex;
  readonly created: number;
  readonly owner: string;
  readonly versioning: VersioningState;
  readonly tags: Pairs;
  readonly change?: BucketChange;
}

/** One partition's part of a bucket's state. Every commit to an object checks its exact bytes. */
export interface GateRecord {
  readonly open: boolean;
  readonly versioning: VersioningState;
  /** Another with every change: a state that comes back has other bytes. */
  readonly stamp: Hex;
}

/** A run of ciphertext within one chunk. */
export interface Extent {
  readonly chunk: ChunkId;
  readonly offset: number;
  readonly length: number;
}

/** A slice of one encrypted body. A copy makes a new slice of the same body: no data moves. */
export interface Segment {
  /** Id of the encrypted body: the context its data key is wrapped under. */
  readonly body: Hex;
  /** Which key wraps the data key: the keyring's generation, or 'customer'. */
  readonly keyId: string;
  readonly wrapped: Uint8Array;
  /** Plaintext bytes of the whole body. */
  readonly plainLength: number;
  /** Plaintext slice [start, end) of the body. */
  readonly start: number;
  readonly end: number;
  /** Ciphertext offset, in the body, of the first extent. */
  readonly cipherStart: number;
  readonly extents: readonly Extent[];
}

/** What an uploaded part shows of itself. */
export interface PartSummary {
  readonly number: number;
  readonly size: number;
  /** Hex MD5. */
  readonly etag: string;
  readonly lastModified: number;
  readonly checksum?: Checksum;
}

/** The bytes of one PUT, one part or one copy, with the id under which they hold references to their chunks. */
export interface BodyPart {
  readonly owner: Hex;
  /** Absent on a plain object. */
  readonly summary?: PartSummary;
  readonly segments: readonly Segment[];
}

/** A body in its version record, or in pages of their own when it is long. */
export type StoredBody =
  | { readonly kind: 'inline'; readonly parts: readonly BodyPart[] }
  | { readonly kind: 'paged'; readonly id: Hex };

export interface VersionRecord extends ObjectAttributes {
  /** Position in the key's history; larger is newer. */
  readonly sequence: number;
  readonly versionId: string;
  readonly deleteMarker: boolean;
  readonly lastModified: number;
  readonly size: number;
  readonly etag: string;
  readonly checksum?: Checksum;
  readonly customerKeyMd5?: string;
  /** Encoded StoredBody, decoded only by those who need it. Empty: no bytes. */
  readonly body: Uint8Array;
}

/** Changes whenever an older version or delete marker of the key comes or goes. */
export interface GuardRecord {
  readonly stamp: Hex;
  /** Sequence of the null version, when it lies among the older versions. */
  readonly nullSequence?: number;
}

export interface UploadRecord extends ObjectAttributes {
  readonly initiated: number;
  readonly initiator: string;
  readonly checksumAlgorithm?: ChecksumAlgorithm;
  readonly checksumType?: ChecksumType;
  readonly customerKeyMd5?: string;
}

export interface UploadedPart extends BodyPart {
  readonly summary: PartSummary;
}

export interface PartRecord {
  readonly part: UploadedPart;
  /** As in WriteResult. */
  readonly survives: readonly DomainLevel[] | undefined;
}

/** Answer to a retried CompleteMultipartUpload. */
export interface CompletedRecord {
  readonly bucket: Hex;
  /** Object key. */
  readonly key: string;
  /** The version as it was made, without its body. */
  readonly version: Uint8Array;
  readonly survives: readonly DomainLevel[] | undefined;
}

export interface StoredChunk {
  readonly record: ChunkRecord;
  /** A pack: several bodies lie in it, and each of its references says where its body is named. */
  readonly packed: boolean;
  /** Changes when a copy adds a reference: reclaim's commit fails then. */
  readonly touches: number;
  /** Reclaim has taken it: no new reference may be added. */
  readonly deleting: boolean;
}

/** Why a body holds a reference to a pack, and where a compaction finds the version that names it. */
export interface PackReference {
  readonly bucket: Hex;
  /** As stored: see encodeKey. */
  readonly key: Uint8Array;
  readonly sequence: number;
  /** Bytes of the pack that are the body's. */
  readonly length: number;
}

/** Something that nothing names any more. */
export type GarbageRecord =
  | { readonly kind: 'body'; readonly body: StoredBody }
  /** Pages only: what they name is still named by others. */
  | { readonly kind: 'pages'; readonly pages: Hex }
  /** Parts of an upload that was aborted or completed without them. */
  | { readonly kind: 'upload'; readonly upload: Hex }
  /** A body's reference to a pack that it was moved out of. */
  | { readonly kind: 'moved'; readonly owner: Hex; readonly chunk: ChunkId };

/** Counters of chunk ids that a session may have used in one partition. */
export interface ReservationRecord {
  /** Used or in use before `from`, with their outcome open. */
  readonly unsettled: readonly number[];
  readonly from: number;
  readonly to: number;
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);
