import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { NetworkError } from '../network/errors.ts';
import { jsonPieces } from './jsonPieces.ts';
import { chainLine, START, TamperedError } from './logLine.ts';
import { HEAD_FILE, readHead, readLines, segmentName, segmentsOf, type Segment } from './logReader.ts';
import { inTurns, type Stepwise } from './stepwise.ts';
import type { EventLog, LoggedRecord, LogHead, LogRecord } from './types.ts';

export interface EventLogOptions {
  /** A segment that has grown to this is followed by a new one: 64 MiB. */
  readonly segmentBytes?: number;
  /** Makes a file's data durable. */
  readonly sync?: (file: FileHandle) => Promise<void>;
}

const SEGMENT_BYTES = 64 * 1024 * 1024;
/** Text that is encoded at a time, and bytes that are worth a write of their own. */
const PIECE_LENGTH = 64 * 1024;
/** Of the head file, always: it is written over in place, within one sector. */
const HEAD_BYTES = 128;

/**
 * The log in a folder, made at the first call. Bytes that a crash left behind the last acknowledged record are cut off.
 * @throws NetworkError 'Tampered' when an acknowledged record of the last two segments is missing or was changed; `read` verifies them all
 */
export async function openEventLog(folder: string, options: EventLogOptions = {}): Promise<EventLog> {
  const sync = options.sync ?? ((file) => file.datasync());
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const segments = await segmentsOf(folder);
  const known = await readHead(folder);
  const { last, end, segment } = await findEnd(segments, known);
  const path = segment?.path ?? join(folder, segmentName(1));
  const file = await open(path, 'a', 0o600);
  try {
    if (end < (await file.stat()).size) {
      await file.truncate(end);
      await file.sync();
    }
    const headFile = await openHead(folder, last, known);
    await syncFolder(folder);
    const limit = options.segmentBytes ?? SEGMENT_BYTES;
    return new SegmentedLog({ folder, sync, limit, file, size: end, headFile, last });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The last good record, and where the bytes of its segment end; of an empty last segment, where it begins. */
async function findEnd(
  segments: readonly Segment[],
  head: LogHead | undefined,
): Promise<{ last: LogHead; end: number; segment: Segment | undefined }> {
  const tail = segments.slice(-2);
  const believed = (tail[0]?.first ?? 1) === 1 ? START : undefined;
  let last = believed;
  let end = 0;
  let segment: Segment | undefined;
  for await (const line of readLines(tail, head, believed)) {
    last = { sequence: line.sequence, hash: line.hash };
    ({ end, segment } = line);
  }
  if (last === undefined) throw new TamperedError(tail[0]?.first ?? 1, 'its segment holds no record');
  const final = tail.at(-1);
  if (segment !== final) return { last, end: 0, segment: final };
  return { last, end, segment };
}

async function openHead(folder: string, last: LogHead, known: LogHead | undefined): Promise<FileHandle> {
  const file = await open(join(folder, HEAD_FILE), known === undefined ? 'wx+' : 'r+', 0o600);
  if (known?.sequence !== last.sequence) await writeHead(file, last);
  await file.sync();
  return file;
}

async function writeHead(file: FileHandle, head: LogHead): Promise<void> {
  const text = JSON.stringify({ sequence: head.sequence, hash: head.hash });
  await file.write(Buffer.from(`${text.padEnd(HEAD_BYTES - 1)}\n`), 0, HEAD_BYTES, 0);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Pending {
  readonly record: LogRecord;
  readonly resolve: (head: LogHead) => void;
  readonly reject: (error: unknown) => void;
}

interface OpenLog {
  readonly folder: string;
  readonly sync: (file: FileHandle) => Promise<void>;
  readonly limit: number;
  readonly file: FileHandle;
  readonly size: number;
  readonly headFile: FileHandle;
  readonly last: LogHead;
}

/** Group commit: all that wait for the write under way share the one that follows it. */
class SegmentedLog implements EventLog {
  readonly #folder: string;
  readonly #sync: (file: FileHandle) => Promise<void>;
  readonly #limit: number;
  readonly #headFile: FileHandle;
  #file: FileHandle;
  #size: number;
  /** Last record that is durable. */
  #head: LogHead;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #failure: NetworkError | undefined;

  constructor({ folder, sync, limit, file, size, headFile, last }: OpenLog) {
    this.#folder = folder;
    this.#sync = sync;
    this.#limit = limit;
    this.#file = file;
    this.#size = size;
    this.#headFile = headFile;
    this.#head = last;
  }

  append(record: LogRecord): Promise<LogHead> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending.push({ record, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async *read(after: LogHead = START): AsyncGenerator<LoggedRecord> {
    const until = this.#head;
    if (after.sequence >= until.sequence) {
      if (after.sequence === until.sequence && after.hash === until.hash) return;
      throw new TamperedError(after.sequence, 'is not in the log');
    }
    for await (const line of readLines(await segmentsOf(this.#folder), until, after)) {
      yield { sequence: line.sequence, hash: line.hash, record: JSON.parse(line.text) as LogRecord };
      if (line.sequence === until.sequence) return;
    }
  }

  head(): LogHead {
    return this.#head;
  }

  async close(): Promise<void> {
    this.#failure ??= new NetworkError('Unavailable', 'the log is closed');
    await this.#writing;
    await Promise.all([this.#file.close(), this.#headFile.close()]);
  }

  async #writeAll(): Promise<void> {
    // What is appended in the same turn shares the first write.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        const heads = await this.#write(batch);
        for (const [at, { resolve }] of batch.entries()) resolve(heads[at]!);
      } catch (error) {
        this.#fail(error, batch);
        break;
      }
    }
    this.#writing = undefined;
  }

  /** Returns the heads after each of them. */
  async #write(batch: readonly Pending[]): Promise<readonly LogHead[]> {
    const heads: LogHead[] = [];
    const parts: Buffer[] = [];
    let head = this.#head;
    for (const { record } of batch) {
      const line = chainLine(head, await inTurns(encoded(record), () => turn()));
      ({ head } = line);
      heads.push(head);
      parts.push(...line.parts);
    }
    if (this.#size >= this.#limit) await this.#roll(heads[0]!.sequence);
    for (const bytes of gathered(parts)) {
      await this.#file.appendFile(bytes);
      this.#size += bytes.length;
    }
    await this.#sync(this.#file);
    // The head goes last: a crash before it leaves records that nobody was told of, never a head without its records.
    await writeHead(this.#headFile, head);
    await this.#sync(this.#headFile);
    this.#head = head;
    return heads;
  }

  async #roll(first: number): Promise<void> {
    const file = await open(join(this.#folder, segmentName(first)), 'ax', 0o600);
    const former = this.#file;
    this.#file = file;
    this.#size = 0;
    await former.close();
    await syncFolder(this.#folder);
  }

  /** What lies on the disk now is not known, and a record after it could be lost with it: nothing more is taken. */
  #fail(error: unknown, batch: readonly Pending[]): void {
    const failure = new NetworkError(
      'Unavailable',
      'the log could not be written and has to be opened again',
      {
        cause: error,
      },
    );
    this.#failure ??= failure;
    for (const { reject } of [...batch, ...this.#pending]) reject(failure);
    this.#pending = [];
  }
}

/** A record's JSON, a piece of PIECE_LENGTH at a time. */
function* encoded(record: LogRecord): Stepwise<Buffer[]> {
  const pieces: Buffer[] = [];
  let text = '';
  for (const piece of jsonPieces(record)) {
    text += piece;
    if (text.length < PIECE_LENGTH) continue;
    pieces.push(Buffer.from(text));
    text = '';
    yield;
  }
  pieces.push(Buffer.from(text));
  return pieces;
}

/** The same bytes in fewer writes: short ones are put together, long ones are not copied once more. */
function* gathered(parts: readonly Buffer[]): Generator<Buffer, void, undefined> {
  let short: Buffer[] = [];
  for (const part of parts) {
    if (part.length < PIECE_LENGTH) {
      short.push(part);
      continue;
    }
    yield Buffer.concat(short);
    yield part;
    short = [];
  }
  yield Buffer.concat(short);
}
