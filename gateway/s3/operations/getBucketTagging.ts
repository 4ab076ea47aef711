import { S3Error } from '../errors.ts';
import { taggingElement } from '../headers/tagging.ts';
import type { S3Operation } from '../types.ts';
import { xmlResponse } from './xmlResponse.ts';

export const getBucketTagging: S3Operation = {
  name: 'GetBucketTagging',
  permission: 's3:GetBucketTagging',
  method: 'GET',
  target: 'bucket',
  query: ['tagging'],
  async handle(request, { store }) {
    const { name, tags } = await store.bucket(request.bucket ?? '');
    if (tags.length === 0) throw new S3Error('NoSuchTagSet', undefined, { fields: [['BucketName', name]] });
    return xmlResponse(taggingElement(tags));
  },
};
