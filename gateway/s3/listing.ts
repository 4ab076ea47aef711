import type { ObjectInfo } from '../engine/types.ts';
import { S3Error } from './errors.ts';
import { invalidArgument } from './headers/refuse.ts';
import type { Query, S3Context, S3Request } from './types.ts';
import { Markup, element, escapeXml, optional, urlEncode } from './xml.ts';

/** Source: S3 API reference, ListObjectsV2: "up to 1,000". */
const PAGE_MAX = 1000;

/** What every listing of keys takes. */
export interface ListingParameters {
  readonly prefix: string;
  readonly delimiter: string;
  readonly maxKeys: number;
  /** Encodes keys, prefixes, delimiters and markers for the response. */
  readonly encode: (text: string) => string;
  readonly encodingType: 'url' | undefined;
}

/** @throws S3Error 'InvalidArgument' */
export function listingParameters(query: Query): ListingParameters {
  const encodingType = query.get('encoding-type') ?? '';
  if (encodingType !== '' && encodingType !== 'url') {
    throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', encodingType);
  }
  return {
    prefix: query.get('prefix') ?? '',
    delimiter: query.get('delimiter') ?? '',
    maxKeys: maxKeysOf(query),
    encode: encodingType === 'url' ? urlEncode : (text) => text,
    encodingType: encodingType === 'url' ? 'url' : undefined,
  };
}

function maxKeysOf(query: Query): number {
  const value = query.get('max-keys') ?? '';
  if (value === '') return PAGE_MAX;
  if (!/^\d{1,10}$/.test(value) || Number(value) > 2_147_483_647) {
    throw invalidArgument('Provided max-keys not an integer or within integer range', 'max-keys', value);
  }
  return Math.min(Number(value), PAGE_MAX);
}

export interface Owner {
  readonly id: string;
  readonly displayName: string | undefined;
}

/** Owner of a bucket and so of all objects in it. @throws EngineError 'NoSuchBucket' */
export async function bucketOwner(request: S3Request, { store }: S3Context): Promise<Owner> {
  const { owner } = await store.bucket(request.bucket ?? '');
  const own = request.principal.owner === owner;
  return { id: owner, displayName: own ? request.principal.displayName : undefined };
}

export function ownerElement({ id, displayName }: Owner): Markup {
  return element('Owner', element('ID', id), optional('DisplayName', displayName));
}

/** `<Contents>` of ListObjects. One template: a page has a thousand. */
export function contentsElement(
  info: ObjectInfo,
  encode: ListingParameters['encode'],
  owner: Markup | undefined,
): Markup {
  return new Markup(
    `<Contents><Key>${escapeXml(encode(info.key))}</Key>${describe(info)}${owner?.source ?? ''}</Contents>`,
  );
}

/** `<Version>` or `<DeleteMarker>` of ListObjectVersions. */
export function versionElement(info: ObjectInfo, encode: ListingParameters['encode'], owner: Markup): Markup {
  const name = info.deleteMarker ? 'DeleteMarker' : 'Version';
  const description = info.deleteMarker ? lastModified(info) : describe(info);
  return new Markup(
    `<${name}><Key>${escapeXml(encode(info.key))}</Key><VersionId>${escapeXml(info.versionId)}</VersionId>` +
      `<IsLatest>${info.isLatest}</IsLatest>${description}${owner.source}</${name}>`,
  );
}

function describe(info: ObjectInfo): string {
  const { checksum } = info;
  const storageClass = info.headers.find(([name]) => name === 'x-amz-storage-class')?.[1] ?? 'STANDARD';
  return (
    `${lastModified(info)}<ETag>&quot;${escapeXml(info.etag)}&quot;</ETag>` +
    (checksum === undefined
      ? ''
      : `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.type}</ChecksumType>`) +
    `<Size>${info.size}</Size><StorageClass>${escapeXml(storageClass)}</StorageClass>`
  );
}

function lastModified(info: ObjectInfo): string {
  return `<LastModified>${new Date(info.lastModified).toISOString()}</LastModified>`;
}

export function commonPrefixElements(
  prefixes: readonly string[],
  encode: ListingParameters['encode'],
): Markup[] {
  return prefixes.map((prefix) => element('CommonPrefixes', element('Prefix', encode(prefix))));
}

/** Opaque to clients; the first character is the format's version. */
const TOKEN_VERSION = '1';

export function encodeToken(text: string): string {
  return TOKEN_VERSION + Buffer.from(text, 'utf8').toString('base64url');
}

/** @throws S3Error 'InvalidArgument' */
export function decodeToken(token: string): string {
  const text = Buffer.from(token.slice(1), 'base64url').toString('utf8');
  if (encodeToken(text) === token) return text;
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
    fields: [
      ['ArgumentName', 'continuation-token'],
      ['ArgumentValue', token],
    ],
  });
}
