import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedEras } from '../../../placement/ledger/eraAccounts.ts';
import { FileSettlement } from '../../../placement/ledger/fileSettlement.ts';
import { Ledger } from '../../../placement/ledger/ledger.ts';
import { ledgerFiles } from '../../../placement/ledger/ledgerFolder.ts';
import { openLedgerLog, readLedger, type LoggedLedgerRecord } from '../../../placement/ledger/ledgerLog.ts';
import type { EraRecord, LedgerRecord } from '../../../placement/ledger/record.ts';
import { compareLedger, verifyLedger } from '../../../placement/ledger/verify.ts';
import { readLog } from '../../../placement/oracle/logReader.ts';
import { PARAMETERS } from './network.ts';
import { GatewayLog } from './oracleLog.ts';

let root = '';
let logFolder = '';
let ledgerFolder = '';
let leaver = '';
let pledge = 0n;
let at = 0;
const ERAS = 30;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'verify-'));
  logFolder = join(root, 'log');
  ledgerFolder = join(root, 'ledger');
  const log = await GatewayLog.begin(logFolder);
  ({ at } = log);
  const ledger = await Ledger.open({ folder: ledgerFolder, parameters: PARAMETERS, at });
  // The last provider is up for two eras and then down beyond the grace; the first one leaves.
  for (let era = 0; era < ERAS - 1; era++) await ledger.settle(await log.close(era < 2 ? 3 : 2));
  leaver = log.providers[0]!.id;
  pledge = ledger.state.balances[`withheld:${leaver}`]!;
  await log.leave(log.providers[0]!);
  await ledger.settle(await log.close(2));
  await log.end();
  await ledger.close();
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

async function* changed(
  change: (record: EraRecord) => LedgerRecord,
  era: number,
): AsyncGenerator<LoggedLedgerRecord> {
  for await (const logged of readLedger(ledgerFolder)) {
    const { record } = logged;
    yield record.kind === 'era' && record.era === era ? { ...logged, record: change(record) } : logged;
  }
}
const compare = (change: (record: EraRecord) => LedgerRecord, era = 5): ReturnType<typeof compareLedger> =>
  compareLedger(closedEras(readLog(logFolder)), changed(change, era));

