/** Streaming digests of a body, and S3's rules for the checksums of multipart uploads. */

import { createHash } from 'node:crypto';
import { startMd5 } from '#erasure';
import { crc32, crc32c } from '@node-rs/crc32';
import { createCrc64Nvme } from './crc64nvme.ts';
import { combineCrcs, CRC32, CRC32C, CRC64NVME } from './crcCombine.ts';
import type { CrcField } from './crcCombine.ts';
import { EngineError } from './types.ts';
import type { Checksum, ChecksumAlgorithm, ChecksumType } from './types.ts';

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
];

export interface DigestOptions {
  /** MD5 is always computed: it is the ETag. */
  readonly md5?: true;
  /** Also SHA-256 in hex, to compare with x-amz-content-sha256. */
  readonly sha256Hex?: boolean;
  /** Also this S3 checksum. */
  readonly algorithm?: ChecksumAlgorithm;
  /** MD5 side by side with those of other bodies under way: cheaper for large ones. What is not finished must then be released. */
  readonly sideBySide?: boolean;
}

export interface DigestResult {
  /** Lower-case hex. */
  readonly md5: string;
  /** Lower-case hex; present when `sha256Hex` was asked for. */
  readonly sha256?: string;
  /** Base64; present when `algorithm` was given. */
  readonly checksum?: string;
}

/** One body's digests. `update` any number of times, then `finish` once. */
export interface Digests {
  /** Keeps nothing of the bytes' memory. */
  update(bytes: Uint8Array): void;
  finish(): DigestResult;
  /** Gives up what was not finished; nothing afterwards. */
  release(): void;
}

interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(): Buffer;
}

export function createDigests({
  sha256Hex = false,
  algorithm,
  sideBySide = false,
}: DigestOptions = {}): Digests {
  const createMd5 = (): Hash => createHash('md5');
  const pooled = sideBySide ? startMd5(createMd5) : undefined;
  const md5 = pooled ?? createMd5();
  // A SHA-256 that is both promised payload hash and checksum is computed once.
  const sha256 = sha256Hex || algorithm === 'SHA256' ? createHash('sha256') : undefined;
  const other = algorithm && algorithm !== 'SHA256' ? HASHES[algorithm]() : undefined;
  return {
    update(bytes) {
      md5.update(bytes);
      sha256?.update(bytes);
      other?.update(bytes);
    },
    finish() {
      const sha256Digest = sha256?.digest();
      const checksum = algorithm === 'SHA256' ? sha256Digest : other?.digest();
      return {
        md5: md5.digest().toString('hex'),
        ...(sha256Hex && sha256Digest ? { sha256: sha256Digest.toString('hex') } : {}),
        ...(checksum ? { checksum: checksum.toString('base64') } : {}),
      };
    },
    release() {
      pooled?.release();
    },
  };
}

const HASHES: Record<ChecksumAlgorithm, () => Hash> = {
  CRC32: () => crcHash(crc32),
  CRC32C: () => crcHash(crc32c),
  CRC64NVME: () => createCrc64Nvme(),
  SHA1: () => createHash('sha1'),
  SHA256: () => createHash('sha256'),
};

function crcHash(step: (bytes: Uint8Array, crc: number) => number): Hash {
  let crc = 0;
  return {
    update(bytes) {
      crc = step(bytes, crc);
    },
    digest() {
      const digest = Buffer.alloc(4);
      digest.writeUInt32BE(crc);
      return digest;
    },
  };
}

const DIGEST_BYTES: Record<ChecksumAlgorithm, number> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

const CRC_FIELDS: Partial<Record<ChecksumAlgorithm, CrcField>> = { CRC32, CRC32C, CRC64NVME };

/**
 * Types that a multipart upload may ask for, its default first: only a CRC of the whole follows from those of the parts
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html). An object put in one piece always has FULL_OBJECT.
 */
const MULTIPART_TYPES: Record<ChecksumAlgorithm, readonly [ChecksumType, ...ChecksumType[]]> = {
  CRC32: ['COMPOSITE', 'FULL_OBJECT'],
  CRC32C: ['COMPOSITE', 'FULL_OBJECT'],
  CRC64NVME: ['FULL_OBJECT'],
  SHA1: ['COMPOSITE'],
  SHA256: ['COMPOSITE'],
};

/** May a multipart upload of this algorithm ask for this type? */
export function multipartTypeAllowed(algorithm: ChecksumAlgorithm, type: ChecksumType): boolean {
  return MULTIPART_TYPES[algorithm].includes(type);
}

/** Type of a multipart upload that names an algorithm and no type. */
export function defaultMultipartType(algorithm: ChecksumAlgorithm): ChecksumType {
  return MULTIPART_TYPES[algorithm][0];
}

/** Is it the base64 of a digest of the algorithm's length (without a `-N`)? */
export function isChecksumValue(algorithm: ChecksumAlgorithm, value: string): boolean {
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === DIGEST_BYTES[algorithm] && bytes.toString('base64') === value;
}

/** A part of a multipart upload, as the checksum of the whole needs it. */
export interface PartChecksum {
  /** Base64. */
  readonly value: string;
  /** Plaintext bytes of the part. */
  readonly length: number;
}

/**
 * Checksum of a multipart object from its parts in order.
 * @throws EngineError 'InvalidRequest' when the algorithm does not allow the type, or a part's value is malformed
 */
export function multipartChecksum(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly PartChecksum[],
): Checksum {
  if (!multipartTypeAllowed(algorithm, type)) {
    throw new EngineError('InvalidRequest', `The checksum type ${type} cannot be used with ${algorithm}.`);
  }
  const malformed = parts.findIndex(({ value }) => !isChecksumValue(algorithm, value));
  if (malformed !== -1) {
    throw new EngineError(
      'InvalidRequest',
      `The ${algorithm} checksum of part ${malformed + 1} is malformed.`,
    );
  }
  const field = CRC_FIELDS[algorithm];
  const value =
    type === 'FULL_OBJECT' && field ? fullObject(field, parts) : composite(HASHES[algorithm](), parts);
  return { algorithm, type, value };
}

function fullObject(field: CrcField, parts: readonly PartChecksum[]): string {
  const crcs = parts.map(({ value, length }) => ({ crc: toBigInt(Buffer.from(value, 'base64')), length }));
  const digits = combineCrcs(field, crcs).toString(16);
  return Buffer.from(digits.padStart(field.bits / 4, '0'), 'hex').toString('base64');
}

function composite(hash: Hash, parts: readonly PartChecksum[]): string {
  for (const { value } of parts) hash.update(Buffer.from(value, 'base64'));
  return `${hash.digest().toString('base64')}-${parts.length}`;
}

function toBigInt(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

/** ETag of a multipart object: hex MD5 of the parts' binary MD5s, then `-N`. Takes the parts' hex MD5s (unquoted ETags), in order. */
export function multipartETag(md5s: readonly string[]): string {
  const hash = createHash('md5');
  for (const md5 of md5s) hash.update(Buffer.from(md5, 'hex'));
  return `${hash.digest('hex')}-${md5s.length}`;
}
