import { appendFile, mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { FileSettlement } from '../../../placement/ledger/fileSettlement.ts';
import { Ledger } from '../../../placement/ledger/ledger.ts';
import { ledgerFiles } from '../../../placement/ledger/ledgerFolder.ts';
import { accountLine, verifyAccountProof } from '../../../placement/ledger/merkle.ts';
import type { LedgerParameters } from '../../../placement/ledger/types.ts';
import { idOf, PARAMETERS } from './network.ts';
import { anEra, settlementContract } from './settlementContract.ts';

const folders: string[] = [];
const open: (Ledger | FileSettlement)[] = [];
afterEach(async () => {
  for (const ledger of open.splice(0)) await ledger.close();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ledger-'));
  folders.push(folder);
  return folder;
}

async function openLedger(folder: string, parameters: LedgerParameters = PARAMETERS): Promise<Ledger> {
  const ledger = await Ledger.open({ folder, parameters, at: 0 });
  open.push(ledger);
  return ledger;
}

async function closeAll(): Promise<void> {
  for (const ledger of open.splice(0)) await ledger.close();
}

/** A closed ledger of this many eras. */
async function ledgerOf(eras: number): Promise<{ folder: string; file: string }> {
  const folder = await newFolder();
  const ledger = await openLedger(folder);
  for (let era = 0; era < eras; era++) await ledger.settle(anEra(era));
  await closeAll();
  return { folder, file: (await ledgerFiles(folder))[0]! };
}

settlementContract('a folder', async () => {
  const file = await FileSettlement.open(await newFolder(), { parameters: PARAMETERS, at: 0 });
  open.push(file);
  return file;
});

describe('a ledger', () => {
  test('goes on after a restart where it was, with the parameters it began with', async () => {
    const folder = await newFolder();
    const first = await openLedger(folder);
    for (let era = 0; era < 3; era++) await first.settle(anEra(era));
    const { state, root } = first;
    await closeAll();
    for (const snapshot of ['kept', 'lost', 'torn']) {
      if (snapshot === 'lost') await rm(join(folder, 'state.json'));
      if (snapshot === 'torn') await writeFile(join(folder, 'state.json'), 'x\n{"book"');
      const again = await openLedger(folder);
      expect(again.state).toEqual(state);
      expect(again.root).toBe(root);
      expect(again.lastEra).toBe(2);
      await closeAll();
    }
  });

  test('settles an era once', async () => {
    const ledger = await openLedger(await newFolder());
    const settled = await ledger.settle(anEra(0));
    expect(settled?.entries.length).toBeGreaterThan(0);
    const { state } = ledger;
    expect(await ledger.settle(anEra(0))).toBeUndefined();
    expect(ledger.state).toBe(state);
  });

  test('leaves out the eras before its first', async () => {
    const folder = await newFolder();
    const ledger = await Ledger.open({ folder, parameters: PARAMETERS, at: 0, firstEra: 5 });
    open.push(ledger);
    expect(ledger.lastEra).toBe(4);
    expect(await ledger.settle(anEra(4))).toBeUndefined();
    expect((await ledger.settle(anEra(5)))?.era).toBe(5);
  });

  test('records parameters that changed, and uses them from the next era on', async () => {
    const { folder } = await ledgerOf(1);
    const dear = { ...PARAMETERS, pricePerGbHour: 2000n };
    const ledger = await openLedger(folder, dear);
    const settled = await ledger.settle(anEra(1));
    expect(settled?.entries.find(({ reason }) => reason === 'storage')?.amount).toBe(2_000_000n);
    await closeAll();
    const again = await FileSettlement.open(folder);
    open.push(again);
    expect(again.parameters).toEqual(dear);
    expect(again.state.era).toBe(1);
  });

  test('proves the balance of each of its accounts under its root', async () => {
    const ledger = await openLedger(await newFolder());
    await ledger.settle(anEra(0));
    const names = Object.keys(ledger.state.balances);
    expect(names.length).toBeGreaterThan(5);
    for (const name of names) {
      const { amount, proof } = ledger.account(name)!;
      expect(verifyAccountProof(ledger.root, accountLine(name, amount), proof)).toBe(true);
    }
    expect(ledger.account(`provider:${idOf(77)}`)).toBeUndefined();
  });

  test('is not begun by looking for it', async () => {
    const folder = await newFolder();
    expect(await ledgerFiles(folder)).toEqual([]);
    expect(await ledgerFiles(join(folder, 'nowhere'))).toEqual([]);
    await expect(FileSettlement.open(folder)).rejects.toMatchObject({ kind: 'NotFound' });
    expect(await ledgerFiles(folder)).toEqual([]);
  });
});

describe('the files of a ledger', () => {
  test('a record that a crash cut short is cut off, and the era settled again', async () => {
    const { folder, file } = await ledgerOf(3);
    const whole = await readFile(file);
    await appendFile(file, '{"sequence":5,"previous":"00');
    const ledger = await openLedger(folder);
    expect(ledger.lastEra).toBe(2);
    expect(await readFile(file)).toEqual(whole);
    await ledger.settle(anEra(3));
    await closeAll();
    expect((await openLedger(folder)).lastEra).toBe(3);
  });

  test('one ledger is the same bytes wherever it is written', async () => {
    const [one, other] = [await ledgerOf(3), await ledgerOf(3)];
    expect(await readFile(one.file)).toEqual(await readFile(other.file));
  });

  test('an acknowledged record that is gone is missed', async () => {
    const { folder, file } = await ledgerOf(3);
    await truncate(file, (await readFile(file)).lastIndexOf(0x0a, -2) + 1);
    await expect(openLedger(folder)).rejects.toMatchObject({ kind: 'Tampered' });
  });

  test('nobody else may read them', async () => {
    const { folder } = await ledgerOf(1);
    const names = (await readdir(folder)).sort();
    expect(names).toEqual(['events-000000000001.jsonl', 'head.json', 'state.json']);
    const modes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).mode & 0o777));
    expect(modes).toEqual([0o600, 0o600, 0o600]);
  });
});
