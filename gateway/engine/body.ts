/** From a client's bytes to chunks: digest, encrypt, cut, write. Nothing here is visible; the caller's commit makes it so. */
import { DOMAIN_LEVELS, freeMemory } from '#placement';
import type { ChunkId, ChunkWriter, DomainLevel, WrittenChunk } from '#placement';
import { createDigests } from './checksums.ts';
import type { DigestResult } from './checksums.ts';
import { newId } from './context.ts';
import type { Context } from './context.ts';
import { cipherLength, createDataKey, createEncryptor } from './encryption.ts';
import { toEngineError } from './errors.ts';
import { customerKeyEncryption } from './keyring.ts';
import type { KeyEncryption } from './keyring.ts';
import type { BodyPart, Extent, Hex, PackReference } from './model.ts';
import type { PackedBody, PackEntries } from './packs.ts';
import { recordChunks } from './recorded.ts';
import { EngineError } from './types.ts';
import type { Body, Checksum, ChecksumAlgorithm, CustomerKey } from './types.ts';

export interface WrittenBody {
  readonly part: BodyPart;
  /** To be recorded in the commit that makes the body visible. */
  readonly chunks: readonly WrittenChunk[];
  /** Its place in a chunk that it shares with others: then it has no chunks of its own. */
  readonly packed: PackedBody | undefined;
  readonly size: number;
  /** Hex. */
  readonly md5: string;
  readonly checksum?: Checksum;
  readonly survives: readonly DomainLevel[];
}

export interface WriteOptions {
  readonly customerKey?: CustomerKey | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Computed when the body itself asks for none. */
  readonly algorithm?: ChecksumAlgorithm | undefined;
  /** It may share a chunk with others, if it is small: only what one version names, and what says which, can be moved later. */
  readonly mayShare?: boolean;
}

/** A body that ends within a few reads of its socket is behind for too short a time to be hashed along with others. */
const LONE_DIGEST_BYTES_MAX = 256 * 1024;

/** Key encryption for a body: the customer's key, or the gateway's. */
export const keysFor = (context: Context, customerKey: CustomerKey | undefined): KeyEncryption =>
  customerKey ? customerKeyEncryption(customerKey.key) : context.keyring;

/**
 * Chunks are durable when it resolves; when it rejects, whatever was written is left to reclaim.
 * @throws EngineError 'BadDigest' | 'ContentSha256Mismatch' | 'IncompleteBody' | 'EntityTooLarge' | 'Unavailable' | 'StorageFull'; errors of
 * the body's bytes as they are
 */
export async function writeBody(
  context: Context,
  partition: number,
  body: Body,
  options: WriteOptions = {},
): Promise<WrittenBody> {
  const algorithm = body.checksum?.algorithm ?? options.algorithm;
  const digests = createDigests({
    sha256Hex: body.contentSha256 !== undefined,
    ...(algorithm ? { algorithm } : {}),
    sideBySide: body.length === undefined || body.length > LONE_DIGEST_BYTES_MAX,
  });
  const sink: Sink = sharesChunk(context, body, options)
    ? new PackSink(context, partition, cipherLength(body.length))
    : new ChunkSink(context, partition, body.length);
  try {
    const owner = newId();
    const dataKey = createDataKey();
    const encryptor = createEncryptor(dataKey);
    let size = 0;
    assertSize(context, body, body.length ?? 0);
    for await (const bytes of body.bytes) {
      options.signal?.throwIfAborted();
      if (bytes.length === 0) continue;
      size += bytes.length;
      assertSize(context, body, size);
      digests.update(bytes);
      const sealed = encryptor.push(bytes);
      if (body.isOwned) freeMemory(bytes);
      for (const cipher of sealed) await pass(cipher, sink);
    }
    options.signal?.throwIfAborted();
    const digest = digests.finish();
    verify(body, size, digest);
    for (const cipher of encryptor.finish()) await pass(cipher, sink);
    const { extents, chunks, packed } = await sink.finish();
    const segments = [];
    if (size > 0) {
      const { keyId, bytes: wrapped } = await keysFor(context, options.customerKey).wrap(dataKey, owner);
      const place = { plainLength: size, start: 0, end: size, cipherStart: 0 };
      segments.push({ body: owner, keyId, wrapped, ...place, extents });
    }
    return {
      part: { owner, segments },
      chunks,
      packed,
      size,
      md5: digest.md5,
      ...(algorithm && digest.checksum !== undefined
        ? { checksum: { algorithm, type: 'FULL_OBJECT', value: digest.checksum } }
        : {}),
      survives: survivedBy(packed ? [packed] : chunks),
    };
  } catch (error) {
    digests.release();
    await sink.abort();
    throw toEngineError(error);
  }
}

/** Sinks copy what they take. */
async function pass(cipher: Uint8Array, sink: Sink): Promise<void> {
  await sink.write(cipher);
  freeMemory(cipher);
}

const survivedBy = (chunks: readonly Pick<WrittenChunk, 'survives'>[]): DomainLevel[] =>
  DOMAIN_LEVELS.filter((level) => chunks.every((chunk) => chunk.survives.includes(level)));

/** Whatever its version's commit has to record of a written body. @param place of the version that will name it */
export async function bodyEntries(
  context: Context,
  { part, chunks, packed }: WrittenBody,
  place: Omit<PackReference, 'length'>,
): Promise<PackEntries> {
  return packed
    ? await packed.entries(part.owner, place)
    : chunkEntries(context, { part, chunks }, place.bucket);
}

/** The same of a body that has its chunks to itself. */
export function chunkEntries(
  context: Context,
  { part, chunks }: Pick<WrittenBody, 'part' | 'chunks'>,
  bucket: Hex,
): PackEntries {
  return {
    checks: chunks.length > 0 ? [context.session.alive()] : [],
    puts: recordChunks(chunks, part.owner, bucket),
  };
}

