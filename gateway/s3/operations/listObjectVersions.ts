import { invalidArgument } from '../headers/refuse.ts';
import {
  bucketOwner,
  commonPrefixElements,
  listingParameters,
  ownerElement,
  versionElement,
} from '../listing.ts';
import type { S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const listObjectVersions: S3Operation = {
  name: 'ListObjectVersions',
  permission: 's3:ListBucketVersions',
  method: 'GET',
  target: 'bucket',
  query: ['versions'],
  async handle(request, context) {
    const { query } = request;
    const bucket = request.bucket ?? '';
    const { prefix, delimiter, maxKeys, encode, encodingType } = listingParameters(query);
    const keyMarker = query.get('key-marker') ?? '';
    const versionIdMarker = query.get('version-id-marker') ?? '';
    if (versionIdMarker !== '' && keyMarker === '') {
      throw invalidArgument(
        'A version-id marker cannot be specified without a key marker.',
        'version-id-marker',
        versionIdMarker,
      );
    }
    const owner = ownerElement(await bucketOwner(request, context));
    const page = await context.store.listVersions({
      bucket,
      prefix,
      delimiter,
      after: keyMarker,
      limit: maxKeys,
      ...(versionIdMarker !== '' && { versionIdMarker }),
    });
    // With max-keys=0 there is nothing to continue, and clients would ask for ever.
    const truncated = page.truncated && maxKeys > 0;
    const nextKey = truncated ? page.nextKey : undefined;
    return xmlResponse(
      rootElement(
        'ListVersionsResult',
        element('Name', bucket),
        element('Prefix', encode(prefix)),
        element('KeyMarker', encode(keyMarker)),
        element('VersionIdMarker', versionIdMarker),
        nextKey === undefined ? undefined : element('NextKeyMarker', encode(nextKey)),
        truncated ? optional('NextVersionIdMarker', page.nextVersionId) : undefined,
        element('MaxKeys', maxKeys),
        delimiter === '' ? undefined : element('Delimiter', encode(delimiter)),
        optional('EncodingType', encodingType),
        element('IsTruncated', truncated),
        page.versions.map((info) => versionElement(info, encode, owner)),
        commonPrefixElements(page.commonPrefixes, encode),
      ),
    );
  },
};
