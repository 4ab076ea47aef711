import type { S3Client, CompletedPart, CreateMultipartUploadCommandInput } from '@aws-sdk/client-s3';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { MIB } from './client.ts';

/** The smallest part that may be followed by another. */
export const PART_BYTES = 5 * MIB;

export interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

/** Bytes that differ from part to part. */
export const partBody = (seed: number, size = PART_BYTES): Buffer => Buffer.alloc(size, `part ${seed};`);

export async function begin(
  client: S3Client,
  target: Target,
  input: Partial<CreateMultipartUploadCommandInput> = {},
): Promise<string> {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...target, ...input }));
  if (UploadId === undefined) throw new Error('no upload id');
  return UploadId;
}

export async function upload(
  client: S3Client,
  target: Target,
  UploadId: string,
  PartNumber: number,
  Body: Buffer,
): Promise<CompletedPart> {
  const output = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
  return { PartNumber, ETag: output.ETag };
}

export const complete = (client: S3Client, target: Target, UploadId: string, Parts: CompletedPart[]) =>
  client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));

/** A finished multipart object; parts are numbered as given. */
export async function makeMultipart(
  client: S3Client,
  target: Target,
  parts: readonly (readonly [number: number, body: Buffer])[],
  input: Partial<CreateMultipartUploadCommandInput> = {},
): Promise<void> {
  const UploadId = await begin(client, target, input);
  const done: CompletedPart[] = [];
  for (const [number, body] of parts) done.push(await upload(client, target, UploadId, number, body));
  await complete(client, target, UploadId, done);
}
