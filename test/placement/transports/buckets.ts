import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { S3Location } from '../../../placement/transports/s3BucketCalls.ts';
import type { Gateway } from '../../support/gateway.ts';

let buckets = 0;

/** A new bucket at a gateway, which is as good an S3 service as any. */
export async function newLocation(
  { client, endpoint, credentials }: Gateway,
  change: Partial<S3Location> = {},
): Promise<S3Location> {
  const bucket = `shards-${++buckets}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  return {
    endpoint,
    region: 'us-east-1',
    bucket,
    prefix: 'some/where/',
    forcePathStyle: true,
    credentials: () => ({ accessKey: credentials.accessKeyId, secretKey: credentials.secretAccessKey }),
    capacity: 1_000_000_000,
    ...change,
  };
}

export async function putObject(
  { client }: Gateway,
  { bucket }: S3Location,
  key: string,
  body: Uint8Array | string,
): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
}

export async function objectBytes({ client }: Gateway, { bucket }: S3Location, key: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Buffer.from(await Body!.transformToByteArray());
}

export async function removeObject({ client }: Gateway, { bucket }: S3Location, key: string): Promise<void> {
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
}
