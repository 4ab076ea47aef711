/** ListObjects, ListObjectVersions and ListMultipartUploads. Order is that of the keys' UTF-8 bytes. */
import { findBucket } from './buckets.ts';
import { guardCodec, uploadCodec, versionCodec } from './codecs.ts';
import type { Context } from './context.ts';
import { behindVersion, Walk } from './cursors.ts';
import type { Item, Walked } from './cursors.ts';
import { objectInfo, uploadInfo } from './info.ts';
import {
  AFTER_ALL,
  AFTER_KEY,
  decodeKey,
  encodeKey,
  idAt,
  keyPlace,
  KIND,
  partitionOf,
  SEQUENCE_BYTES,
  TERMINATOR,
  UPLOAD_ID_BYTES,
} from './keys.ts';
import type { Hex } from './model.ts';
import { justAfter } from './scan.ts';
import type {
  ListPage,
  ListRequest,
  ListUploadsRequest,
  ListVersionsPage,
  ListVersionsRequest,
  ObjectInfo,
  ObjectStore,
  UploadInfo,
} from './types.ts';
import { isVersionId, NULL_VERSION, sequenceOf } from './versions.ts';

interface Listed {
  readonly key: Uint8Array;
  readonly item: Item;
}

interface Page {
  readonly listed: readonly Listed[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
  /** Encoded key or common prefix that came last. */
  readonly last: Uint8Array | undefined;
}

interface Walking {
  readonly bucket: Hex;
  readonly walked: Walked;
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
  /** First position to look at, before the prefix and delimiter rules. */
  readonly start: Uint8Array;
  /** Key or common prefix after which the page starts. */
  readonly after: Uint8Array;
  /** Sees every item that the walk comes by, in order. */
  readonly visit?: (listed: Listed) => void;
  /** Bytes behind the object key in a position. */
  readonly suffix: (item: Item) => number;
}

const later = (a: Uint8Array, b: Uint8Array): Uint8Array => (Buffer.compare(a, b) >= 0 ? a : b);
const behind = (prefix: Uint8Array): Buffer => Buffer.concat([prefix, AFTER_ALL]);

/** The common prefix of a key: up to the first delimiter behind the prefix asked for. */
function commonPrefix(key: Uint8Array, prefixLength: number, delimiter: Buffer): Uint8Array | undefined {
  if (delimiter.length === 0) return undefined;
  const at = Buffer.from(key.buffer, key.byteOffset, key.length).indexOf(delimiter, prefixLength);
  return at === -1 ? undefined : key.subarray(0, at + delimiter.length);
}

/** One page. A common prefix costs one seek, however many keys it stands for. */
async function walkPage(context: Context, walking: Walking): Promise<Page> {
  const { bucket, walked, limit, after } = walking;
  const listed: Listed[] = [];
  const prefixes: string[] = [];
  if (limit <= 0) return { listed, prefixes, truncated: false, last: undefined };
  const prefix = encodeKey(walking.prefix);
  const delimiter = encodeKey(walking.delimiter);
  // Inside or at the end of a common prefix: that one has been listed.
  const done = startsWith(after, prefix) ? commonPrefix(after, prefix.length, delimiter) : undefined;
  const from = later(prefix, done ? behind(done) : walking.start);
  const first = delimiter.length > 0 ? Math.min(limit + 1, 64) : limit + 1;
  const walk = new Walk(context, walked, bucket, { from, to: behind(prefix) }, first);
  let last: Uint8Array | undefined;
  for (;;) {
    const next = walk.peek();
    const item = next instanceof Promise ? await next : next;
    if (!item) return { listed, prefixes, truncated: false, last };
    const key = item.position.subarray(0, item.position.length - walking.suffix(item));
    walking.visit?.({ key, item });
    if (listed.length + prefixes.length === limit) return { listed, prefixes, truncated: true, last };
    const common = commonPrefix(key, prefix.length, delimiter);
    if (common) {
      prefixes.push(decodeKey(common));
      walk.seek(behind(common));
    } else {
      listed.push({ key, item });
      walk.advance();
    }
    last = common ?? key;
  }
}

const startsWith = (bytes: Uint8Array, prefix: Uint8Array): boolean =>
  bytes.length >= prefix.length && Buffer.compare(bytes.subarray(0, prefix.length), prefix) === 0;

/** First position behind a key and all its versions and uploads; the very first for no key. */
const behindKey = (key: Uint8Array): Uint8Array => (key.length === 0 ? key : Buffer.concat([key, AFTER_KEY]));

export async function list(context: Context, request: ListRequest): Promise<ListPage> {
  const { bucket, prefix, delimiter, limit } = request;
  const { record } = await findBucket(context, bucket);
  const after = encodeKey(request.after);
  const page = await walkPage(context, {
    bucket: record.id,
    walked: 'current',
    prefix,
    delimiter,
    limit,
    start: behindKey(after),
    after,
    suffix: () => 0,
  });
  const versioned = record.versioning !== 'Unversioned';
  return {
    objects: page.listed.map(({ key, item }) =>
      objectInfo(versionCodec.decode(item.value), { bucket, key: decodeKey(key), versioned, isLatest: true }),
    ),
    commonPrefixes: page.prefixes,
    truncated: page.truncated,
    ...(page.truncated && page.last ? { next: decodeKey(page.last) } : {}),
  };
}

/** Terminator and inverted sequence behind an older version's key. */
const versionSuffix = ({ kind }: Item): number => (kind === KIND.version ? 1 + SEQUENCE_BYTES : 0);

export async function listVersions(
  context: Context,
  request: ListVersionsRequest,
): Promise<ListVersionsPage> {
  const { bucket, prefix, delimiter, limit, versionIdMarker } = request;
  const { record } = await findBucket(context, bucket);
  const after = encodeKey(request.after);
  const sequence = versionIdMarker
    ? await markerSequence(context, record.id, after, versionIdMarker)
    : undefined;
  let newestOf: Uint8Array | undefined;
  const latest = new Set<Item>();
  const page = await walkPage(context, {
    bucket: record.id,
    walked: 'versions',
    prefix,
    delimiter,
    limit,
    start: sequence === undefined ? behindKey(after) : behindVersion(after, sequence),
    after,
    suffix: versionSuffix,
    visit: ({ key, item }) => {
      const goesOn = newestOf ?? (sequence === undefined ? undefined : after);
      const first = goesOn === undefined || Buffer.compare(goesOn, key) !== 0;
      if (first || item.kind === KIND.current) latest.add(item);
      newestOf = key;
    },
  });
  const versioned = record.versioning !== 'Unversioned';
  const versions = page.listed.map(({ key, item }): ObjectInfo => {
    const shown = { bucket, key: decodeKey(key), versioned, isLatest: latest.has(item) };
    return objectInfo(versionCodec.decode(item.value), shown);
  });
  const { truncated, prefixes: commonPrefixes, last } = page;
  if (!truncated || !last) return { versions, commonPrefixes, truncated };
  const nextKey = decodeKey(last);
  const shown = versions[versions.length - 1];
  const endsInVersion = shown?.key === nextKey;
  return {
    versions,
    commonPrefixes,
    truncated,
    nextKey,
    ...(endsInVersion ? { nextVersionId: shown.versionId } : {}),
  };
}

/** Sequence of a version marker; undefined where it can no longer be told: then the listing goes on behind the key. */
async function markerSequence(
  context: Context,
  bucket: Hex,
  key: Uint8Array,
  versionId: string,
): Promise<number | undefined> {
  if (!isVersionId(versionId)) return undefined;
  if (versionId !== NULL_VERSION) return sequenceOf(versionId);
  const place = keyPlace(bucket, key);
  const partition = partitionOf(bucket, key, context.kv.partitions);
  const current = await context.kv.get(partition, place.current);
  const record = current && versionCodec.decode(current);
  if (record?.versionId === NULL_VERSION) return record.sequence;
  const guard = await context.kv.get(partition, place.guard);
  return guard && guardCodec.decode(guard).nullSequence;
}

export const listUploads: (
  context: Context,
  request: ListUploadsRequest,
) => ReturnType<ObjectStore['listUploads']> = async (context, request) => {
  const { bucket, prefix, delimiter, limit, keyMarker, uploadIdMarker } = request;
  const { record } = await findBucket(context, bucket);
  const after = encodeKey(keyMarker);
  const withinKey = keyMarker !== '' && /^[0-9a-f]{32}$/.test(uploadIdMarker);
  const page = await walkPage(context, {
    bucket: record.id,
    walked: 'upload',
    prefix,
    delimiter,
    limit,
    start: withinKey
      ? justAfter(Buffer.concat([after, TERMINATOR, Buffer.from(uploadIdMarker, 'hex')]))
      : behindKey(after),
    after,
    suffix: () => 1 + UPLOAD_ID_BYTES,
  });
  const uploads = page.listed.map(({ key, item }): UploadInfo => {
    const uploadId = idAt(item.position, item.position.length - UPLOAD_ID_BYTES, UPLOAD_ID_BYTES);
    return uploadInfo(uploadCodec.decode(item.value), { bucket, key: decodeKey(key), uploadId });
  });
  const { truncated, prefixes: commonPrefixes, last } = page;
  if (!truncated || !last) return { uploads, commonPrefixes: [...commonPrefixes], truncated };
  const nextKeyMarker = decodeKey(last);
  const shown = uploads[uploads.length - 1];
  return {
    uploads,
    commonPrefixes: [...commonPrefixes],
    truncated,
    nextKeyMarker,
    ...(shown?.key === nextKeyMarker ? { nextUploadIdMarker: shown.uploadId } : {}),
  };
};
