import {
  bucketOwner,
  commonPrefixElements,
  contentsElement,
  listingParameters,
  ownerElement,
} from '../listing.ts';
import { invalidArgument } from '../headers/refuse.ts';
import type { S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const listObjects: S3Operation = {
  name: 'ListObjects',
  permission: 's3:ListBucket',
  method: 'GET',
  target: 'bucket',
  async handle(request, context) {
    const { query } = request;
    const bucket = request.bucket ?? '';
    const listType = query.get('list-type');
    if (listType !== undefined && listType !== '1') {
      throw invalidArgument('Invalid List Type specified in Request', 'list-type', listType);
    }
    const { prefix, delimiter, maxKeys, encode, encodingType } = listingParameters(query);
    const marker = query.get('marker') ?? '';
    const owner = ownerElement(await bucketOwner(request, context));
    const page = await context.store.list({ bucket, prefix, delimiter, after: marker, limit: maxKeys });
    // With max-keys=0 there is nothing to continue, and clients would ask for ever.
    const truncated = page.truncated && maxKeys > 0;
    return xmlResponse(
      rootElement(
        'ListBucketResult',
        element('Name', bucket),
        element('Prefix', encode(prefix)),
        element('Marker', encode(marker)),
        // Without a delimiter the last key is the next marker, and S3 leaves this out.
        truncated && delimiter !== '' && page.next !== undefined
          ? element('NextMarker', encode(page.next))
          : undefined,
        element('MaxKeys', maxKeys),
        delimiter === '' ? undefined : element('Delimiter', encode(delimiter)),
        optional('EncodingType', encodingType),
        element('IsTruncated', truncated),
        page.objects.map((info) => contentsElement(info, encode, owner)),
        commonPrefixElements(page.commonPrefixes, encode),
      ),
    );
  },
};
