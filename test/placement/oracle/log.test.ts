import { mkdtemp, readdir, readFile, rm, truncate, writeFile, appendFile, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openEventLog } from '../../../placement/oracle/log.ts';
import { TamperedError } from '../../../placement/oracle/logLine.ts';
import { readLog } from '../../../placement/oracle/logReader.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import type { LogHead, LogRecord } from '../../../placement/oracle/types.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shardway-log-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const record = (at: number): LogRecord => ({ at, kind: 'parameters', parameters: ORACLE_DEFAULTS });
const segments = async (): Promise<string[]> =>
  (await readdir(folder))
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .map((name) => join(folder, name));

/** Times of the records, which number them. */
async function times(after?: LogHead): Promise<number[]> {
  const found: number[] = [];
  for await (const { record } of readLog(folder, after)) found.push(record.at);
  return found;
}

async function write(count: number, segmentBytes?: number): Promise<LogHead[]> {
  const log = await openEventLog(folder, segmentBytes === undefined ? {} : { segmentBytes });
  const heads = [];
  for (let at = 1; at <= count; at++) heads.push(await log.append(record(at)));
  await log.close();
  return heads;
}

async function tamperedAt(work: Promise<unknown>): Promise<number> {
  const error: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(TamperedError);
  expect(error).toMatchObject({ kind: 'Tampered' });
  return (error as TamperedError).sequence;
}

