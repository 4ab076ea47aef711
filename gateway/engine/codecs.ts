/**
 * Bytes of the engine's records: rows of MessagePack values, positional because a store holds one for every object.
 * A new field goes at the end of its row with a new format version and a migration.
 */
import type { ChunkRecord, DomainLevel } from '#placement';
import { defineRecord } from '../metadata/records.ts';
import type { RecordFormat } from '../metadata/records.ts';
import type {
  BodyPart,
  BucketRecord,
  CompletedRecord,
  GarbageRecord,
  GateRecord,
  GuardRecord,
  PartRecord,
  PackReference,
  PartSummary,
  ReservationRecord,
  Segment,
  StoredBody,
  StoredChunk,
  UploadedPart,
  UploadRecord,
  VersionRecord,
} from './model.ts';
import type { Checksum, ChecksumAlgorithm, ChecksumType, Pairs, VersioningState } from './types.ts';

export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
const raw = (digits: string): Uint8Array => Buffer.from(digits, 'hex');

/** A codec from a record's format and the two mappings between its value and its row. */
function codec<T, R extends readonly unknown[]>(
  name: string,
  toRow: (value: T) => R,
  fromRow: (row: R) => T,
  format: Pick<RecordFormat, 'version' | 'migrate'> = { version: 1 },
): Codec<T> {
  const record = defineRecord<R>({ name, ...format });
  return {
    encode: (value) => record.encode(toRow(value)),
    decode: (bytes) => fromRow(record.decode(bytes)),
  };
}

type ChecksumRow = [ChecksumAlgorithm, ChecksumType, string] | null;
const checksumRow = (checksum: Checksum | undefined): ChecksumRow =>
  checksum ? [checksum.algorithm, checksum.type, checksum.value] : null;
const checksumOf = (row: ChecksumRow): { checksum?: Checksum } =>
  row ? { checksum: { algorithm: row[0], type: row[1], value: row[2] } } : {};

const optional = <K extends string, V>(name: K, value: V | null): { [P in K]?: V } =>
  (value === null ? {} : { [name]: value }) as { [P in K]?: V };

type SegmentRow = [Uint8Array, string, Uint8Array, number, number, number, number, (Uint8Array | number)[]];

function segmentRow(segment: Segment): SegmentRow {
  const extents: (Uint8Array | number)[] = [];
  for (const { chunk, offset, length } of segment.extents) extents.push(raw(chunk), offset, length);
  const { body, keyId, wrapped, plainLength, start, end, cipherStart } = segment;
  return [raw(body), keyId, wrapped, plainLength, start, end, cipherStart, extents];
}

function segmentOf([body, keyId, wrapped, plainLength, start, end, cipherStart, flat]: SegmentRow): Segment {
  const extents = [];
  for (let i = 0; i + 2 < flat.length; i += 3) {
    extents.push({
      chunk: hex(flat[i] as Uint8Array),
      offset: flat[i + 1] as number,
      length: flat[i + 2] as number,
    });
  }
  return { body: hex(body), keyId, wrapped, plainLength, start, end, cipherStart, extents };
}

type SummaryRow = [number, number, Uint8Array, number, ChecksumRow];
const summaryRow = ({ number, size, etag, lastModified, checksum }: PartSummary): SummaryRow => [
  number,
  size,
  raw(etag),
  lastModified,
  checksumRow(checksum),
];
const summaryOf = ([number, size, etag, lastModified, checksum]: SummaryRow): PartSummary => ({
  number,
  size,
  etag: hex(etag),
  lastModified,
  ...checksumOf(checksum),
});

type BodyPartRow = [Uint8Array, SummaryRow | null, SegmentRow[]];
const bodyPartRow = (part: BodyPart): BodyPartRow => [
  raw(part.owner),
  part.summary ? summaryRow(part.summary) : null,
  part.segments.map(segmentRow),
];
const bodyPartOf = ([owner, summary, segments]: BodyPartRow): BodyPart => ({
  owner: hex(owner),
  ...(summary ? { summary: summaryOf(summary) } : {}),
  segments: segments.map(segmentOf),
});

export const pageCodec: Codec<readonly BodyPart[]> = codec<readonly BodyPart[], BodyPartRow[]>(
  'body page',
  (parts) => parts.map(bodyPartRow),
  (rows) => rows.map(bodyPartOf),
);

