import type { Principal } from '../../auth/types.ts';
import type { UploadInfo } from '../../engine/types.ts';
import { formatIsoDate } from '../headers/dates.ts';
import { pageSize } from '../headers/parameters.ts';
import { storageClassOf } from '../headers/system.ts';
import { targetBucket } from '../headers/target.ts';
import { uploadOwnerElements } from '../headers/uploadXml.ts';
import { commonPrefixElements, listingParameters } from '../listing.ts';
import type { S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import type { Markup } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const listMultipartUploads: S3Operation = {
  name: 'ListMultipartUploads',
  permission: 's3:ListBucketMultipartUploads',
  method: 'GET',
  target: 'bucket',
  query: ['uploads'],
  async handle(request, context) {
    const { query, principal } = request;
    const { prefix, delimiter, encode, encodingType } = listingParameters(query);
    const keyMarker = query.get('key-marker') ?? '';
    // Without a key it says nothing, as on S3.
    const uploadIdMarker = keyMarker === '' ? '' : (query.get('upload-id-marker') ?? '');
    const limit = pageSize('max-uploads', query.get('max-uploads'));
    const bucket = targetBucket(request);
    const page = await context.store.listUploads({
      bucket,
      prefix,
      delimiter,
      keyMarker,
      uploadIdMarker,
      limit,
    });
    const nextKey = page.nextKeyMarker === undefined ? undefined : encode(page.nextKeyMarker);
    return xmlResponse(
      rootElement(
        'ListMultipartUploadsResult',
        element('Bucket', bucket),
        element('KeyMarker', encode(keyMarker)),
        element('UploadIdMarker', uploadIdMarker),
        page.truncated ? optional('NextKeyMarker', nextKey) : undefined,
        page.truncated ? optional('NextUploadIdMarker', page.nextUploadIdMarker) : undefined,
        element('Prefix', encode(prefix)),
        delimiter === '' ? undefined : element('Delimiter', encode(delimiter)),
        optional('EncodingType', encodingType),
        element('MaxUploads', limit),
        element('IsTruncated', page.truncated),
        page.uploads.map((upload) => uploadElement(upload, encode, principal)),
        commonPrefixElements(page.commonPrefixes, encode),
      ),
    );
  },
};

function uploadElement(upload: UploadInfo, encode: (text: string) => string, principal: Principal): Markup {
  return element(
    'Upload',
    element('Key', encode(upload.key)),
    element('UploadId', upload.uploadId),
    uploadOwnerElements(upload, principal),
    element('StorageClass', storageClassOf(upload.headers)),
    element('Initiated', formatIsoDate(upload.initiated)),
    optional('ChecksumAlgorithm', upload.checksumAlgorithm),
    optional('ChecksumType', upload.checksumType),
  );
}
