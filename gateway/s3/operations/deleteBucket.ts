import type { S3Operation } from '../types.ts';

export const deleteBucket: S3Operation = {
  name: 'DeleteBucket',
  permission: 's3:DeleteBucket',
  method: 'DELETE',
  target: 'bucket',
  async handle(request, { store }) {
    await store.deleteBucket(request.bucket ?? '');
    return { status: 204 };
  },
};
