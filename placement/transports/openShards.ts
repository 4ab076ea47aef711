import { createHasher, createProver, LEAF_BYTES, type Prover } from '#erasure';
import { freeMemory } from '../freeMemory.ts';
import { closeQuietly, openFile, openStored, readAt, readInto, storedFile } from './fileCalls.ts';
import type { StoredFile } from './fileCalls.ts';
import { decodeTail, leafRange, leavesBytes, shardLengthOf, TRAILER_BYTES } from './shardFile.ts';
import { TransportError, type ShardSeal, type ShardSlice } from '../types.ts';

const hasher = createHasher();

/** A shard's file, open for reading. */
export class OpenShard {
  readonly seal: ShardSeal;
  readonly #fd: number;
  readonly #prover: Prover;
  #closed = false;

  private constructor(fd: number, seal: ShardSeal) {
    this.#fd = fd;
    this.seal = seal;
    this.#prover = createProver(hasher, seal.leaves);
  }

  /** @throws TransportError 'Corrupt', or a system error */
  static async open(path: string): Promise<OpenShard> {
    return await OpenShard.of(await openStored(path));
  }

  /** Takes the descriptor over. @throws TransportError 'Corrupt', or a system error */
  static async of({ fd, size }: StoredFile): Promise<OpenShard> {
    try {
      const length = shardLengthOf(size);
      if (length === undefined) throw new TransportError('Corrupt', `no shard has a file of ${size} bytes`);
      const tail = await readAt(fd, length, leavesBytes(length) + TRAILER_BYTES);
      const seal = decodeTail(tail, length);
      if (!seal)
        throw new TransportError('Corrupt', `the file's trailer is not that of a shard of ${length} bytes`);
      return new OpenShard(fd, seal);
    } catch (error) {
      await closeQuietly(fd);
      throw error;
    }
  }

