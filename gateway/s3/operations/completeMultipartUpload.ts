import type { CompletePart, CompleteRequest, ObjectStore } from '../../engine/types.ts';
import { readXmlBody } from '../body.ts';
import { S3Error } from '../errors.ts';
import { checksumHeader } from '../headers/checksum.ts';
import { checksumElements, childChecksum } from '../headers/checksumXml.ts';
import { quoteEntityTag, unquoteEntityTag, writeConditions } from '../headers/conditions.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { readCustomerKey } from '../headers/encryption.ts';
import { writeHeaders } from '../headers/object.ts';
import { PART_NUMBER_MAX, uploadIdOf } from '../headers/parameters.ts';
import { invalidArgument } from '../headers/refuse.ts';
import { target } from '../headers/target.ts';
import { checksumType } from '../headers/uploadChecksum.ts';
import { childText, children } from '../parseXml.ts';
import type { XmlElement } from '../parseXml.ts';
import { patient } from '../patient.ts';
import type { RequestHeaders, S3Operation, S3Request, S3Response } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const completeMultipartUpload: S3Operation = {
  name: 'CompleteMultipartUpload',
  permission: 's3:PutObject',
  method: 'POST',
  target: 'object',
  query: ['uploadId'],
  async handle(request, context) {
    const uploadId = uploadIdOf(request.query);
    const asked = askedInHeaders(effectiveHeaders(request), context.secure);
    const parts = parseParts(await readXmlBody(request, 'CompleteMultipartUpload'));
    const complete: CompleteRequest = { ...target(request), uploadId, parts, ...asked };
    return patient(request, carryOut(context.store, complete, locationOf(request, context.secure)));
  },
};

/** Checksums among the headers are of the object to be, not of the request's body. */
function askedInHeaders(
  headers: RequestHeaders,
  secure: boolean,
): Pick<CompleteRequest, 'conditions' | 'checksum' | 'checksumType' | 'objectSize' | 'customerKey'> {
  const conditions = writeConditions(headers);
  const customerKey = readCustomerKey(headers, secure);
  const checksum = checksumHeader(headers, true);
  const type = checksumType(headers);
  const size = headers.get('x-amz-mp-object-size');
  if (size !== undefined && !/^\d{1,15}$/.test(size)) {
    throw invalidArgument('The object size must be a number of bytes.', 'x-amz-mp-object-size', size);
  }
  return {
    ...(conditions !== undefined && { conditions }),
    ...(checksum !== undefined && { checksum: { ...checksum, ...(type !== undefined && { type }) } }),
    ...(type !== undefined && { checksumType: type }),
    ...(size !== undefined && { objectSize: Number(size) }),
    ...(customerKey !== undefined && { customerKey }),
  };
}

function parseParts(document: XmlElement): readonly CompletePart[] {
  const parts = children(document, 'Part').map(parsePart);
  if (parts.length === 0 || parts.length > PART_NUMBER_MAX) throw new S3Error('MalformedXML');
  return parts;
}

function parsePart(part: XmlElement): CompletePart {
  const number = childText(part, 'PartNumber')?.trim() ?? '';
  const etag = childText(part, 'ETag');
  if (etag === undefined || !/^\d{1,9}$/.test(number)) throw new S3Error('MalformedXML');
  if (Number(number) < 1 || Number(number) > PART_NUMBER_MAX) {
    throw invalidArgument(
      'Part number must be an integer between 1 and 10000, inclusive',
      'partNumber',
      number,
    );
  }
  const checksum = childChecksum(part);
  return {
    number: Number(number),
    etag: unquoteEntityTag(etag),
    ...(checksum !== undefined && { checksum }),
  };
}

/** The object's own URL, in the style that the client addresses it. */
function locationOf({ headers, rawPath }: S3Request, secure: boolean): string {
  const host = headers.get('host');
  return host === undefined ? rawPath : `${secure ? 'https' : 'http'}://${host}${rawPath}`;
}

async function carryOut(
  store: ObjectStore,
  complete: CompleteRequest,
  location: string,
): Promise<S3Response> {
  const result = await store.completeUpload(complete);
  const { info } = result;
  return xmlResponse(
    rootElement(
      'CompleteMultipartUploadResult',
      element('Location', location),
      element('Bucket', info.bucket),
      element('Key', info.key),
      element('ETag', quoteEntityTag(info.etag)),
      checksumElements(info.checksum, true),
    ),
    writeHeaders(result),
  );
}
