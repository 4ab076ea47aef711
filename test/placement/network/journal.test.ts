import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Journal } from '../../../placement/network/journal.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import type { LogRecord, OracleParameters } from '../../../placement/oracle/types.ts';
import { ManualClock } from '../manualClock.ts';

let folder: string;
const logged: LogRecord[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shardway-journal-'));
  logged.length = 0;
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function open(clock: ManualClock): Promise<Journal> {
  return Journal.open({
    folder,
    clock,
    genesis: {
      kind: 'genesis',
      version: 1,
      gateway: 'a'.repeat(32),
      parameters: ORACLE_DEFAULTS,
      beacon: '0'.repeat(64),
      beaconTip: '1'.repeat(64),
    },
    known: undefined,
    onRecord: (record) => void logged.push(record),
    onWarning: () => undefined,
  });
}

const asking = (challenges: number): OracleParameters => ({ ...ORACLE_DEFAULTS, challenges });

test('a record that takes its time is made of a state that nothing else changes, and has the time of its beginning', async () => {
  const clock = new ManualClock();
  const journal = await open(clock);
  const began = clock.now();
  const slow = journal.commit(async (state, at) => {
    for (let turns = 0; turns < 5; turns++) await turn();
    clock.advance(1_000);
    expect(journal.state).toBe(state);
    expect(at).toBe(began);
    return { kind: 'parameters', parameters: asking(state.parameters.challenges + 1) };
  });
  const next = journal.commit(({ parameters }) => ({
    kind: 'parameters',
    parameters: asking(10 * parameters.challenges),
  }));
  await Promise.all([slow, next]);
  expect(journal.state.parameters.challenges).toBe(10 * (ORACLE_DEFAULTS.challenges + 1));
  expect(logged.map(({ at }) => at)).toEqual([began, began + 1_000]);

  // One that fails leaves no trace, and holds up nobody.
  await expect(journal.commit(() => Promise.reject(new Error('stopped')))).rejects.toThrow('stopped');
  await journal.commit(() => ({ kind: 'parameters', parameters: asking(7) }));
  expect(logged).toHaveLength(3);
  await journal.close();
});
