import { createHash, randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure, makeBucket, useGateway, withHeaders } from './client.ts';

function customerKey() {
  const key = randomBytes(32);
  return {
    SSECustomerAlgorithm: 'AES256',
    SSECustomerKey: key.toString('base64'),
    SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
  };
}
type Key = ReturnType<typeof customerKey>;
const asSource = (key: Key) => ({
  CopySourceSSECustomerAlgorithm: key.SSECustomerAlgorithm,
  CopySourceSSECustomerKey: key.SSECustomerKey,
  CopySourceSSECustomerKeyMD5: key.SSECustomerKeyMD5,
});

describe('customer keys over TLS', () => {
  const gateway = useGateway({ protocol: 'https' });
  let bucket: string;
  beforeAll(async () => {
    bucket = await makeBucket(gateway.client);
  });

  test('read only with the key', async () => {
    const { client } = gateway;
    const target = { Bucket: bucket, Key: 'key' };
    const key = customerKey();
    const output = await client.send(new PutObjectCommand({ ...target, Body: 'secret', ...key }));
    expect([output.SSECustomerAlgorithm, output.SSECustomerKeyMD5, output.ServerSideEncryption]).toEqual([
      'AES256',
      key.SSECustomerKeyMD5,
      undefined,
    ]);
    const { Body } = await client.send(new GetObjectCommand({ ...target, ...key }));
    expect(await Body?.transformToString()).toBe('secret');
    const shown = await client.send(new HeadObjectCommand({ ...target, ...key }));
    expect(shown.SSECustomerKeyMD5).toBe(key.SSECustomerKeyMD5);

    expect((await failure(client.send(new GetObjectCommand(target)))).code).toBe('InvalidRequest');
    const wrong = await failure(client.send(new GetObjectCommand({ ...target, ...customerKey() })));
    expect([wrong.status, wrong.code]).toEqual([403, 'AccessDenied']);
    expect((await failure(client.send(new HeadObjectCommand(target)))).status).toBe(400);
    const attributes = new GetObjectAttributesCommand({
      ...target,
      ObjectAttributes: ['ObjectSize'],
      ...key,
    });
    expect((await client.send(attributes)).ObjectSize).toBe(6);
  });

  test('copies from one key to another', async () => {
    const { client } = gateway;
    const [from, to] = [customerKey(), customerKey()];
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'from', Body: 'secret', ...from }));
    await client.send(
      new CopyObjectCommand({
        Bucket: bucket,
        Key: 'to',
        CopySource: `${bucket}/from`,
        ...asSource(from),
        ...to,
      }),
    );
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'to', ...to }));
    expect(await Body?.transformToString()).toBe('secret');
    const without = new CopyObjectCommand({ Bucket: bucket, Key: 'x', CopySource: `${bucket}/from` });
    expect((await failure(client.send(without))).code).toBe('InvalidRequest');
    await client.send(
      new CopyObjectCommand({ Bucket: bucket, Key: 'from', CopySource: `${bucket}/from`, ...asSource(from) }),
    );
    const opened = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'from' }));
    expect(await opened.Body?.transformToString()).toBe('secret');
  });

  test('multipart', async () => {
    const { client } = gateway;
    const target = { Bucket: bucket, Key: 'parts' };
    const key = customerKey();
    const { UploadId, SSECustomerKeyMD5 } = await client.send(
      new CreateMultipartUploadCommand({ ...target, ...key }),
    );
    expect(SSECustomerKeyMD5).toBe(key.SSECustomerKeyMD5);
    const part = { ...target, UploadId, PartNumber: 1, Body: 'secret' };
    expect((await failure(client.send(new UploadPartCommand(part)))).code).toBe('InvalidRequest');
    const wrong = await failure(client.send(new UploadPartCommand({ ...part, ...customerKey() })));
    expect([wrong.status, wrong.code]).toEqual([400, 'InvalidRequest']);
    const { ETag } = await client.send(new UploadPartCommand({ ...part, ...key }));
    await client.send(
      new CompleteMultipartUploadCommand({
        ...target,
        UploadId,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      }),
    );
    const { Body } = await client.send(new GetObjectCommand({ ...target, ...key }));
    expect(await Body?.transformToString()).toBe('secret');
  });

  test('headers that do not agree', async () => {
    const put = (headers: Record<string, string>) =>
      failure(
        gateway.client.send(
          withHeaders(
            new PutObjectCommand({ Bucket: bucket, Key: 'bad', Body: 'x', ...customerKey() }),
            headers,
          ),
        ),
      );
    const name = 'x-amz-server-side-encryption-customer';
    expect((await put({ [`${name}-algorithm`]: 'AES128' })).code).toBe('InvalidEncryptionAlgorithmError');
    const { SSECustomerKeyMD5 } = customerKey();
    expect((await put({ [`${name}-key-md5`]: SSECustomerKeyMD5 })).code).toBe('InvalidArgument');
  });
});

describe('customer keys over plain HTTP', () => {
  const gateway = useGateway();

  test('are refused', async () => {
    const bucket = await makeBucket(gateway.client);
    const put = new PutObjectCommand({ Bucket: bucket, Key: 'key', Body: 'x', ...customerKey() });
    const error = await failure(gateway.client.send(put));
    expect([error.status, error.code]).toEqual([400, 'InvalidRequest']);
    expect(error.message).toContain('secure connection');
  });
});
