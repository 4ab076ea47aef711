import type { PartInfo, UploadInfo } from '../../engine/types.ts';
import type { Principal } from '../../auth/types.ts';
import { checksumElements } from '../headers/checksumXml.ts';
import { quoteEntityTag } from '../headers/conditions.ts';
import { formatIsoDate } from '../headers/dates.ts';
import { nonNegative, pageSize, uploadIdOf } from '../headers/parameters.ts';
import { storageClassOf } from '../headers/system.ts';
import { target } from '../headers/target.ts';
import { uploadOwnerElements } from '../headers/uploadXml.ts';
import type { S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import type { Markup } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const listParts: S3Operation = {
  name: 'ListParts',
  permission: 's3:ListMultipartUploadParts',
  method: 'GET',
  target: 'object',
  query: ['uploadId'],
  async handle(request, context) {
    const { query, principal } = request;
    const marker = query.get('part-number-marker');
    const after = marker === undefined || marker === '' ? 0 : nonNegative('part-number-marker', marker);
    const limit = pageSize('max-parts', query.get('max-parts'));
    const page = await context.store.listParts({
      ...target(request),
      uploadId: uploadIdOf(query),
      after,
      limit,
    });
    return xmlResponse(resultElement(page, { after, limit }, principal));
  },
};

interface Page {
  readonly upload: UploadInfo;
  readonly parts: readonly PartInfo[];
  readonly truncated: boolean;
}

function resultElement(
  { upload, parts, truncated }: Page,
  asked: { readonly after: number; readonly limit: number },
  principal: Principal,
): Markup {
  return rootElement(
    'ListPartsResult',
    element('Bucket', upload.bucket),
    element('Key', upload.key),
    element('UploadId', upload.uploadId),
    uploadOwnerElements(upload, principal),
    element('StorageClass', storageClassOf(upload.headers)),
    element('PartNumberMarker', asked.after),
    // Also on the last page, as on S3.
    element('NextPartNumberMarker', parts.at(-1)?.number ?? asked.after),
    element('MaxParts', asked.limit),
    element('IsTruncated', truncated),
    optional('ChecksumAlgorithm', upload.checksumAlgorithm),
    optional('ChecksumType', upload.checksumType),
    parts.map((part) =>
      element(
        'Part',
        element('PartNumber', part.number),
        element('LastModified', formatIsoDate(part.lastModified)),
        element('ETag', quoteEntityTag(part.etag)),
        element('Size', part.size),
        checksumElements(part.checksum),
      ),
    ),
  );
}
