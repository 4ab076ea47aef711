import { readCheckedXml } from '../headers/payload.ts';
import { BUCKET_TAGS_MAX, parseTagging } from '../headers/tagging.ts';
import type { S3Operation } from '../types.ts';

export const putBucketTagging: S3Operation = {
  name: 'PutBucketTagging',
  permission: 's3:PutBucketTagging',
  method: 'PUT',
  target: 'bucket',
  query: ['tagging'],
  async handle(request, { store }) {
    const tags = parseTagging(await readCheckedXml(request, 'Tagging'), BUCKET_TAGS_MAX);
    await store.setBucketTags(request.bucket ?? '', tags);
    return { status: 204 };
  },
};
