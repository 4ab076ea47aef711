import { createDigests } from '../engine/checksums.ts';
import { S3Error } from './errors.ts';
import { contentMd5 } from './headers/checksum.ts';
import { parseXml } from './parseXml.ts';
import type { XmlElement } from './parseXml.ts';
import type { S3Request } from './types.ts';
import { utf8 } from './uri.ts';

/** Bytes. 1,000 keys of 1,024 bytes each, every byte escaped to six, and 10,000 parts with checksums both fit. */
const XML_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Reads a small request body whole and checks Content-MD5 and the signed SHA-256. What x-amz-checksum-* is of depends on the operation.
 * @throws S3Error 'MaxMessageLengthExceeded' | 'BadDigest' | 'InvalidDigest' | 'XAmzContentSHA256Mismatch'
 */
export async function readBody(request: S3Request, bytesMax: number): Promise<Uint8Array> {
  const { payload, headers } = request;
  const md5 = contentMd5(headers);
  if ((payload.length ?? 0) > bytesMax) throw tooBig(bytesMax);
  const digests = createDigests({ sha256Hex: payload.sha256 !== undefined });
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of payload.bytes) {
    length += piece.length;
    if (length > bytesMax) throw tooBig(bytesMax);
    digests.update(piece);
    pieces.push(piece);
  }
  const found = digests.finish();
  if (payload.sha256 !== undefined && found.sha256 !== payload.sha256) {
    throw new S3Error('XAmzContentSHA256Mismatch');
  }
  if (md5 !== undefined && found.md5 !== Buffer.from(md5, 'base64').toString('hex')) {
    throw new S3Error('BadDigest');
  }
  return Buffer.concat(pieces, length);
}

/** The request's XML document. @throws S3Error 'MalformedXML', also for an empty body, and readBody's */
export async function readXmlBody(request: S3Request, ...roots: readonly string[]): Promise<XmlElement> {
  return parseXml(await readText(request), ...roots);
}

/** Like readXmlBody; undefined where the body is blank. */
export async function readOptionalXmlBody(
  request: S3Request,
  ...roots: readonly string[]
): Promise<XmlElement | undefined> {
  const text = await readText(request);
  return text.trim() === '' ? undefined : parseXml(text, ...roots);
}

async function readText(request: S3Request): Promise<string> {
  const text = utf8(await readBody(request, XML_BYTES_MAX));
  if (text === undefined) throw new S3Error('MalformedXML');
  return text;
}

function tooBig(bytesMax: number): S3Error {
  return new S3Error('MaxMessageLengthExceeded', undefined, {
    fields: [['MaxMessageLengthBytes', String(bytesMax)]],
  });
}
