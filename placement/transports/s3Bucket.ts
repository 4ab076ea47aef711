import { LEAF_BYTES } from '#erasure';
import { storedName } from '../shardName.ts';
import type { RevivableTransport } from './localDirectory.ts';
import { aborted, orAborted } from './orAborted.ts';
import { S3_BUCKET_LIMITS, S3Calls, type S3BucketLimits, type S3Location } from './s3BucketCalls.ts';
import { takeImage, type ShardImage } from './s3BucketImage.ts';
import { BucketObjects, type ListedObject } from './s3BucketObjects.ts';
import { BucketReader } from './s3BucketReader.ts';
import { Slots, uploadObject } from './s3BucketUpload.ts';
import { BucketUsage } from './s3BucketUsage.ts';
import { shardLengthOf, SHARD_BYTES_MAX } from './shardFile.ts';
import {
  TransportError,
  type Clock,
  type ProviderId,
  type ShardName,
  type ShardSlice,
  type ShardSource,
  type StoredShard,
} from '../types.ts';

export interface S3BucketOptions {
  readonly location: S3Location;
  /** As in the bucket's marker; a bucket with no marker or another one is 'Unavailable'. */
  readonly id: ProviderId;
  readonly clock: Clock;
  readonly limits?: Partial<S3BucketLimits>;
  /** Folder for shards on their way; by default that of the system for temporary files. */
  readonly spool?: string;
}

/** Pieces of 8 MiB in memory at once. */
const UPLOADS_AT_ONCE = 4;
const ATTEMPTS = 3;

/**
 * Shards in an existing S3 bucket, an object each, in the form of shardFile.ts. Where the service keeps to If-None-Match, of two
 * gateways that write one name exactly one wins; elsewhere that holds within this process only. The bucket should not keep versions.
 */
export class S3Bucket implements RevivableTransport {
  readonly #options: S3BucketOptions;
  readonly #calls: S3Calls;
  readonly #objects: BucketObjects;
  readonly #usage: BucketUsage;
  readonly #reader: BucketReader;
  readonly #slots = new Slots(UPLOADS_AT_ONCE);
  /** The last of the changes under way to each key. */
  readonly #changes = new Map<string, Promise<unknown>>();
  #keepsConditions: Promise<boolean> | undefined;
  #isClosed = false;

  constructor(options: S3BucketOptions) {
    this.#options = options;
    const { location, clock, limits } = options;
    this.#calls = new S3Calls(location, clock, { ...S3_BUCKET_LIMITS, ...limits });
    this.#objects = new BucketObjects(this.#calls, location);
    this.#reader = new BucketReader(this.#objects);
    this.#usage = new BucketUsage(() => this.#allShards());
  }

