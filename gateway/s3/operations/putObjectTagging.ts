import { versionHeaders } from '../headers/object.ts';
import { readCheckedXml } from '../headers/payload.ts';
import { OBJECT_TAGS_MAX, parseTagging } from '../headers/tagging.ts';
import { targetVersion } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const putObjectTagging: S3Operation = {
  name: 'PutObjectTagging',
  permission: 's3:PutObjectTagging',
  method: 'PUT',
  target: 'object',
  query: ['tagging'],
  async handle(request, context) {
    const version = targetVersion(request);
    const tags = parseTagging(await readCheckedXml(request, 'Tagging'), OBJECT_TAGS_MAX);
    const info = await context.store.setTags(version, tags);
    return { status: 200, headers: versionHeaders(info) };
  },
};