/** One of the two is null. */
type BodyRow = [BodyPartRow[] | null, Uint8Array | null];
const bodyRow = (body: StoredBody): BodyRow =>
  body.kind === 'inline' ? [body.parts.map(bodyPartRow), null] : [null, raw(body.id)];
const bodyOf = ([parts, id]: BodyRow): StoredBody =>
  parts ? { kind: 'inline', parts: parts.map(bodyPartOf) } : { kind: 'paged', id: hex(id!) };

export const bodyCodec = codec<StoredBody, BodyRow>('body', bodyRow, bodyOf);

/** One of the four is not null. */
type GarbageRow = [
  body: BodyRow | null,
  upload: Uint8Array | null,
  pages: Uint8Array | null,
  moved: [owner: Uint8Array, chunk: Uint8Array] | null,
];
export const garbageCodec = codec<GarbageRecord, GarbageRow>(
  'garbage',
  (garbage) => [
    garbage.kind === 'body' ? bodyRow(garbage.body) : null,
    garbage.kind === 'upload' ? raw(garbage.upload) : null,
    garbage.kind === 'pages' ? raw(garbage.pages) : null,
    garbage.kind === 'moved' ? [raw(garbage.owner), raw(garbage.chunk)] : null,
  ],
  ([body, upload, pages, moved]) => {
    if (body) return { kind: 'body', body: bodyOf(body) };
    if (moved) return { kind: 'moved', owner: hex(moved[0]), chunk: hex(moved[1]) };
    return upload ? { kind: 'upload', upload: hex(upload) } : { kind: 'pages', pages: hex(pages!) };
  },
  { version: 2, migrate: { 1: (older: readonly unknown[]) => [...older, null] } },
);

type AttributesRow = [Pairs, Pairs, Pairs, 'AES256' | null];

type VersionRow = [
  sequence: number,
  versionId: string,
  deleteMarker: boolean,
  lastModified: number,
  size: number,
  etag: string,
  attributes: AttributesRow,
  checksum: ChecksumRow,
  customerKeyMd5: string | null,
  body: Uint8Array,
];

export const versionCodec = codec<VersionRecord, VersionRow>(
  'version',
  (v) => [
    v.sequence,
    v.versionId,
    v.deleteMarker,
    v.lastModified,
    v.size,
    v.etag,
    [v.headers, v.userMetadata, v.tags, v.sse ?? null],
    checksumRow(v.checksum),
    v.customerKeyMd5 ?? null,
    v.body,
  ],
  ([sequence, versionId, deleteMarker, lastModified, size, etag, attributes, checksum, md5, body]) => ({
    sequence,
    versionId,
    deleteMarker,
    lastModified,
    size,
    etag,
    headers: attributes[0],
    userMetadata: attributes[1],
    tags: attributes[2],
    ...optional('sse', attributes[3]),
    ...checksumOf(checksum),
    ...optional('customerKeyMd5', md5),
    body,
  }),
);

export const guardCodec = codec<GuardRecord, [Uint8Array, number | null]>(
  'guard',
  ({ stamp, nullSequence }) => [raw(stamp), nullSequence ?? null],
  ([stamp, nullSequence]) => ({ stamp: hex(stamp), ...optional('nullSequence', nullSequence) }),
);

type BucketRow = [Uint8Array, number, string, VersioningState, Pairs, string | null, Uint8Array | null];
export const bucketCodec = codec<BucketRecord, BucketRow>(
  'bucket',
  ({ id, created, owner, versioning, tags, change }) => [
    raw(id),
    created,
    owner,
    versioning,
    tags,
    change?.kind ?? null,
    change ? raw(change.session) : null,
  ],
  ([id, created, owner, versioning, tags, kind, session]) => ({
    id: hex(id),
    created,
    owner,
    versioning,
    tags,
    ...(kind && session
      ? { change: { kind: kind as 'create' | 'delete' | 'versioning', session: hex(session) } }
      : {}),
  }),
);

export const gateCodec = codec<GateRecord, [boolean, VersioningState, Uint8Array]>(
  'gate',
  ({ open, versioning, stamp }) => [open, versioning, raw(stamp)],
  ([open, versioning, stamp]) => ({ open, versioning, stamp: hex(stamp) }),
);

