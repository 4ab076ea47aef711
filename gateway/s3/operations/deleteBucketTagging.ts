import type { S3Operation } from '../types.ts';

export const deleteBucketTagging: S3Operation = {
  name: 'DeleteBucketTagging',
  permission: 's3:PutBucketTagging',
  method: 'DELETE',
  target: 'bucket',
  query: ['tagging'],
  async handle(request, { store }) {
    await store.setBucketTags(request.bucket ?? '', []);
    return { status: 204 };
  },
};
