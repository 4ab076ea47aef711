import { uploadIdOf } from '../headers/parameters.ts';
import { target } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const abortMultipartUpload: S3Operation = {
  name: 'AbortMultipartUpload',
  permission: 's3:AbortMultipartUpload',
  method: 'DELETE',
  target: 'object',
  query: ['uploadId'],
  async handle(request, context) {
    await context.store.abortUpload({ ...target(request), uploadId: uploadIdOf(request.query) });
    return { status: 204 };
  },
};