type UploadRow = [
  number,
  string,
  AttributesRow,
  ChecksumAlgorithm | null,
  ChecksumType | null,
  string | null,
];
export const uploadCodec = codec<UploadRecord, UploadRow>(
  'upload',
  (u) => [
    u.initiated,
    u.initiator,
    [u.headers, u.userMetadata, u.tags, u.sse ?? null],
    u.checksumAlgorithm ?? null,
    u.checksumType ?? null,
    u.customerKeyMd5 ?? null,
  ],
  ([initiated, initiator, attributes, algorithm, type, md5]) => ({
    initiated,
    initiator,
    headers: attributes[0],
    userMetadata: attributes[1],
    tags: attributes[2],
    ...optional('sse', attributes[3]),
    ...optional('checksumAlgorithm', algorithm),
    ...optional('checksumType', type),
    ...optional('customerKeyMd5', md5),
  }),
);

type SurvivesRow = readonly DomainLevel[] | null;

/** Version 1 ended in whether sites and operators, the levels there were, are survived. */
const SURVIVES_FORMAT = {
  version: 2,
  migrate: {
    1: (older: readonly unknown[]): unknown[] => [...older.slice(0, -1), survivesOf1(older.at(-1))],
  },
};
const survivesOf1 = (kept: unknown): SurvivesRow => (kept === true ? ['site', 'operator'] : []);

export const partCodec = codec<PartRecord, [BodyPartRow, SurvivesRow]>(
  'part',
  ({ part, survives }) => [bodyPartRow(part), survives ?? null],
  ([row, survives]) => ({ part: bodyPartOf(row) as UploadedPart, survives: survives ?? undefined }),
  SURVIVES_FORMAT,
);

export const completedCodec = codec<CompletedRecord, [Uint8Array, string, Uint8Array, SurvivesRow]>(
  'completed upload',
  ({ bucket, key, version, survives }) => [raw(bucket), key, version, survives ?? null],
  ([bucket, key, version, survives]) => ({
    bucket: hex(bucket),
    key,
    version,
    survives: survives ?? undefined,
  }),
  SURVIVES_FORMAT,
);

type ChunkRow = [
  id: Uint8Array,
  data: number,
  parity: number,
  length: number,
  cell: number,
  generation: number,
  /** Provider and root in turn; null, null where there is no shard. */
  shards: (string | Uint8Array | null)[],
  touches: number,
  deleting: boolean,
  packed: boolean,
];

function chunkRow({ record, touches, deleting, packed }: StoredChunk): ChunkRow {
  const { id, profile, length, cell, generation } = record;
  const shards: (string | Uint8Array | null)[] = [];
  for (const shard of record.shards) shards.push(shard?.provider ?? null, shard?.root ?? null);
  return [raw(id), profile.data, profile.parity, length, cell, generation, shards, touches, deleting, packed];
}

function chunkOf(row: ChunkRow): StoredChunk {
  const [id, data, parity, length, cell, generation, flat, touches, deleting, packed] = row;
  const shards: (ChunkRecord['shards'][number] | undefined)[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const provider = flat[i] as string | null;
    shards.push(provider === null ? undefined : { provider, root: flat[i + 1] as Uint8Array });
  }
  const record = { id: hex(id), profile: { data, parity }, length, cell, generation, shards };
  return { record, touches, deleting, packed };
}

export const chunkCodec = codec<StoredChunk, ChunkRow>('chunk', chunkRow, chunkOf, {
  version: 2,
  // There were no packs.
  migrate: { 1: (older: readonly unknown[]) => [...older, false] },
});

type PackReferenceRow = [key: Uint8Array, sequence: number, length: number];
const packReferenceRest = codec<Omit<PackReference, 'bucket'>, PackReferenceRow>(
  'pack reference',
  ({ key, sequence, length }) => [key, sequence, length],
  ([key, sequence, length]) => ({ key, sequence, length }),
);

/** Every reference that names a bucket begins with the bucket's id. */
export const BUCKET_ID_BYTES = 8;

/** The bucket's id in front, as in every first reference to a chunk. */
export const packReferenceCodec: Codec<PackReference> = {
  encode: ({ bucket, ...rest }) => Buffer.concat([raw(bucket), packReferenceRest.encode(rest)]),
  decode: (bytes) => ({
    bucket: hex(bytes.subarray(0, BUCKET_ID_BYTES)),
    ...packReferenceRest.decode(bytes.subarray(BUCKET_ID_BYTES)),
  }),
};

export const reservationCodec = codec<ReservationRecord, [number[], number, number]>(
  'reservation',
  ({ unsettled, from, to }) => [[...unsettled], from, to],
  ([unsettled, from, to]) => ({ unsettled, from, to }),
);
