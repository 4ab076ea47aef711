import { defaultMultipartType, multipartTypeAllowed } from '../../engine/checksums.ts';
import type { ChecksumAlgorithm, ChecksumType } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../types.ts';
import { findAlgorithm } from './checksum.ts';

/** What a multipart upload will be checksummed with: x-amz-checksum-algorithm and x-amz-checksum-type. @throws S3Error 'InvalidRequest' */
export function uploadChecksum(
  headers: RequestHeaders,
): { algorithm: ChecksumAlgorithm; type: ChecksumType } | undefined {
  const algorithm = checksumAlgorithm(headers);
  const type = checksumType(headers);
  if (algorithm === undefined) {
    if (type === undefined) return undefined;
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    );
  }
  if (type === undefined) return { algorithm, type: defaultMultipartType(algorithm) };
  if (!multipartTypeAllowed(algorithm, type)) {
    throw new S3Error(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { algorithm, type };
}

/** x-amz-checksum-algorithm, as CopyObject and CreateMultipartUpload take it. @throws S3Error 'InvalidRequest' */
export function checksumAlgorithm(headers: RequestHeaders): ChecksumAlgorithm | undefined {
  const value = headers.get('x-amz-checksum-algorithm');
  if (value === undefined || value === '') return undefined;
  const algorithm = findAlgorithm(value);
  if (algorithm === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
    );
  }
  return algorithm;
}

/** x-amz-checksum-type. @throws S3Error 'InvalidRequest' */
export function checksumType(headers: RequestHeaders): ChecksumType | undefined {
  const value = headers.get('x-amz-checksum-type')?.trim().toUpperCase();
  if (value === undefined || value === '') return undefined;
  if (value === 'COMPOSITE' || value === 'FULL_OBJECT') return value;
  throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
}
