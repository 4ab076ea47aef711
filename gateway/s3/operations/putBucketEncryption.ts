import { S3Error } from '../errors.ts';
import { readCheckedXml } from '../headers/payload.ts';
import { notImplemented } from '../headers/refuse.ts';
import { child, childText, children } from '../parseXml.ts';
import type { S3Operation } from '../types.ts';

/** Bodies are encrypted whatever the bucket says, so the one setting that is accepted is the one in force: AES256. */
export const putBucketEncryption: S3Operation = {
  name: 'PutBucketEncryption',
  permission: 's3:PutEncryptionConfiguration',
  method: 'PUT',
  target: 'bucket',
  query: ['encryption'],
  async handle(request, { store }) {
    const configuration = await readCheckedXml(request, 'ServerSideEncryptionConfiguration');
    const rules = children(configuration, 'Rule');
    if (rules.length !== 1) throw new S3Error('MalformedXML');
    for (const rule of rules) {
      const byDefault = child(rule, 'ApplyServerSideEncryptionByDefault');
      const algorithm = byDefault === undefined ? undefined : childText(byDefault, 'SSEAlgorithm')?.trim();
      if (algorithm === undefined) throw new S3Error('MalformedXML');
      if (algorithm !== 'AES256') throw notImplemented(`SSEAlgorithm ${algorithm}`);
    }
    await store.bucket(request.bucket ?? '');
    return { status: 200 };
  },
};
