import {
  bucketOwner,
  commonPrefixElements,
  contentsElement,
  decodeToken,
  encodeToken,
  listingParameters,
  ownerElement,
} from '../listing.ts';
import type { S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const listObjectsV2: S3Operation = {
  name: 'ListObjectsV2',
  permission: 's3:ListBucket',
  method: 'GET',
  target: 'bucket',
  query: ['list-type=2'],
  async handle(request, context) {
    const { query } = request;
    const bucket = request.bucket ?? '';
    const { prefix, delimiter, maxKeys, encode, encodingType } = listingParameters(query);
    const token = query.get('continuation-token');
    const startAfter = query.get('start-after');
    const after = token === undefined || token === '' ? (startAfter ?? '') : decodeToken(token);
    const owner =
      query.get('fetch-owner') === 'true' ? ownerElement(await bucketOwner(request, context)) : undefined;
    const page = await context.store.list({ bucket, prefix, delimiter, after, limit: maxKeys });
    // With max-keys=0 there is nothing to continue, and clients would ask for ever.
    const next = page.truncated && maxKeys > 0 ? page.next : undefined;
    return xmlResponse(
      rootElement(
        'ListBucketResult',
        element('Name', bucket),
        element('Prefix', encode(prefix)),
        optional('ContinuationToken', token),
        next === undefined ? undefined : element('NextContinuationToken', encodeToken(next)),
        startAfter === undefined ? undefined : element('StartAfter', encode(startAfter)),
        element('KeyCount', page.objects.length + page.commonPrefixes.length),
        element('MaxKeys', maxKeys),
        delimiter === '' ? undefined : element('Delimiter', encode(delimiter)),
        optional('EncodingType', encodingType),
        element('IsTruncated', next !== undefined),
        page.objects.map((info) => contentsElement(info, encode, owner)),
        commonPrefixElements(page.commonPrefixes, encode),
      ),
    );
  },
};
