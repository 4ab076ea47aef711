import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson, type Canonical } from '../../../placement/ledger/canonical.ts';
import { exportLedger } from '../../../placement/ledger/export.ts';
import { Ledger } from '../../../placement/ledger/ledger.ts';
import { accountLine, verifyAccountProof, type AccountProof } from '../../../placement/ledger/merkle.ts';
import type { LedgerState } from '../../../placement/ledger/types.ts';
import { PARAMETERS } from './network.ts';
import { anEra } from './settlementContract.ts';

let folder = '';
const states: LedgerState[] = [];
const roots: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'));
  const ledger = await Ledger.open({ folder, parameters: PARAMETERS, at: 0 });
  for (let era = 0; era < 4; era++) {
    await ledger.settle(anEra(era));
    states.push(ledger.state);
    roots.push(ledger.root);
  }
  await ledger.close();
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Exported {
  readonly eras: readonly {
    readonly era: number;
    readonly root: string;
    readonly entries: readonly object[];
  }[];
  readonly to: number;
  readonly state: {
    readonly root: string;
    readonly accounts: readonly { name: string; amount: string; proof: AccountProof }[];
  };
}
const json = async (range: { from?: number; to?: number }): Promise<Exported> =>
  JSON.parse(await exportLedger(folder, { format: 'json', ...range })) as Exported;

describe('an export as JSON', () => {
  test('has the entries of its range and the balances after it, each with a proof', async () => {
    const { eras, state, to } = await json({ from: 1, to: 2 });
    expect(eras.map(({ era }) => era)).toEqual([1, 2]);
    expect(eras.map(({ root }) => root)).toEqual([roots[1], roots[2]]);
    expect(to).toBe(2);
    expect(state.root).toBe(roots[2]);
    const balances = Object.fromEntries(state.accounts.map(({ name, amount }) => [name, BigInt(amount)]));
    expect(balances).toEqual(states[2]!.balances);
    for (const { name, amount, proof } of state.accounts) {
      expect(verifyAccountProof(state.root, accountLine(name, BigInt(amount)), proof)).toBe(true);
    }
  });

  test('is canonical, and the same bytes each time', async () => {
    const text = await exportLedger(folder, { format: 'json' });
    expect(`${canonicalJson(JSON.parse(text) as Canonical)}\n`).toBe(text);
    expect(await exportLedger(folder, { format: 'json', from: 0, to: 3 })).toBe(text);
  });

  test('of eras to come is empty, and says where the ledger is', async () => {
    expect(await json({ from: 9 })).toMatchObject({ eras: [], to: 3, state: { root: roots[3] } });
  });

  test.each([
    [Number.NaN, 1],
    [-1, 1],
    [2, 1],
    [0.5, 1],
  ])('of eras %d to %d is refused', async (from, to) => {
    await expect(json({ from, to })).rejects.toMatchObject({ kind: 'BadMessage' });
  });
});

describe('an export as CSV', () => {
  test('is one table of entries, balances and the root', async () => {
    const text = await exportLedger(folder, { format: 'csv', from: 3 });
    expect(text.endsWith('\r\n')).toBe(true);
    const rows = text
      .trimEnd()
      .split('\r\n')
      .map((line) => line.split(','));
    expect(rows[0]).toEqual(['kind', 'era', 'from', 'to', 'amount', 'reason', 'proof']);
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set([7]));
    const entries = rows.filter(([kind]) => kind === 'entry');
    expect(new Set(entries.map(([, era]) => era))).toEqual(new Set(['3']));
    const { eras } = await json({ from: 3 });
    expect(entries.length).toBe(eras[0]!.entries.length);
    const balances = rows.filter(([kind]) => kind === 'balance');
    expect(Object.fromEntries(balances.map((row) => [row[3], BigInt(row[4]!)]))).toEqual(states[3]!.balances);
    for (const row of balances) {
      const [index, accounts, ...path] = row[6]!.split(' ');
      const proof = { index: Number(index), accounts: Number(accounts), path };
      expect(verifyAccountProof(roots[3]!, `${row[3]}\t${row[4]}`, proof)).toBe(true);
    }
    expect(rows.at(-1)).toEqual(['root', '3', '', '', '', '', roots[3]]);
  });
});

test('canonical JSON has one text for a value', () => {
  const value = { b: [1, -5n, true], a: { z: 'ü"\n', y: undefined }, 10: 0, 9: '' };
  expect(canonicalJson(value)).toBe('{"10":0,"9":"","a":{"z":"ü\\"\\n"},"b":[1,"-5",true]}');
  expect(() => canonicalJson(0.5)).toThrow(RangeError);
  expect(() => canonicalJson(2 ** 53)).toThrow(RangeError);
});