  /** @param isChecked leaf hashes that no proof is made of are checked all the same @throws TransportError 'Corrupt' */
  async slice(first: number, count: number, isChecked = false): Promise<ShardSlice> {
    const range = leafRange(this.seal.length, first, count);
    if (!range) throw outside(this.seal.length, first, count);
    if (isChecked) checkLeaves(this.seal);
    const bytes = await readAt(this.#fd, range.start, range.end - range.start);
    if (bytes.length < range.end - range.start)
      throw new TransportError('Corrupt', 'the file has become shorter');
    return { first, bytes, proof: this.#prover.proof(first, count), release: () => freeMemory(bytes) };
  }

  /** True when the bytes in the file have the root that its trailer names. */
  async verifies(): Promise<boolean> {
    const tree = hasher.tree();
    const { length, root } = this.seal;
    for (let at = 0; at < length; at += 16 * LEAF_BYTES) {
      const bytes = await readAt(this.#fd, at, Math.min(16 * LEAF_BYTES, length - at));
      if (bytes.length === 0) return false;
      tree.update(bytes);
    }
    return Buffer.compare(tree.finish().root, root) === 0;
  }

  /** Idempotent: a descriptor closed twice could be another file's by then. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await closeQuietly(this.#fd);
  }
}

/** Room for a short shard with its tree. */
const SHORT_BYTES = 64 * 1024;
/** Buffers that short shards are read into before what is asked for is copied out. */
const spare: Buffer[] = [];
const SPARE_MAX = 32;

/** Undefined where the file had better be opened, and read in parts. @throws as `readWhole` */
async function readAtOnce(
  path: string,
  first: number,
  count: number,
  length: number | undefined,
): Promise<ShardSlice | OpenShard | undefined> {
  const isChecked = length === undefined;
  if ((first + count) * LEAF_BYTES <= SHORT_BYTES) return await readShort(path, first, count, isChecked);
  if (length === undefined || length > KEPT_BYTES_MIN || count * LEAF_BYTES < length) return undefined;
  return await readAll(path, first, count, length);
}

/** Leaves of a short shard: its whole file is read at once. A larger file's descriptor is given back open. @throws as `readWhole` */
async function readShort(
  path: string,
  first: number,
  count: number,
  isChecked: boolean,
): Promise<ShardSlice | OpenShard> {
  const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(SHORT_BYTES);
  try {
    const found = await readWhole(path, first, count, buffer, isChecked);
    return found instanceof OpenShard ? found : { ...found, bytes: Buffer.from(found.bytes) };
  } finally {
    if (spare.length < SPARE_MAX) spare.push(buffer);
  }
}

/** All leaves of a shard of this length. A larger file's descriptor is given back open. @throws as `readWhole` */
async function readAll(
  path: string,
  first: number,
  count: number,
  length: number,
): Promise<ShardSlice | OpenShard> {
  // One byte more than there should be: a buffer that is filled says nothing of what follows.
  const buffer = Buffer.allocUnsafeSlow(length + leavesBytes(length) + TRAILER_BYTES + 1);
  const found = await readWhole(path, first, count, buffer, false);
  return found instanceof OpenShard ? found : { ...found, release: () => freeMemory(buffer) };
}

/**
 * Leaves of a shard whose file the buffer has room for, in the buffer, by three calls instead of five.
 * @throws TransportError 'Corrupt', or a system error
 */
async function readWhole(
  path: string,
  first: number,
  count: number,
  buffer: Buffer,
  isChecked: boolean,
): Promise<ShardSlice | OpenShard> {
  const fd = await openFile(path);
  let isOpen = true;
  try {
    const file = await readInto(fd, buffer);
    if (file === undefined) {
      isOpen = false;
      return await OpenShard.of(await storedFile(fd, path));
    }
    const length = shardLengthOf(file.length);
    const seal = length === undefined ? undefined : decodeTail(file.subarray(length), length);
    if (!seal) throw new TransportError('Corrupt', `the file of ${file.length} bytes is no shard`);
    const range = leafRange(seal.length, first, count);
    if (!range) throw outside(seal.length, first, count);
    if (isChecked) checkLeaves(seal);
    const bytes = file.subarray(range.start, range.end);
    return { first, bytes, proof: hasher.proof(seal.leaves, first, count) };
  } finally {
    // Nobody waits for it: what was read is there.
    if (isOpen) void closeQuietly(fd);
  }
}

/** @throws TransportError 'Corrupt' when the leaf hashes do not have the root beside them */
function checkLeaves({ root, length, leaves }: ShardSeal): void {
  if (Buffer.compare(hasher.root(leaves, length), root) === 0) return;
  throw new TransportError('Corrupt', 'the leaf hashes in the file are not those of its root');
}

function outside(length: number, first: number, count: number): TransportError {
  return new TransportError(
    'Corrupt',
    `a shard of ${length} bytes has no leaves [${first}, ${first + count})`,
  );
}

/** Shards shorter than this are opened for every call: their readers seldom come back for more. */
const KEPT_BYTES_MIN = 512 * 1024;
const KEPT_MAX = 32;
/** Short, so that a file that was replaced or removed behind our back is soon seen. */
const IDLE_MS = 250;
/** The same for a shard that is read all the time. */
const KEPT_MS_MAX = 1000;

interface Entry {
  readonly openedAt: number;
  readonly opening: Promise<OpenShard>;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

/**
 * Keeps the long shards that are read piece by piece open between the pieces: opening one anew costs four calls and
 * the hashing of its inner nodes.
 */
export class OpenShards {
  readonly #entries = new Map<string, Entry>();

  /** @param length of the shard, where it is known: one that is wanted as a whole is read in one go; without it, its leaf hashes are checked */
  async slice(path: string, first: number, count: number, length?: number): Promise<ShardSlice> {
    let opened: OpenShard | undefined;
    if (!this.#entries.has(path)) {
      const found = await readAtOnce(path, first, count, length);
      if (found && !(found instanceof OpenShard)) return found;
      opened = found;
    }
    const known = this.#young(path);
    const entry = known ?? this.#add(path, opened ? Promise.resolve(opened) : OpenShard.open(path));
    // Counted before anything is waited for: an entry without users may be closed.
    entry.users++;
    clearTimeout(entry.idle);
    try {
      if (known) await opened?.close();
      return await (await entry.opening).slice(first, count, length === undefined);
    } finally {
      entry.users--;
      await this.#retire(path, entry);
    }
  }

  /** Forgets a file that was removed or replaced. */
  async forget(path: string): Promise<void> {
    const entry = this.#entries.get(path);
    this.#entries.delete(path);
    if (entry) await this.#retire(path, entry);
  }

  async forgetAll(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((path) => this.forget(path)));
  }

  /** One that has been open for long is left to its users, and opened anew. */
  #young(path: string): Entry | undefined {
    const entry = this.#entries.get(path);
    if (!entry || performance.now() - entry.openedAt < KEPT_MS_MAX) return entry;
    void this.forget(path);
    return undefined;
  }

  #add(path: string, opening: Promise<OpenShard>): Entry {
    const entry: Entry = { opening, openedAt: performance.now(), users: 0, idle: undefined };
    this.#entries.set(path, entry);
    return entry;
  }

  /** Called when a user leaves: keeps the shard for a moment, or closes it. */
  async #retire(path: string, entry: Entry): Promise<void> {
    if (entry.users > 0) return;
    clearTimeout(entry.idle);
    const shard = await entry.opening.catch(() => undefined);
    if (entry.users > 0) return;
    const known = this.#entries.get(path) === entry;
    if (known && shard && shard.seal.length >= KEPT_BYTES_MIN && this.#entries.size <= KEPT_MAX) {
      entry.idle = setTimeout(() => void this.forget(path), IDLE_MS).unref();
      return;
    }
    if (known) this.#entries.delete(path);
    await shard?.close();
  }
}
