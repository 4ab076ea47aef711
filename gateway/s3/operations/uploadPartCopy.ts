import { checksumElements } from '../headers/checksumXml.ts';
import { quoteEntityTag } from '../headers/conditions.ts';
import { copiedVersionHeaders, copySourceRequest, copying } from '../headers/copy.ts';
import { COPY_SOURCE_HEADER } from '../headers/copySource.ts';
import { formatIsoDate } from '../headers/dates.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { encryptionHeaders, readCustomerKey } from '../headers/encryption.ts';
import { requiredPartNumber, uploadIdOf } from '../headers/parameters.ts';
import { parseCopySourceRange } from '../headers/range.ts';
import { target } from '../headers/target.ts';
import { patient } from '../patient.ts';
import type { CopyPartRequest, ObjectStore } from '../../engine/types.ts';
import type { S3Operation, S3Response } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const uploadPartCopy: S3Operation = {
  name: 'UploadPartCopy',
  permission: 's3:PutObject',
  method: 'PUT',
  target: 'object',
  query: ['partNumber', 'uploadId'],
  headers: [COPY_SOURCE_HEADER],
  async handle(request, context) {
    const headers = effectiveHeaders(request);
    const range = parseCopySourceRange(headers.get('x-amz-copy-source-range'));
    const customerKey = readCustomerKey(headers, context.secure);
    const copy: CopyPartRequest = {
      ...target(request),
      uploadId: uploadIdOf(request.query),
      partNumber: requiredPartNumber(request.query),
      source: copySourceRequest(headers, context.secure),
      ...(range !== undefined && { range }),
      ...(customerKey !== undefined && { customerKey }),
    };
    return patient(request, copying(carryOut(context.store, copy)));
  },
};

async function carryOut(store: ObjectStore, copy: CopyPartRequest): Promise<S3Response> {
  const part = await store.copyPart(copy);
  return xmlResponse(
    rootElement(
      'CopyPartResult',
      element('LastModified', formatIsoDate(part.lastModified)),
      element('ETag', quoteEntityTag(part.etag)),
      checksumElements(part.checksum),
    ),
    [...copiedVersionHeaders(copy.source, part.sourceVersionId), ...encryptionHeaders(copy.customerKey?.md5)],
  );
}