  async put(name: ShardName, source: ShardSource, signal?: AbortSignal): Promise<void> {
    const key = this.#objects.keyOf(storedName(name));
    this.#check(signal);
    const image = await takeImage(source, signal, this.#options.spool);
    try {
      await this.#count(signal);
      if (this.#usage.bytes + image.size > this.#options.location.capacity) {
        throw new TransportError('NoSpace', 'the bucket has no room left of what is allotted');
      }
      const release = this.#usage.reserve(image.size);
      try {
        await this.#inTurn(key, () => this.#store(key, image, signal));
      } finally {
        release();
      }
    } finally {
      await image.close();
    }
  }

  async get(name: ShardName, firstLeaf: number, count: number, signal?: AbortSignal): Promise<ShardSlice> {
    const key = this.#objects.keyOf(storedName(name));
    return this.#reading(firstLeaf, count, signal, () => this.#reader.slice(key, firstLeaf, count, signal));
  }

  async prove(name: ShardName, leaf: number, signal?: AbortSignal): Promise<ShardSlice> {
    const key = this.#objects.keyOf(storedName(name));
    return this.#reading(leaf, 1, signal, () => this.#reader.sliceAnew(key, leaf, 1, signal));
  }

  async delete(name: ShardName, signal?: AbortSignal): Promise<void> {
    const key = this.#objects.keyOf(storedName(name));
    this.#check(signal);
    await this.#inTurn(key, () => this.#remove(key, signal));
  }

  async list(after: string | undefined, limit: number, signal?: AbortSignal): Promise<StoredShard[]> {
    this.#check(signal);
    if (after === undefined) await this.#assertPresent(signal);
    const shards: StoredShard[] = [];
    let from = after === undefined ? undefined : this.#objects.keyOf(after);
    for (;;) {
      const { objects, more } = await this.#objects.list(from, limit - shards.length, signal);
      for (const { name, size, modifiedAt } of objects) {
        if (name) shards.push({ ...name, length: shardLengthOf(size) ?? 0, storedAt: modifiedAt });
      }
      if (!more || shards.length >= limit) return shards;
      from = objects.at(-1)!.key;
    }
  }

  async space(signal?: AbortSignal): Promise<{ capacity: number; free: number }> {
    this.#check(signal);
    await this.#assertPresent(signal);
    await this.#count(signal);
    const { capacity } = this.#options.location;
    return { capacity, free: Math.max(0, capacity - this.#usage.bytes) };
  }

  async revive(): Promise<boolean> {
    this.#check(undefined);
    const { id } = this.#options;
    const marker = await this.#objects.marker();
    if (marker === id) return false;
    if (marker !== undefined) throw this.#stranger(marker);
    const found = await this.#objects.contents();
    if (found === 'foreign') {
      throw new TransportError('Unavailable', 'the bucket holds objects that are not a provider’s');
    }
    await this.#objects.mark(id);
    return found === 'empty';
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#calls.close();
    return Promise.resolve();
  }

  /** @throws TransportError 'Conflict' where another shard has the name */
  async #store(key: string, image: ShardImage, signal: AbortSignal | undefined): Promise<void> {
    const keeps = await this.#probeConditions();
    // Who keeps to no conditions has to be asked first.
    let standing = keeps ? 'absent' : await this.#reader.standing(key, image.seal, signal);
    for (let attempt = 1; standing === 'absent' || standing === 'broken'; attempt++) {
      if (await this.#create(key, image, keeps && standing === 'absent', signal)) return;
      standing = await this.#reader.standing(key, image.seal, signal);
      if (attempt === ATTEMPTS)
        throw new TransportError(
          'Unavailable',
          'the bucket says both that a shard is there and that it is not',
        );
    }
    if (standing === 'other') throw new TransportError('Conflict', 'another shard has this name');
  }

  /** False when there is an object of this key already. */
  async #create(
    key: string,
    image: ShardImage,
    isNew: boolean,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    let isDecided = false;
    const object = { bucket: this.#objects.bucket, key, image, isNew };
    try {
      await uploadObject(this.#calls, this.#slots, object, signal, () => (isDecided = true));
    } catch (error) {
      if (error instanceof TransportError && error.kind === 'Conflict') return false;
      // It may have been stored all the same. The next put waits for its turn; what stays is an orphan, which the sweep finds.
      if (isDecided) void this.#inTurn(key, () => this.#remove(key, undefined)).catch(() => undefined);
      throw error;
    }
    this.#reader.forget(key);
    this.#usage.add(key, image.size);
    if (!signal?.aborted) return true;
    await this.#remove(key, undefined).catch(() => undefined);
    throw aborted(signal);
  }

  async #remove(key: string, signal: AbortSignal | undefined): Promise<void> {
    this.#reader.forget(key);
    const size = await this.#objects.sizeOf(key, signal);
    if (size === undefined) {
      await this.#assertPresent(signal);
      return;
    }
    await this.#objects.delete(key, signal);
    this.#usage.add(key, -size);
  }

  async #reading(
    first: number,
    count: number,
    signal: AbortSignal | undefined,
    read: () => Promise<ShardSlice>,
  ): Promise<ShardSlice> {
    this.#check(signal);
    const isRange = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count > 0;
    if (!isRange || count * LEAF_BYTES > SHARD_BYTES_MAX) {
      throw new TransportError('Corrupt', `no shard has leaves [${first}, ${first + count})`);
    }
    try {
      return await read();
    } catch (error) {
      if (error instanceof TransportError && error.kind === 'NotFound') await this.#assertPresent(signal);
      throw error;
    }
  }

  /** One change of a key at a time. */
  async #inTurn(key: string, change: () => Promise<void>): Promise<void> {
    const before = this.#changes.get(key);
    const mine = (before ?? Promise.resolve()).catch(() => undefined).then(change);
    this.#changes.set(key, mine);
    try {
      await mine;
    } finally {
      if (this.#changes.get(key) === mine) this.#changes.delete(key);
    }
  }

  /** The marker is there already: who makes it anew keeps to no conditions. */
  #probeConditions(): Promise<boolean> {
    this.#keepsConditions ??= this.#assertPresent(undefined)
      .then(() => this.#objects.mark(this.#options.id))
      .then((outcome) => outcome === 'exists')
      .catch((error: unknown) => {
        this.#keepsConditions = undefined;
        throw error;
      });
    return this.#keepsConditions;
  }

  async #count(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#usage.isCounted) await orAborted(this.#usage.count(), signal);
  }

  async *#allShards(): AsyncGenerator<ListedObject[], undefined> {
    let from: string | undefined;
    for (;;) {
      const { objects, more } = await this.#objects.list(from, Infinity);
      yield objects.filter(({ name }) => name !== undefined);
      if (!more) return;
      from = objects.at(-1)!.key;
    }
  }

  /** @throws TransportError 'Unavailable' when this is not, or no longer, the provider's bucket */
  async #assertPresent(signal: AbortSignal | undefined): Promise<void> {
    const marker = await this.#objects.marker(signal);
    if (marker !== this.#options.id) throw this.#stranger(marker);
  }

  #stranger(marker: ProviderId | undefined): TransportError {
    const found = marker === undefined ? 'has no provider marker' : `is of another provider, ${marker}`;
    return new TransportError('Unavailable', `the bucket ${found}`);
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new TransportError('Unavailable', 'the bucket is closed');
    if (signal?.aborted) throw aborted(signal);
  }
}
