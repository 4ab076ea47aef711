import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';

const PART_BYTES = 5 * 1024 * 1024;

/** A body that tells which write it is, and whether it is whole. */
function bodyOf(write: number, size: number): Buffer {
  const body = Buffer.alloc(Math.max(size, 16), createHash('sha256').update(`write ${write}`).digest());
  body.writeDoubleBE(write, 0);
  body.writeDoubleBE(body.length, 8);
  return body;
}

/** The write a body came from. @throws Error when it is torn, mixed or wrong in any byte */
function writeOf(body: Buffer): number {
  const write = body.length < 16 ? -1 : body.readDoubleBE(0);
  if (!bodyOf(write, body.length).equals(body) || body.readDoubleBE(8) !== body.length) {
    throw new Error(`torn body of ${body.length} bytes`);
  }
  return write;
}

/** What clients do. Shares of all requests; what is left is PUTs. */
export interface Mix {
  readonly keysPerClient: number;
  readonly deletes: number;
  readonly multiparts: number;
  /** Bytes of a PUT's body. @param chance in [0, 1) */
  readonly bytes: (chance: number) => number;
}

const OF_EVERYTHING: Mix = {
  keysPerClient: 12,
  deletes: 0.2,
  multiparts: 0.15,
  bytes: (chance) => (chance < 0.1 ? 3_000_000 : Math.floor(16 + (chance - 0.1) * 66_000)),
};

/** What one key may hold: undefined stands for absent. After an unanswered write more than one answer is right. */
type Possible = Set<number | undefined>;

/**
 * Clients that write, overwrite, delete and upload in parts, each on keys of its own, and remember what was acknowledged. The
 * same history goes on over any number of crashes of the server.
 */
export class History {
  readonly #bucket: string;
  readonly #keys = new Map<string, Possible>();
  readonly #random: () => number;
  readonly #mix: Mix;
  #writes = 0;
  acknowledged = 0;
  unanswered = 0;

  constructor(bucket: string, random: () => number, mix: Mix = OF_EVERYTHING) {
    this.#bucket = bucket;
    this.#random = random;
    this.#mix = mix;
  }

  /** Keys that hold something, as far as is known. */
  get present(): number {
    return [...this.#keys.values()].filter((possible) => !possible.has(undefined)).length;
  }

  /** One client's loop, until a request is not answered (the server is gone) or `stopped` says so. */
  async client(s3: S3Client, name: string, stopped: () => boolean): Promise<void> {
    while (!stopped()) {
      const key = `${name}/${Math.floor(this.#random() * this.#mix.keysPerClient)}`;
      const before = this.#keys.get(key) ?? new Set([undefined]);
      const write = ++this.#writes;
      const chance = this.#random();
      const { deletes, multiparts } = this.#mix;
      const after = chance < deletes ? undefined : write;
      // From here on both are possible, until the server has answered.
      this.#keys.set(key, new Set([...before, after]));
      try {
        if (after === undefined) await s3.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }));
        else if (chance < deletes + multiparts) await this.#multipart(s3, key, write);
        else await this.#put(s3, key, write);
        this.#keys.set(key, new Set([after]));
        this.acknowledged++;
      } catch {
        this.unanswered++;
        return;
      }
    }
  }

  async #put(s3: S3Client, key: string, write: number): Promise<void> {
    const size = this.#mix.bytes(this.#random());
    await s3.send(new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: bodyOf(write, size) }));
  }

  async #multipart(s3: S3Client, key: string, write: number): Promise<void> {
    const body = bodyOf(write, PART_BYTES + 100_000);
    const target = { Bucket: this.#bucket, Key: key };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
    const parts = await Promise.all(
      [body.subarray(0, PART_BYTES), body.subarray(PART_BYTES)].map(async (Body, index) => {
        const PartNumber = index + 1;
        const { ETag } = await s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
        return { PartNumber, ETag };
      }),
    );
    await s3.send(
      new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
    );
  }

  /** Reads and lists everything and compares. @throws Error naming the first key that is lost, torn or wrong */
  async verify(s3: S3Client): Promise<void> {
    const listed = new Set<string>();
    let token: string | undefined;
    do {
      const page = await s3.send(
        new ListObjectsV2Command({ Bucket: this.#bucket, ContinuationToken: token, MaxKeys: 97 }),
      );
      for (const { Key } of page.Contents ?? []) listed.add(Key as string);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    for (const [key, possible] of this.#keys) {
      const found = await this.#read(s3, key);
      if (!possible.has(found)) {
        throw new Error(`${key} holds ${String(found)}, but only ${[...possible].join(', ')} are possible`);
      }
      if (listed.has(key) !== (found !== undefined)) throw new Error(`${key}: listing and reading disagree`);
      this.#keys.set(key, new Set([found]));
      listed.delete(key);
    }
    if (listed.size > 0) throw new Error(`listed but never written: ${[...listed].join(', ')}`);
  }

  async #read(s3: S3Client, key: string): Promise<number | undefined> {
    try {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }));
      return writeOf(Buffer.from((await Body?.transformToByteArray()) ?? []));
    } catch (error) {
      if ((error as Error).name === 'NoSuchKey') return undefined;
      throw error;
    }
  }
}

/** Aborts every unfinished upload of a bucket, as an operator's rule would. */
export async function abortUploads(s3: S3Client, Bucket: string): Promise<void> {
  const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
  for (const { Key, UploadId } of Uploads ?? []) {
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  }
}
