import { invalidArgument } from '../headers/refuse.ts';
import { decodeToken, encodeToken, ownerElement } from '../listing.ts';
import type { Query, S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

/** Source: S3 API reference, ListBuckets. */
const BUCKETS_MAX = 10_000;

export const listBuckets: S3Operation = {
  name: 'ListBuckets',
  permission: 's3:ListAllMyBuckets',
  method: 'GET',
  target: 'service',
  async handle({ query, principal }, { store, region }) {
    const limit = maxBuckets(query);
    const prefix = query.get('prefix') ?? '';
    const token = query.get('continuation-token') ?? '';
    const wanted = query.get('bucket-region') ?? '';
    const page =
      wanted !== '' && wanted !== region
        ? { buckets: [] }
        : await store.listBuckets({
            prefix,
            ...(token !== '' && { after: decodeToken(token) }),
            ...(limit !== undefined && { limit }),
          });
    const buckets = page.buckets.map((bucket) =>
      element(
        'Bucket',
        element('Name', bucket.name),
        element('CreationDate', new Date(bucket.created).toISOString()),
        element('BucketRegion', bucket.region),
      ),
    );
    return xmlResponse(
      rootElement(
        'ListAllMyBucketsResult',
        ownerElement({ id: principal.owner, displayName: principal.displayName }),
        element('Buckets', buckets),
        optional('ContinuationToken', page.next === undefined ? undefined : encodeToken(page.next)),
        prefix === '' ? undefined : element('Prefix', prefix),
      ),
    );
  },
};

function maxBuckets(query: Query): number | undefined {
  const value = query.get('max-buckets') ?? '';
  if (value === '') return undefined;
  const number = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (number >= 1 && number <= BUCKETS_MAX) return number;
  throw invalidArgument('Argument max-buckets must be an integer between 1 and 10000', 'max-buckets', value);
}
