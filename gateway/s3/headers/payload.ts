import { createDigests } from '../../engine/checksums.ts';
import type { Body } from '../../engine/types.ts';
import { readBody } from '../body.ts';
import { S3Error } from '../errors.ts';
import { parseXml } from '../parseXml.ts';
import type { XmlElement } from '../parseXml.ts';
import type { S3Request } from '../types.ts';
import { utf8 } from '../uri.ts';
import { bodyChecksum, contentMd5 } from './checksum.ts';

/** Bytes of one PUT or one part: 5 GiB. Source: S3 user guide, "Amazon S3 multipart upload limits". */
const UPLOAD_BYTES_MAX = 5 * 1024 ** 3;

/** Bytes. 1,000 keys of 1,024 bytes, each byte escaped to six, and their version ids. */
const XML_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The request's body with all that the client promised of it.
 * @throws S3Error 'MissingContentLength' | 'EntityTooLarge' | 'InvalidDigest' | 'InvalidRequest'; 'MalformedTrailerError' once it is read
 */
export function uploadBody(request: S3Request): Body {
  const { payload, headers } = request;
  // Chunks of aws-chunked carry their lengths: such a body ends where its framing says, also without a declared length.
  const framed = (headers.get('x-amz-content-sha256') ?? '').startsWith('STREAMING-');
  if (payload.length === undefined && !framed) throw new S3Error('MissingContentLength');
  if (payload.length !== undefined && payload.length > UPLOAD_BYTES_MAX) throw tooLarge(payload.length);
  const md5 = contentMd5(headers);
  const checksum = bodyChecksum(request);
  return {
    bytes: payload.bytes,
    isOwned: true,
    ...(payload.length !== undefined && { length: payload.length }),
    ...(payload.sha256 !== undefined && { contentSha256: payload.sha256 }),
    ...(md5 !== undefined && { contentMd5: md5 }),
    ...(checksum !== undefined && { checksum }),
  };
}

function tooLarge(size: number): S3Error {
  return new S3Error('EntityTooLarge', undefined, {
    fields: [
      ['ProposedSize', String(size)],
      ['MaxSizeAllowed', String(UPLOAD_BYTES_MAX)],
    ],
  });
}

/**
 * The request's XML document, its bytes checked against Content-MD5, the signed hash and x-amz-checksum-*.
 * @throws S3Error 'MalformedXML' | 'BadDigest' | 'InvalidDigest' | 'InvalidRequest' | 'MaxMessageLengthExceeded'
 */
export async function readCheckedXml(request: S3Request, ...roots: readonly string[]): Promise<XmlElement> {
  const checksum = bodyChecksum(request);
  const body = await readBody(request, XML_BYTES_MAX);
  const expected = checksum?.expected();
  if (checksum !== undefined && expected !== undefined) {
    const digests = createDigests({ algorithm: checksum.algorithm });
    digests.update(body);
    if (digests.finish().checksum !== expected) {
      throw new S3Error(
        'BadDigest',
        `The ${checksum.algorithm} you specified did not match the calculated checksum.`,
      );
    }
  }
  const text = utf8(body);
  if (text === undefined) throw new S3Error('MalformedXML');
  return parseXml(text, ...roots);
}
