import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { forEachBounded } from '../concurrency.ts';
import type { S3CallOptions, S3Calls } from './s3BucketCalls.ts';
import type { ShardImage } from './s3BucketImage.ts';
import { aborted } from './orAborted.ts';

/** Parts of a multipart upload, and the longest object that is sent in one piece. S3 wants 5 MiB at least for each but the last. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 2;

export interface ObjectToPut {
  readonly bucket: string;
  readonly key: string;
  readonly image: ShardImage;
  /** True: fails with 'Conflict' where there is an object of this key. */
  readonly isNew: boolean;
}

/**
 * Makes an object of the image, in parts when it is long. Resolves when it is durable.
 * @param slots bounds the parts in memory of all uploads
 * @param onDecision called before the step that makes the object visible
 */
export async function uploadObject(
  calls: S3Calls,
  slots: Slots,
  object: ObjectToPut,
  signal: AbortSignal | undefined,
  onDecision: () => void,
): Promise<void> {
  const { bucket, key, image, isNew } = object;
  const condition = isNew ? { IfNoneMatch: '*' } : {};
  const final = { signal, bytes: image.size, decides: true };
  if (image.size <= PART_BYTES) {
    await slots.run(signal, async () => {
      const Body = await image.read(0, image.size);
      const command = new PutObjectCommand({
        ...describe(object),
        ...condition,
        Body,
        ContentLength: image.size,
      });
      onDecision();
      await calls.run((client, options) => client.send(command, options), final);
    });
    return;
  }
  const begin = new CreateMultipartUploadCommand(describe(object));
  const { UploadId } = await calls.run((client, options) => client.send(begin, options), { signal });
  const upload = { Bucket: bucket, Key: key, UploadId };
  try {
    const Parts = await sendParts(calls, slots, image, upload, { signal });
    const command = new CompleteMultipartUploadCommand({
      ...upload,
      ...condition,
      MultipartUpload: { Parts },
    });
    onDecision();
    await calls.run((client, options) => client.send(command, options), final);
  } catch (error) {
    const command = new AbortMultipartUploadCommand(upload);
    await calls.run((client, options) => client.send(command, options)).catch(() => undefined);
    throw error;
  }
}

function describe({ bucket, key, image }: ObjectToPut): PutObjectCommandInput {
  const root = Buffer.from(image.seal.root).toString('hex');
  return {
    Bucket: bucket,
    Key: key,
    ContentType: 'application/octet-stream',
    Metadata: { 'shardway-root': root },
  };
}

async function sendParts(
  calls: S3Calls,
  slots: Slots,
  image: ShardImage,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  { signal }: S3CallOptions,
): Promise<CompletedPart[]> {
  const parts = Array.from({ length: Math.ceil(image.size / PART_BYTES) }, (_, at): CompletedPart => ({
    PartNumber: at + 1,
  }));
  await forEachBounded(parts, PARTS_AT_ONCE, (part) =>
    slots.run(signal, async () => {
      const start = (part.PartNumber! - 1) * PART_BYTES;
      const Body = await image.read(start, Math.min(image.size, start + PART_BYTES));
      const { PartNumber } = part;
      const command = new UploadPartCommand({ ...upload, PartNumber, Body, ContentLength: Body.length });
      const bounds = { signal, bytes: Body.length };
      const sent = await calls.run((client, options) => client.send(command, options), bounds);
      part.ETag = sent.ETag;
    }),
  );
  return parts;
}

/** At most so many pieces of work at once; the others wait in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** @throws TransportError 'Aborted', and what the work throws */
  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      if (signal?.aborted) throw aborted(signal);
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
