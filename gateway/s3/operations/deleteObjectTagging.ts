import { versionHeaders } from '../headers/object.ts';
import { targetVersion } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const deleteObjectTagging: S3Operation = {
  name: 'DeleteObjectTagging',
  permission: 's3:DeleteObjectTagging',
  method: 'DELETE',
  target: 'object',
  query: ['tagging'],
  async handle(request, context) {
    const info = await context.store.setTags(targetVersion(request), []);
    return { status: 204, headers: versionHeaders(info) };
  },
};
