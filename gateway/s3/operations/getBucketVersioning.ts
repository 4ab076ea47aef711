import type { S3Operation } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const getBucketVersioning: S3Operation = {
  name: 'GetBucketVersioning',
  permission: 's3:GetBucketVersioning',
  method: 'GET',
  target: 'bucket',
  query: ['versioning'],
  async handle(request, { store }) {
    const { versioning } = await store.bucket(request.bucket ?? '');
    const status = versioning === 'Unversioned' ? undefined : element('Status', versioning);
    return xmlResponse(rootElement('VersioningConfiguration', status));
  },
};
