// Drives a gateway with the AWS SDK for JavaScript (with lib-storage) and with minio-js, as their users do.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Client as MinioClient } from 'minio';

const [endpoint = '', accessKey = '', secretKey = ''] = process.argv.slice(2);
const bucket = 'sdk-bucket';
const large = randomBytes(37 * 1024 * 1024 + 3);

async function awsSdk(): Promise<void> {
  const s3 = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  const read = async (key: string): Promise<Buffer> => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    assert(Body);
    return Buffer.from(await Body.transformToByteArray());
  };
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'buffer', Body: large.subarray(0, 100_000) }));
  assert.deepEqual(await read('buffer'), large.subarray(0, 100_000));
  // A stream goes as aws-chunked with a trailer, on HTTP too.
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: 'stream',
      Body: Readable.from([large.subarray(0, 50_000), large.subarray(50_000, 200_000)]),
      ContentLength: 200_000,
      ContentEncoding: 'gzip',
    }),
  );
  assert.deepEqual(await read('stream'), large.subarray(0, 200_000));
  const head = await s3.send(
    new HeadObjectCommand({ Bucket: bucket, Key: 'stream', ChecksumMode: 'ENABLED' }),
  );
  assert.equal(head.ContentEncoding, 'gzip');
  assert.match(head.ChecksumCRC32 ?? '', /^[A-Za-z0-9+/]{6}==$/);
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    await new Upload({
      client: s3,
      params: {
        Bucket: bucket,
        Key: `large-${ChecksumAlgorithm}`,
        Body: Readable.from(pieces(large)),
        ChecksumAlgorithm,
      },
      partSize: 6 * 1024 * 1024,
    }).done();
    assert.deepEqual(await read(`large-${ChecksumAlgorithm}`), large);
  }
  const putUrl = await getSignedUrl(s3, new PutObjectCommand({ Bucket: bucket, Key: 'presigned' }), {
    expiresIn: 60,
  });
  assert.equal((await fetch(putUrl, { method: 'PUT', body: 'presigned body' })).status, 200);
  const getUrl = await getSignedUrl(s3, new GetObjectCommand({ Bucket: bucket, Key: 'presigned' }), {
    expiresIn: 60,
  });
  assert.equal(await (await fetch(getUrl)).text(), 'presigned body');
  const listed = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  const Objects = (listed.Contents ?? []).map(({ Key }) => ({ Key }));
  assert.equal(Objects.length, 8);
  const deleted = await s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
  assert.equal(deleted.Errors, undefined);
  await s3.send(new DeleteBucketCommand({ Bucket: bucket }));
}

async function minio(): Promise<void> {
  const url = new URL(endpoint);
  const client = new MinioClient({
    endPoint: url.hostname,
    port: Number(url.port),
    useSSL: url.protocol === 'https:',
    accessKey,
    secretKey,
  });
  await client.makeBucket('minio-bucket', 'us-east-1');
  const digest = createHash('sha256').update(large).digest('hex');
  for (const [name, body, size] of [
    ['buffer', large, large.length],
    ['stream', Readable.from(pieces(large)), undefined],
    ['empty', Buffer.alloc(0), 0],
  ] as const) {
    await client.putObject('minio-bucket', name, body, size, { 'x-amz-meta-test': 'value' });
    const hash = createHash('sha256');
    for await (const piece of await client.getObject('minio-bucket', name)) hash.update(piece as Buffer);
    assert.equal(hash.digest('hex'), name === 'empty' ? createHash('sha256').digest('hex') : digest);
    const stat = await client.statObject('minio-bucket', name);
    assert.equal(stat.metaData['test'], 'value');
  }
  const names: string[] = [];
  for await (const item of client.listObjectsV2('minio-bucket', '', true))
    names.push((item as { name: string }).name);
  assert.deepEqual(names, ['buffer', 'empty', 'stream']);
  await client.removeObjects('minio-bucket', names);
  await client.removeBucket('minio-bucket');
}

function* pieces(buffer: Buffer): Generator<Buffer> {
  for (let i = 0; i < buffer.length; i += 300_007) yield buffer.subarray(i, i + 300_007);
}

await awsSdk();
await minio();
process.stdout.write('ok\n');