describe('the event log', () => {
  test('keeps records in the order of the calls, over restarts and segments', async () => {
    const log = await openEventLog(folder, { segmentBytes: 2000 });
    expect(log.head()).toEqual({ sequence: 0, hash: '0'.repeat(64) });
    const heads = await Promise.all([1, 2, 3, 4].map((at) => log.append(record(at))));
    expect(heads.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(log.head()).toEqual(heads[3]);
    await log.close();
    for (let at = 5; at <= 12; at++) {
      const again = await openEventLog(folder, { segmentBytes: 2000 });
      expect(again.head().sequence).toBe(at - 1);
      await again.append(record(at));
      await again.close();
    }
    expect((await segments()).length).toBeGreaterThan(2);
    expect(await times()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(await times(heads[2])).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(await times(heads[3])).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('reads while it is written, what was acknowledged by then', async () => {
    const log = await openEventLog(folder);
    const [first] = await Promise.all([log.append(record(1)), log.append(record(2))]);
    const late = log.append(record(3));
    const found = [];
    for await (const { record } of log.read()) found.push(record.at);
    expect(found).toEqual([1, 2]);
    await late;
    const rest = [];
    for await (const { record } of log.read(first)) rest.push(record.at);
    expect(rest).toEqual([2, 3]);
    for await (const _ of log.read(log.head())) expect.unreachable();
    await log.close();
  });

  test('appends that wait share one sync', async () => {
    let syncs = 0;
    const log = await openEventLog(folder, {
      sync: async (file) => {
        syncs++;
        await file.datasync();
      },
    });
    await Promise.all(Array.from({ length: 100 }, (_, at) => log.append(record(at))));
    // The batch, and its head.
    expect(syncs).toBeLessThanOrEqual(4);
    await log.close();
    expect(await times()).toHaveLength(100);
  });

  test('a sync that fails refuses the record and all after it, until the log is opened again', async () => {
    let fails = false;
    const log = await openEventLog(folder, {
      sync: async (file) => {
        if (fails) throw new Error('EIO');
        await file.datasync();
      },
    });
    await log.append(record(1));
    fails = true;
    const appends = await Promise.allSettled([log.append(record(2)), log.append(record(3))]);
    fails = false;
    for (const append of [...appends, ...(await Promise.allSettled([log.append(record(4))]))]) {
      expect(append).toMatchObject({ status: 'rejected', reason: { kind: 'Unavailable' } });
    }
    expect(log.head().sequence).toBe(1);
    await log.close();
    const again = await openEventLog(folder);
    const { sequence } = again.head();
    await again.append(record(5));
    await again.close();
    // Whether the refused records are there is open; nothing is there twice, nothing acknowledged is gone.
    expect([
      [1, 5],
      [1, 2, 3, 5],
    ]).toContainEqual(await times());
    expect([1, 3]).toContain(sequence);
  });

  test('what a crash left behind the last acknowledged record is cut off, wherever it was torn', async () => {
    await write(3);
    const [path] = await segments();
    const whole = await readFile(path!);
    const line = whole.subarray(0, whole.indexOf(10) + 1);
    for (const torn of [
      line.subarray(0, 1),
      line.subarray(0, 200),
      line.subarray(0, -1),
      Buffer.from('{}\n'),
      Buffer.concat([Buffer.alloc(4096), line]),
    ]) {
      await appendFile(path!, torn);
      expect(await times()).toEqual([1, 2, 3]);
      const log = await openEventLog(folder);
      expect(log.head().sequence).toBe(3);
      await log.close();
      expect(await readFile(path!)).toEqual(whole);
    }
  });

  test('a record that became durable before its head is kept', async () => {
    await write(2);
    const head = await readFile(join(folder, 'head.json'));
    const log = await openEventLog(folder);
    await log.append(record(3));
    await log.close();
    await writeFile(join(folder, 'head.json'), head);
    const again = await openEventLog(folder);
    expect(again.head().sequence).toBe(3);
    await again.close();
  });

  test('a segment that was begun and holds nothing yet is gone on with', async () => {
    await write(4, 1);
    const paths = await segments();
    await truncate(paths[3]!, 0);
    await writeFile(join(folder, 'head.json'), await headOf(3));
    const log = await openEventLog(folder, { segmentBytes: 1 });
    expect(log.head().sequence).toBe(3);
    await log.append(record(40));
    await log.close();
    expect(await times()).toEqual([1, 2, 3, 40]);
  });

  async function headOf(sequence: number): Promise<string> {
    const path = (await segments())[sequence - 1]!;
    const { hash } = JSON.parse(await readFile(path, 'utf8')) as LogHead;
    return `${JSON.stringify({ sequence, hash }).padEnd(127)}\n`;
  }
});

describe('tampering', () => {
  test('one flipped byte anywhere is found at its record', async () => {
    await write(12, 2500);
    const paths = await segments();
    const contents = await Promise.all(paths.map((path) => readFile(path)));
    const starts = contents.map((_, index) =>
      contents.slice(0, index).reduce((sum, { length }) => sum + length, 0),
    );
    const whole = Buffer.concat(contents);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const file = starts.findLastIndex((start) => start <= at);
        const changed = Buffer.from(contents[file]!);
        changed[at - starts[file]!]! ^= flip;
        await writeFile(paths[file]!, changed);
        const record = whole.subarray(0, at).filter((byte) => byte === 10).length + 1;
        try {
          expect(await tamperedAt(times())).toBe(record);
        } finally {
          await writeFile(paths[file]!, contents[file]!);
        }
      }),
      { numRuns: 150 },
    );
    expect(await times()).toHaveLength(12);
  });

  test('missing records are found: the last ones, a segment, the first', async () => {
    await write(12, 2500);
    const paths = await segments();
    const last = await readFile(paths.at(-1)!);
    await truncate(paths.at(-1)!, last.lastIndexOf(10, last.length - 2) + 1);
    expect(await tamperedAt(times())).toBe(12);
    expect(await tamperedAt(openEventLog(folder))).toBe(12);
    await writeFile(paths.at(-1)!, last);

    const second = await readFile(paths[1]!);
    await unlink(paths[1]!);
    expect(await tamperedAt(times())).toBeGreaterThan(1);
    await writeFile(paths[1]!, second);
    await unlink(paths[0]!);
    expect(await tamperedAt(times())).toBe(1);
  });

  test('records that were written anew, in a chain of their own, do not match the head', async () => {
    await write(5);
    const head = await readFile(join(folder, 'head.json'));
    await rm(folder, { recursive: true });
    const log = await openEventLog(folder);
    for (let at = 1; at <= 5; at++) await log.append(record(at * 10));
    await log.close();
    await writeFile(join(folder, 'head.json'), head);
    expect(await tamperedAt(times())).toBe(5);
  });

  test('a head that is not one is refused; without one, only the very last line may be torn', async () => {
    await write(3);
    const path = join(folder, 'head.json');
    await writeFile(path, '{"sequence":3}\n');
    expect(await tamperedAt(openEventLog(folder))).toBe(0);
    await unlink(path);
    const [segment] = await segments();
    const whole = await readFile(segment!);
    await writeFile(segment!, whole.subarray(0, -5));
    expect(await times()).toEqual([1, 2]);
    const changed = Buffer.from(whole);
    changed[100]! ^= 1;
    await writeFile(segment!, changed);
    expect(await tamperedAt(openEventLog(folder))).toBe(1);
  });
});
