import { versionHeaders } from '../headers/object.ts';
import { taggingElement } from '../headers/tagging.ts';
import { targetVersion } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';
import { xmlResponse } from './xmlResponse.ts';

export const getObjectTagging: S3Operation = {
  name: 'GetObjectTagging',
  permission: 's3:GetObjectTagging',
  method: 'GET',
  target: 'object',
  query: ['tagging'],
  async handle(request, context) {
    const info = await context.store.stat(targetVersion(request));
    return xmlResponse(taggingElement(info.tags), versionHeaders(info));
  },
};
