import type { S3Operation } from '../types.ts';
import { rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const getBucketLocation: S3Operation = {
  name: 'GetBucketLocation',
  permission: 's3:GetBucketLocation',
  method: 'GET',
  target: 'bucket',
  query: ['location'],
  async handle(request, { store }) {
    const { region } = await store.bucket(request.bucket ?? '');
    // us-east-1 is the empty constraint: older than the others' names.
    return xmlResponse(rootElement('LocationConstraint', region === 'us-east-1' ? '' : region));
  },
};