function assertSize(context: Context, body: Body, size: number): void {
  if (size > context.options.bodyBytesMax) {
    throw new EngineError('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  }
  if (body.length !== undefined && size > body.length) throw incomplete();
}

const incomplete = (): EngineError =>
  new EngineError('IncompleteBody', 'The body does not have the number of bytes that was announced');

function verify(body: Body, size: number, digest: DigestResult): void {
  if (body.length !== undefined && size !== body.length) throw incomplete();
  if (body.contentSha256 !== undefined && body.contentSha256 !== digest.sha256) {
    throw new EngineError('ContentSha256Mismatch', 'The body does not match x-amz-content-sha256');
  }
  const md5 = Buffer.from(digest.md5, 'hex').toString('base64');
  if (body.contentMd5 !== undefined && body.contentMd5 !== md5) {
    throw new EngineError('BadDigest', 'The Content-MD5 you specified did not match what we received');
  }
  const expected = body.checksum?.expected();
  if (body.checksum && expected !== undefined && expected !== digest.checksum) {
    throw new EngineError(
      'BadDigest',
      `The ${body.checksum.algorithm} you specified did not match the calculated checksum`,
    );
  }
}

/** The body is named by a version: its chunks are recorded. */
export function settleBody(
  context: Context,
  { chunks, packed }: Pick<WrittenBody, 'chunks' | 'packed'>,
): void {
  for (const { record } of chunks) context.session.settle(record.id);
  packed?.leave(true);
}

/** Forgets a body that was written for nothing; reclaim deletes its chunks. */
export function abandonBody(
  context: Context,
  { chunks, packed }: Pick<WrittenBody, 'chunks' | 'packed'>,
): void {
  for (const { record } of chunks) context.session.abandon(record.id);
  packed?.leave(false);
}

/** Where a body's ciphertext goes. Bytes may be used anew once `write` has resolved. */
interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<{ extents: Extent[]; chunks: WrittenChunk[]; packed: PackedBody | undefined }>;
  abort(): Promise<void>;
}

function sharesChunk(
  { options: { packedBodyBytes } }: Context,
  body: Body,
  { mayShare }: WriteOptions,
): body is Body & { readonly length: number } {
  return mayShare === true && body.length !== undefined && body.length > 0 && body.length <= packedBodyBytes;
}

/** Holds a small body until all that its client promised has been checked: what is refused never gets into a chunk of others. */
class PackSink implements Sink {
  readonly #context: Context;
  readonly #partition: number;
  readonly #bytes: Buffer;
  #filled = 0;
  #packed: PackedBody | undefined;

  constructor(context: Context, partition: number, length: number) {
    this.#context = context;
    this.#partition = partition;
    this.#bytes = Buffer.allocUnsafe(length);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#bytes.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async finish(): Promise<{ extents: Extent[]; chunks: WrittenChunk[]; packed: PackedBody }> {
    const packed = await this.#context.packs.write(this.#partition, this.#bytes.subarray(0, this.#filled));
    this.#packed = packed;
    return { extents: [packed.extent], chunks: [], packed };
  }

  async abort(): Promise<void> {
    this.#packed?.leave(false);
  }
}

/** Cuts a run of ciphertext into chunks. One chunk is filled while the one before settles. */
class ChunkSink implements Sink {
  readonly #context: Context;
  readonly #partition: number;
  readonly #ids: ChunkId[] = [];
  readonly #extents: Extent[] = [];
  readonly #written: WrittenChunk[] = [];
  #writer: ChunkWriter | undefined;
  #settling: Promise<void> | undefined;
  /** Bytes that are still to come in chunks not begun yet, where that is known. */
  #left: number | undefined;

  /** @param length of the plaintext, where it is known */
  constructor(context: Context, partition: number, length: number | undefined) {
    this.#context = context;
    this.#partition = partition;
    this.#left = length === undefined ? undefined : cipherLength(length);
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { chunkBytes } = this.#context.options;
    let rest = bytes;
    while (rest.length > 0) {
      const writer = (this.#writer ??= await this.#open());
      const room = chunkBytes - writer.length;
      const piece = rest.length <= room ? rest : rest.subarray(0, room);
      await writer.write(piece);
      rest = rest.subarray(piece.length);
      if (writer.length >= chunkBytes) await this.#settle();
    }
  }

  async finish(): Promise<{ extents: Extent[]; chunks: WrittenChunk[]; packed: undefined }> {
    await this.#settle();
    await this.#settling;
    return { extents: this.#extents, chunks: this.#written, packed: undefined };
  }

  async abort(): Promise<void> {
    await this.#settling?.catch(() => undefined);
    await this.#writer?.abort();
    for (const id of this.#ids) this.#context.session.abandon(id);
  }

  async #open(): Promise<ChunkWriter> {
    const id = await this.#context.session.take(this.#partition);
    this.#ids.push(id);
    const { chunks, profile, options } = this.#context;
    const length = this.#left === undefined ? undefined : Math.min(this.#left, options.chunkBytes);
    if (length !== undefined) this.#left! -= length;
    return chunks.create(id, profile, length);
  }

  /** Ends the chunk at hand without waiting for its slowest shards. */
  async #settle(): Promise<void> {
    await this.#settling;
    const writer = this.#writer;
    if (!writer) return;
    this.#writer = undefined;
    this.#extents.push({ chunk: writer.id, offset: 0, length: writer.length });
    this.#settling = this.#finish(writer);
    // Its error is met by the next to wait for it.
    this.#settling.catch(() => undefined);
  }

  async #finish(writer: ChunkWriter): Promise<void> {
    this.#written.push(await writer.finish());
  }
}
