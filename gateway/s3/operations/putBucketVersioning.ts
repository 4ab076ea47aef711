import { S3Error } from '../errors.ts';
import { readCheckedXml } from '../headers/payload.ts';
import { notImplemented } from '../headers/refuse.ts';
import { childText } from '../parseXml.ts';
import type { S3Operation } from '../types.ts';

export const putBucketVersioning: S3Operation = {
  name: 'PutBucketVersioning',
  permission: 's3:PutBucketVersioning',
  method: 'PUT',
  target: 'bucket',
  query: ['versioning'],
  async handle(request, { store }) {
    const bucket = request.bucket ?? '';
    const configuration = await readCheckedXml(request, 'VersioningConfiguration');
    const status = childText(configuration, 'Status')?.trim();
    const mfaDelete = childText(configuration, 'MfaDelete')?.trim() ?? 'Disabled';
    if (mfaDelete !== 'Disabled') throw notImplemented('MfaDelete');
    if (status === undefined) {
      throw new S3Error(
        'IllegalVersioningConfigurationException',
        'The Versioning element must be specified',
      );
    }
    if (status !== 'Enabled' && status !== 'Suspended') throw new S3Error('MalformedXML');
    await store.setVersioning(bucket, status);
    return { status: 200 };
  },
};