describe('verification of a ledger', () => {
  test('accounts every era of the log again, and agrees', async () => {
    const report = await verifyLedger(logFolder, ledgerFolder);
    expect(report).toMatchObject({
      eras: ERAS,
      agree: true,
      firstDisagreement: undefined,
      conservation: true,
    });
    expect(report.summary).toBe('30 eras accounted again: the ledger agrees with the log');
    const ledger = await FileSettlement.open(ledgerFolder);
    expect(ledger.state.balances['customers']! > 0n).toBe(true);
    expect(ledger.state.unpaidFaults).not.toEqual({});
    await ledger.close();
  });

  test('finds entries, balances and memory that do not follow', async () => {
    const first = (record: EraRecord): EraRecord['entries'][number] => record.entries[0]!;
    const entries = await compare((record) => ({
      ...record,
      entries: [{ ...first(record), amount: first(record).amount + 1n }, ...record.entries.slice(1)],
    }));
    expect(entries.firstDisagreement).toEqual({ era: 5, what: 'has other entries' });
    expect(entries).toMatchObject({ eras: 5, agree: false });
    const balances = await compare((record) => ({ ...record, root: '0'.repeat(64) }));
    expect(balances.firstDisagreement?.what).toBe('has other balances');
    const memory = await compare((record) => ({ ...record, memory: { ...record.memory, outages: {} } }));
    expect(memory.firstDisagreement?.what).toBe('remembers something else');
  });

  test('finds eras that are missing on either side', async () => {
    const renamed = await compare((record) => ({ ...record, era: 6 }));
    expect(renamed.firstDisagreement).toEqual({ era: 5, what: 'follows in the log where 6 is settled' });
    const cut = async function* (): AsyncGenerator<LoggedLedgerRecord> {
      for await (const logged of readLedger(ledgerFolder)) {
        if (logged.record.kind !== 'era' || logged.record.era < 9) yield logged;
      }
    };
    const short = await compareLedger(closedEras(readLog(logFolder)), cut());
    expect(short.firstDisagreement).toEqual({ era: 9, what: 'is closed in the log, and not settled' });
    const log = async function* (): ReturnType<typeof closedEras> {
      for await (const era of closedEras(readLog(logFolder))) if (era.outcome.era < 9) yield era;
    };
    const long = await compareLedger(log(), readLedger(ledgerFolder));
    expect(long.firstDisagreement).toEqual({ era: 9, what: 'is settled, and not closed in the log' });
  });

  test('finds any byte that was changed, in the ledger and in the log', async () => {
    const ledger = (await ledgerFiles(ledgerFolder))[0]!;
    const log = (await ledgerFiles(logFolder))[0]!;
    const lengths = { ledger: (await readFile(ledger)).length, log: (await readFile(log)).length };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<'ledger' | 'log'>('ledger', 'log'),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        async (which, where, bits) => {
          const path = which === 'ledger' ? ledger : log;
          const bytes = await readFile(path);
          const changed = Buffer.from(bytes);
          const offset = Math.floor(where * lengths[which]);
          changed[offset]! ^= bits;
          await writeFile(path, changed);
          const report = await verifyLedger(logFolder, ledgerFolder);
          await writeFile(path, bytes);
          expect(report.agree).toBe(false);
          expect(report.firstDisagreement?.what).toContain(`of the ${which}: `);
        },
      ),
      { numRuns: 20 },
    );
    expect((await verifyLedger(logFolder, ledgerFolder)).agree).toBe(true);
  });

  test('finds an era that was settled otherwise with a chain that is whole', async () => {
    const folder = join(root, 'forged');
    const forged = await openLedgerLog(folder);
    for await (const { record } of readLedger(ledgerFolder)) {
      const generous =
        record.kind === 'genesis'
          ? { ...record, parameters: { ...record.parameters, pricePerGbEgress: 10_001n } }
          : record;
      await forged.append(generous);
    }
    await forged.close();
    const report = await verifyLedger(logFolder, folder);
    expect(report.firstDisagreement).toEqual({ era: 0, what: 'has other balances' });
  });

  test('a ledger that was begun later, or missed eras, is right once it has caught up', async () => {
    const folder = join(root, 'late');
    const late = await Ledger.open({ folder, parameters: PARAMETERS, at, firstEra: 7 });
    for await (const era of closedEras(readLog(logFolder))) await late.settle(era);
    await late.close();
    expect(await verifyLedger(logFolder, folder)).toMatchObject({ eras: ERAS - 7, agree: true });
  });

  test('new parameters hold from their place in the ledger on', async () => {
    const folder = join(root, 'dear');
    for (const [from, to, price] of [
      [0, 9, 1000n],
      [10, 99, 3000n],
    ] as const) {
      const parameters = { ...PARAMETERS, pricePerGbHour: price };
      const ledger = await Ledger.open({ folder, parameters, at });
      for await (const era of closedEras(readLog(logFolder))) {
        if (era.outcome.era >= from && era.outcome.era <= to) await ledger.settle(era);
      }
      await ledger.close();
    }
    expect(await verifyLedger(logFolder, folder)).toMatchObject({ eras: ERAS, agree: true });
  });

  test('without a ledger every era is missing, and nothing is made by looking', async () => {
    const report = await verifyLedger(logFolder, join(root, 'nowhere'));
    expect(report.firstDisagreement).toEqual({ era: 0, what: 'is closed in the log, and not settled' });
    expect(await ledgerFiles(join(root, 'nowhere'))).toEqual([]);
  });

  test('a provider that left in order got its pledge with the next era', async () => {
    const released: unknown[] = [];
    for await (const { record } of readLedger(ledgerFolder)) {
      if (record.kind !== 'era') continue;
      for (const entry of record.entries) {
        if (entry.reason === 'released') released.push({ era: record.era, ...entry });
      }
    }
    expect(pledge > 0n).toBe(true);
    expect(released).toEqual([
      {
        era: ERAS - 1,
        from: `withheld:${leaver}`,
        to: `provider:${leaver}`,
        amount: pledge,
        reason: 'released',
      },
    ]);
  });
});
