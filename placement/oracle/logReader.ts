import { createReadStream } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NetworkError } from '../network/errors.ts';
import { readLine, START, TamperedError, type Line } from './logLine.ts';
import type { LoggedRecord, LogHead, LogRecord } from './types.ts';

/** File of the log's head: the last record that was acknowledged, written before it is. */
export const HEAD_FILE = 'head.json';

export interface Segment {
  readonly path: string;
  /** Sequence of its first record. */
  readonly first: number;
}

/** A verified line and where it ends. */
export interface PlacedLine extends Line {
  readonly segment: Segment;
  /** Offset of the byte after its newline. */
  readonly end: number;
}

export function segmentName(first: number): string {
  return `events-${String(first).padStart(12, '0')}.jsonl`;
}

/** In order of sequence; none when the folder does not exist. */
export async function segmentsOf(folder: string): Promise<Segment[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new NetworkError('Unavailable', `the log ${folder} cannot be read: ${error.message}`, {
      cause: error,
    });
  });
  return names
    .filter((name) => /^events-\d{12}\.jsonl$/.test(name))
    .sort()
    .map((name) => ({ path: join(folder, name), first: Number(name.slice(7, 19)) }));
}

/** Undefined when there is none. @throws TamperedError when it is not a head */
export async function readHead(folder: string): Promise<LogHead | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, HEAD_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new NetworkError('Unavailable', 'the head of the log cannot be read', { cause: error });
  }
  const match = /^\{"sequence":(\d{1,15}),"hash":"([0-9a-f]{64})"\} *\n$/.exec(text);
  if (match === null) throw new TamperedError(0, `${HEAD_FILE} is not a head`);
  return { sequence: Number(match[1]), hash: match[2]! };
}

/**
 * The records of a log that nobody is writing to, verified one by one. What lies behind the head was never acknowledged: there, the first
 * bad line is where a crash cut the log. Without a head, only the very last line may be bad.
 * @throws TamperedError
 */
export async function* readLog(folder: string, after: LogHead = START): AsyncGenerator<LoggedRecord> {
  const head = await readHead(folder);
  for await (const line of readLines(await segmentsOf(folder), head, after)) {
    yield { sequence: line.sequence, hash: line.hash, record: JSON.parse(line.text) as LogRecord };
  }
}

/**
 * The lines after `after`, up to the end or the torn tail.
 * @param after undefined: the segments are the last of a log, and their first line is believed
 * @throws TamperedError
 */
export async function* readLines(
  segments: readonly Segment[],
  head: LogHead | undefined,
  after: LogHead | undefined,
): AsyncGenerator<PlacedLine> {
  const begin = beginning(segments, after);
  let last = begin.known ? after : undefined;
  for (let index = begin.index; index < segments.length; index++) {
    const segment = segments[index]!;
    if (last !== undefined && segment.first !== last.sequence + 1) {
      throw new TamperedError(last.sequence + 1, 'its segment is missing');
    }
    for await (const raw of rawLines(segment.path)) {
      const expected = last === undefined ? segment.first : last.sequence + 1;
      const line = raw.complete ? readLine(raw.line, last) : 'is cut short';
      if (typeof line === 'string') {
        const behind =
          head === undefined ? raw.final && index === segments.length - 1 : expected > head.sequence;
        if (!behind) throw new TamperedError(expected, line);
        return;
      }
      if (line.sequence !== expected) throw new TamperedError(expected, `is numbered ${line.sequence}`);
      checkAgainst(line, head);
      checkAgainst(line, after);
      last = { sequence: line.sequence, hash: line.hash };
      if (after === undefined || line.sequence > after.sequence) yield { ...line, segment, end: raw.end };
    }
  }
  const end = last?.sequence ?? after?.sequence ?? 0;
  if (head !== undefined && end < head.sequence) {
    throw new TamperedError(end + 1, `it and those up to ${head.sequence} are missing`);
  }
}

/** The segment to begin with, and whether `after` is the record just before it. */
function beginning(
  segments: readonly Segment[],
  after: LogHead | undefined,
): { readonly index: number; readonly known: boolean } {
  if (after === undefined) return { index: 0, known: false };
  const next = segments.findIndex(({ first }) => first > after.sequence + 1);
  const index = Math.max(0, (next === -1 ? segments.length : next) - 1);
  const first = segments[index]?.first;
  return { index, known: first === undefined || first >= after.sequence + 1 };
}

function checkAgainst(line: Line, known: LogHead | undefined): void {
  if (known?.sequence === line.sequence && known.hash !== line.hash) {
    throw new TamperedError(line.sequence, 'is not the one that was acknowledged');
  }
}

interface RawLine {
  /** Without its newline. */
  readonly line: Buffer;
  readonly end: number;
  /** False for bytes at the end of the file without a newline. */
  readonly complete: boolean;
  /** Nothing follows in the file. */
  readonly final: boolean;
}

/** The lines of a file, one held back to know whether it is the last. */
async function* rawLines(path: string): AsyncGenerator<RawLine> {
  let pieces: Buffer[] = [];
  let at = 0;
  let held: RawLine | undefined;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const bytes = chunk as Buffer;
    let from = 0;
    for (let to = bytes.indexOf(10); to !== -1; to = bytes.indexOf(10, from)) {
      if (held !== undefined) yield held;
      const line = Buffer.concat([...pieces, bytes.subarray(from, to)]);
      at += line.length + 1;
      held = { line, end: at, complete: true, final: false };
      pieces = [];
      from = to + 1;
    }
    if (from < bytes.length) pieces.push(bytes.subarray(from));
  }
  if (pieces.length > 0) {
    if (held !== undefined) yield held;
    const line = Buffer.concat(pieces);
    held = { line, end: at + line.length, complete: false, final: true };
  }
  if (held !== undefined) yield { ...held, final: true };
}
