import type { S3Operation } from '../types.ts';

export const headBucket: S3Operation = {
  name: 'HeadBucket',
  permission: 's3:ListBucket',
  method: 'HEAD',
  target: 'bucket',
  async handle(request, { store }) {
    const { region } = await store.bucket(request.bucket ?? '');
    return {
      status: 200,
      headers: [
        ['x-amz-bucket-region', region],
        ['x-amz-access-point-alias', 'false'],
        ['content-type', 'application/xml'],
      ],
    };
  },
};
