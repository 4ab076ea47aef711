import type { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type ListObjectsV2Output,
} from '@aws-sdk/client-s3';
import * as z from 'zod';
import { parseStoredName } from '../shardName.ts';
import { bytesOf, S3Refusal, type S3Calls } from './s3BucketCalls.ts';
import { TransportError, type ProviderId, type ShardName } from '../types.ts';

export interface ObjectRange {
  /** Of the bytes, in the object. */
  readonly start: number;
  readonly bytes: Buffer;
  /** Of the whole object. */
  readonly size: number;
}

export interface ListedObject {
  readonly key: string;
  /** Undefined for what is no shard. */
  readonly name: ShardName | undefined;
  readonly size: number;
  /** ms since the epoch */
  readonly modifiedAt: number;
}

/** Says which provider a bucket, or a prefix in it, is; sorts behind the shards. */
const MARKER = 'provider.json';
const markerSchema = z.object({ format: z.literal(1), id: z.string().regex(/^[0-9a-f]{32}$/) });
const MARKER_BYTES_MAX = 4096;
const PAGE_MAX = 1000;

/** The objects of one provider: those under its prefix. */
export class BucketObjects {
  readonly #calls: S3Calls;
  readonly bucket: string;
  readonly #prefix: string;

  constructor(calls: S3Calls, { bucket, prefix }: { readonly bucket: string; readonly prefix: string }) {
    this.#calls = calls;
    this.bucket = bucket;
    this.#prefix = prefix;
  }

  keyOf(storedName: string): string {
    return this.#prefix + storedName;
  }

  /**
   * @param range `first-last`, or `-count` for the end of the object, which then may be all of it
   * @param bytesMax most that can come
   * @throws TransportError 'NotFound' | 'Corrupt' (no byte of the range is there) | …
   */
  range(key: string, range: string, bytesMax: number, signal?: AbortSignal): Promise<ObjectRange> {
    const command = new GetObjectCommand({ Bucket: this.bucket, Key: key, Range: `bytes=${range}` });
    return this.#calls.run(
      async (client, options) => {
        const output = await client.send(command, options);
        const body = output.Body as Readable;
        const match = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(output.ContentRange ?? '');
        if ((output.ContentLength ?? Infinity) > bytesMax) {
          body.destroy();
          throw new TransportError('Unavailable', 'the bucket answers a range with more than was asked for');
        }
        const bytes = await bytesOf(body, bytesMax);
        // Without a range in the answer it is the whole object.
        return { start: Number(match?.[1] ?? 0), bytes, size: Number(match?.[2] ?? bytes.length) };
      },
      { signal, bytes: bytesMax },
    );
  }

  /** The whole object in pieces. @throws TransportError */
  async read(
    key: string,
    bytesMax: number,
    onPiece: (piece: Buffer) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const command = new GetObjectCommand({ Bucket: this.bucket, Key: key });
    await this.#calls.run(
      async (client, options) => {
        const { Body } = await client.send(command, options);
        let length = 0;
        for await (const piece of Body as AsyncIterable<Buffer>) {
          length += piece.length;
          if (length > bytesMax) throw new TransportError('Unavailable', 'the object is longer than it was');
          onPiece(piece);
        }
      },
      { signal, bytes: bytesMax },
    );
  }

  /** Bytes of an object; undefined where there is none. */
  async sizeOf(key: string, signal?: AbortSignal): Promise<number | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.bucket, Key: key });
    try {
      const head = await this.#calls.run((client, options) => client.send(command, options), { signal });
      return head.ContentLength ?? 0;
    } catch (error) {
      if (error instanceof TransportError && error.kind === 'NotFound') return undefined;
      throw error;
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.bucket, Key: key });
    await this.#calls.run((client, options) => client.send(command, options), { signal });
  }

  /** One page in order of key. `more`: whether another follows. */
  async list(
    afterKey: string | undefined,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ readonly objects: readonly ListedObject[]; readonly more: boolean }> {
    const command = new ListObjectsV2Command({
      Bucket: this.bucket,
      Prefix: this.#prefix,
      MaxKeys: Math.min(limit, PAGE_MAX),
      ...(afterKey !== undefined && { StartAfter: afterKey }),
    });
    const page = await this.#calls.run((client, options) => client.send(command, options), { signal });
    const objects = (page.Contents ?? []).map((one) => this.#listed(one));
    let last = afterKey ?? '';
    for (const { key } of objects) {
      // A list that does not go forward would never end.
      if (key <= last) throw new TransportError('Unavailable', 'the bucket gave a list that is not in order');
      last = key;
    }
    return { objects, more: page.IsTruncated === true && objects.length > 0 };
  }

  /** Which provider this is. @throws TransportError 'Unavailable' for a marker that is none */
  async marker(signal?: AbortSignal): Promise<ProviderId | undefined> {
    const found = await this.range(
      this.keyOf(MARKER),
      `0-${MARKER_BYTES_MAX - 1}`,
      MARKER_BYTES_MAX,
      signal,
    ).catch((error: unknown) => {
      if (error instanceof TransportError && error.kind === 'NotFound') return undefined;
      throw error;
    });
    if (!found) return undefined;
    try {
      return markerSchema.parse(JSON.parse(found.bytes.toString())).id;
    } catch (error) {
      throw new TransportError('Unavailable', `${this.keyOf(MARKER)} is not the marker of a provider`, {
        cause: error,
      });
    }
  }

  /**
   * Writes the marker unless there is one. A service that keeps to no conditions writes it in any case, and always says 'made'.
   */
  async mark(id: ProviderId): Promise<'made' | 'exists'> {
    try {
      await this.#putMarker(id, { IfNoneMatch: '*' });
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      if (error.kind === 'Conflict') return 'exists';
      const isUnknown = error.cause instanceof S3Refusal && error.cause.status === 501;
      if (!isUnknown) throw error;
      await this.#putMarker(id, {});
    }
    return 'made';
  }

  async #putMarker(id: ProviderId, condition: { IfNoneMatch?: string }): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: this.bucket,
      Key: this.keyOf(MARKER),
      Body: Buffer.from(`${JSON.stringify({ format: 1, id })}\n`),
      ContentType: 'application/json',
      ...condition,
    });
    await this.#calls.run((client, options) => client.send(command, options));
  }

  /** What is there beside the marker, by the first page of the list. */
  async contents(): Promise<'empty' | 'ours' | 'foreign'> {
    const { objects } = await this.list(undefined, PAGE_MAX);
    const others = objects.filter(({ key }) => key !== this.keyOf(MARKER));
    if (others.some(({ name }) => !name)) return 'foreign';
    return others.length === 0 ? 'empty' : 'ours';
  }

  #listed({ Key, Size, LastModified }: NonNullable<ListObjectsV2Output['Contents']>[number]): ListedObject {
    const key = Key ?? '';
    if (!key.startsWith(this.#prefix)) {
      throw new TransportError('Unavailable', 'the bucket listed what was not asked for');
    }
    const name = parseStoredName(key.slice(this.#prefix.length));
    return { key, name, size: Size ?? 0, modifiedAt: LastModified?.getTime() ?? 0 };
  }
}
