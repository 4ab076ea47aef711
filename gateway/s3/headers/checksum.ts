import { CHECKSUM_ALGORITHMS, isChecksumValue } from '../../engine/checksums.ts';
import type { BodyPromises, Checksum, ChecksumAlgorithm, Pairs } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { RequestHeaders, S3Request } from '../types.ts';

const PREFIX = 'x-amz-checksum-';
/** Names under the prefix that carry no checksum. */
const SETTINGS: ReadonlySet<string> = new Set(['algorithm', 'mode', 'type']);

/** x-amz-checksum-crc32 and its like. */
export function checksumHeaderName(algorithm: ChecksumAlgorithm): string {
  return PREFIX + algorithm.toLowerCase();
}

/** As a response carries a checksum: its value and its type. */
export function checksumHeaders(checksum: Checksum | undefined): Pairs {
  if (checksum === undefined) return [];
  return [
    [checksumHeaderName(checksum.algorithm), checksum.value],
    ['x-amz-checksum-type', checksum.type],
  ];
}

/** The algorithm of any spelling in upper or lower case, undefined for one that Shardway does not compute. */
export function findAlgorithm(name: string): ChecksumAlgorithm | undefined {
  const upper = name.trim().toUpperCase();
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === upper);
}

export interface GivenChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly value: string;
}

/**
 * The one x-amz-checksum-* among the headers. @param suffix allow `-N`, as a composite checksum ends
 * @throws S3Error 'InvalidRequest' for a second one, an unknown algorithm and a malformed value
 */
export function checksumHeader(headers: RequestHeaders, suffix = false): GivenChecksum | undefined {
  let given: GivenChecksum | undefined;
  for (const [name, value] of headers.entries()) {
    if (!name.startsWith(PREFIX) || SETTINGS.has(name.slice(PREFIX.length))) continue;
    if (given !== undefined) throw severalChecksums();
    const algorithm = findAlgorithm(name.slice(PREFIX.length));
    if (algorithm === undefined) throw unknownAlgorithm();
    const digest = suffix ? value.replace(/-\d{1,5}$/, '') : value;
    if (!isChecksumValue(algorithm, digest)) throw invalidValue(name);
    given = { algorithm, value };
  }
  return given;
}

/** What the headers, the presigned query and the announced trailer promise of the body's checksum. @throws S3Error 'InvalidRequest' */
export function bodyChecksum(request: S3Request): BodyPromises['checksum'] {
  const header = checksumHeader(request.headers);
  const trailer = announcedChecksum(request.headers);
  if (header !== undefined && trailer !== undefined) throw severalChecksums();
  const named = namedAlgorithm(request.headers);
  const algorithm = header?.algorithm ?? trailer;
  if (algorithm === undefined) return queryChecksum(request) ?? onlyNamed(request.headers, named);
  if (named !== undefined && named.algorithm !== algorithm) throw invalidValue(named.header);
  if (header !== undefined) return { algorithm, expected: () => header.value };
  return { algorithm, expected: () => trailerValue(request, algorithm) };
}

function trailerValue(request: S3Request, algorithm: ChecksumAlgorithm): string {
  const name = checksumHeaderName(algorithm);
  const value = request.payload.trailer(name);
  if (value === undefined) throw new S3Error('MalformedTrailerError');
  if (!isChecksumValue(algorithm, value)) {
    throw new S3Error('InvalidRequest', `Value for ${name} trailing header is invalid.`);
  }
  return value;
}

/** The algorithm of the checksum that x-amz-trailer announces. */
function announcedChecksum(headers: RequestHeaders): ChecksumAlgorithm | undefined {
  let announced: ChecksumAlgorithm | undefined;
  for (const item of (headers.get('x-amz-trailer') ?? '').split(',')) {
    const name = item.trim().toLowerCase();
    if (!name.startsWith(PREFIX)) continue;
    if (announced !== undefined) throw severalChecksums();
    announced = findAlgorithm(name.slice(PREFIX.length));
    if (announced === undefined) throw unknownAlgorithm();
  }
  return announced;
}

/** SDKs say x-amz-sdk-checksum-algorithm; minio-go says x-amz-checksum-algorithm on uploads too. */
function namedAlgorithm(
  headers: RequestHeaders,
): { header: string; algorithm: ChecksumAlgorithm } | undefined {
  for (const header of ['x-amz-sdk-checksum-algorithm', 'x-amz-checksum-algorithm']) {
    const value = headers.get(header);
    if (value === undefined || value === '') continue;
    const algorithm = findAlgorithm(value);
    if (algorithm === undefined) throw invalidValue(header);
    return { header, algorithm };
  }
  return undefined;
}

/** An algorithm without a value: S3 refuses it from SDKs, whose value got lost; otherwise the checksum is computed and stored. */
function onlyNamed(
  headers: RequestHeaders,
  named: { header: string; algorithm: ChecksumAlgorithm } | undefined,
): BodyPromises['checksum'] {
  if (named === undefined) return undefined;
  // DELETE and XML bodies may come with Content-MD5 in its stead.
  if (named.header === 'x-amz-sdk-checksum-algorithm' && headers.get('content-md5') === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  return { algorithm: named.algorithm, expected: () => undefined };
}

/** Checksums of no bytes at all, base64. */
const OF_NOTHING: Readonly<Record<ChecksumAlgorithm, string>> = {
  CRC32: 'AAAAAA==',
  CRC32C: 'AAAAAA==',
  CRC64NVME: 'AAAAAAAAAAA=',
  SHA1: '2jmj7l5rSw0yVb/vlWAYkK/YBwk=',
  SHA256: '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
};

/**
 * A checksum in a presigned query. The AWS SDK for JavaScript signs the checksum of an empty body into every presigned upload, because
 * the body comes later; S3 does not check it, so that value promises nothing here. Any other was put there on purpose and is checked.
 */
function queryChecksum(request: S3Request): BodyPromises['checksum'] {
  for (const name of request.query.names()) {
    const lower = name.toLowerCase();
    if (!lower.startsWith(PREFIX) || SETTINGS.has(lower.slice(PREFIX.length))) continue;
    const algorithm = findAlgorithm(lower.slice(PREFIX.length));
    const value = request.query.get(name) ?? '';
    if (algorithm === undefined) throw unknownAlgorithm();
    if (!isChecksumValue(algorithm, value)) throw invalidValue(lower);
    return { algorithm, expected: () => (value === OF_NOTHING[algorithm] ? undefined : value) };
  }
  return undefined;
}

/** Base64 of Content-MD5. @throws S3Error 'InvalidDigest' for anything but 16 bytes, also for none */
export function contentMd5(headers: RequestHeaders): string | undefined {
  const value = headers.get('content-md5');
  if (value === undefined) return undefined;
  if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(value)) {
    throw new S3Error('InvalidDigest', undefined, { fields: [['Content-MD5', value]] });
  }
  return value;
}

function severalChecksums(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
  );
}

function unknownAlgorithm(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'The algorithm type you specified in x-amz-checksum- header is invalid.',
  );
}

function invalidValue(header: string): S3Error {
  return new S3Error('InvalidRequest', `Value for ${header} header is invalid.`);
}
