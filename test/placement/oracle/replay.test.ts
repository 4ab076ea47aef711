import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEventLog } from '../../../placement/oracle/log.ts';
import { replay } from '../../../placement/oracle/replay.ts';
import type { LogRecord } from '../../../placement/oracle/types.ts';
import { SyntheticNetwork } from './syntheticNetwork.ts';

let root: string;
const network = new SyntheticNetwork({
  providers: [{}, { lost: [1, 2, 3] }, { up: 0.5 }, { late: true }],
  monitors: 7,
});

async function write(name: string, records: readonly LogRecord[]): Promise<string> {
  const folder = join(root, name);
  const log = await openEventLog(folder);
  await Promise.all(records.map((record) => log.append(record)));
  await log.close();
  return folder;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'shardway-replay-'));
  for (let era = 0; era < 6; era++) network.era();
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

describe('a replay', () => {
  test('agrees with every score, digit for digit, and ends in the same state', async () => {
    const report = await replay(await write('whole', network.records));
    expect(report).toMatchObject({
      agree: true,
      records: network.records.length,
      eras: 6,
      scores: 24,
      firstDisagreement: undefined,
      tamperedAt: undefined,
    });
    expect(JSON.parse(JSON.stringify(report.state))).toEqual(JSON.parse(JSON.stringify(network.state)));
  });

  test('finds a score that does not follow from the reports, in a chain that is whole', async () => {
    const at = network.records.findLastIndex(({ kind }) => kind === 'era-closed');
    const records = structuredClone<LogRecord[]>(network.records);
    const closed = records[at] as unknown as {
      outcome: { providers: { score: number; provider: string }[] };
    };
    closed.outcome.providers[2]!.score += 1e-9;
    const report = await replay(await write('score', records));
    expect(report).toMatchObject({ agree: false, eras: 5, tamperedAt: undefined });
    expect(report.firstDisagreement!.sequence).toBe(at + 1);
    expect(report.firstDisagreement!.what).toContain(closed.outcome.providers[2]!.provider);
  });

  test('takes the reasons of another release for what they are: words', async () => {
    const records = structuredClone<LogRecord[]>(network.records);
    for (const record of records as { outcome?: Record<string, { reason: string }[]> }[]) {
      for (const verdict of record.outcome?.['providers'] ?? []) verdict.reason = 'in other words';
      for (const verdict of record.outcome?.['monitors'] ?? []) verdict.reason = 'in other words';
    }
    expect(await replay(await write('words', records))).toMatchObject({ agree: true, eras: 6, scores: 24 });
  });

  test('finds a report that was left out, an assignment that was changed, and a beacon that was chosen', async () => {
    const drop = network.records.findIndex(({ kind }) => kind === 'report');
    const without = network.records.filter((_, index) => index !== drop);
    expect(await replay(await write('report', without))).toMatchObject({ agree: false, eras: 0 });

    const changed = structuredClone<LogRecord[]>(network.records);
    const assignments = changed.find(({ kind }) => kind === 'assignments') as Extract<
      LogRecord,
      { kind: 'assignments' }
    >;
    (assignments.assignments[0]!.tasks[0]!.targets[0] as { root: string }).root = '0'.repeat(64);
    expect(await replay(await write('assignment', changed))).toMatchObject({ agree: false, eras: 0 });

    const chosen = structuredClone<LogRecord[]>(network.records);
    const opened = chosen.findLastIndex(({ kind }) => kind === 'era-opened');
    (chosen[opened] as { beacon: string }).beacon = '0'.repeat(64);
    const report = await replay(await write('beacon', chosen));
    expect(report).toMatchObject({ agree: false, firstDisagreement: { sequence: opened + 1 } });
    expect(report.firstDisagreement!.what).toMatch(/beacon/);
  });

  test('a record that makes no sense is a disagreement, not a crash', async () => {
    const records = [...network.records.slice(0, 3), { at: network.now, kind: 'era-closed' } as LogRecord];
    const report = await replay(await write('nonsense', records));
    expect(report).toMatchObject({ agree: false, records: 3, firstDisagreement: { sequence: 4 } });
  });

  test('finds one flipped byte, wherever it is', async () => {
    const folder = await write('flipped', network.records.slice(0, 40));
    const [name] = (await readdir(folder)).filter((file) => file.endsWith('.jsonl'));
    const path = join(folder, name!);
    const whole = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 7 }), async (at, bit) => {
        const changed = Buffer.from(whole);
        changed[at]! ^= 1 << bit;
        await writeFile(path, changed);
        const sequence = whole.subarray(0, at).filter((byte) => byte === 10).length + 1;
        expect(await replay(folder)).toMatchObject({
          agree: false,
          tamperedAt: sequence,
          firstDisagreement: { sequence },
          records: sequence - 1,
        });
      }),
      { numRuns: 25 },
    );
    await writeFile(path, whole);
    expect(await replay(folder)).toMatchObject({ agree: true, records: 40 });
  });

  test('of nothing is an empty one', async () => {
    expect(await replay(join(root, 'nowhere'))).toMatchObject({ agree: true, records: 0, state: undefined });
  });
});
