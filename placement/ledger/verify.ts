import { NetworkError } from '../network/errors.ts';
import { readLog } from '../oracle/logReader.ts';
import { accountEra } from './accountEra.ts';
import { closedEras } from './eraAccounts.ts';
import { foldRecord, type LedgerBook } from './ledgerBook.ts';
import { readLedger, type LoggedLedgerRecord } from './ledgerLog.ts';
import { balancesRoot } from './merkle.ts';
import { eraRecord, textOf, type EraRecord } from './record.ts';
import type { EraAccounts } from './types.ts';

export interface LedgerReport {
  /** That were accounted again and found as they are settled. */
  readonly eras: number;
  readonly agree: boolean;
  /** The first era that is not what the log says, or that could not be read. */
  readonly firstDisagreement: { readonly era: number; readonly what: string } | undefined;
  /** In every era that agrees, all balances sum to zero and no more was emitted than the cap. */
  readonly conservation: boolean;
  /** Over the balances after the last era that agrees. */
  readonly root: string;
  /** For people. */
  readonly summary: string;
}

/**
 * Accounts every era of the oracle's log again and compares it with what was settled: entries, balances, roots and the hash chain. The
 * outcomes of the eras are taken as the log has them; a replay of the log is what verifies those. Only reads.
 * @throws NetworkError 'Unavailable' when a file cannot be read
 */
export async function verifyLedger(logFolder: string, ledgerFolder: string): Promise<LedgerReport> {
  return await compareLedger(closedEras(readLog(logFolder)), readLedger(ledgerFolder));
}

/** As verifyLedger does, over eras and records from anywhere. */
export async function compareLedger(
  eras: AsyncIterable<EraAccounts>,
  records: AsyncIterable<LoggedLedgerRecord>,
): Promise<LedgerReport> {
  const iterator = eras[Symbol.asyncIterator]();
  const comparison = new Comparison(iterator);
  let what: string | undefined;
  try {
    what = await comparison.run(records);
  } catch (error) {
    if (!(error instanceof Error) || isOutage(error)) throw error;
    what = error.message;
  } finally {
    await iterator.return?.();
  }
  return comparison.report(what);
}

/** The files could not be read, which says nothing of them. Whatever else a log or a ledger makes fail is wrong with it. */
function isOutage(error: Error): boolean {
  return error instanceof NetworkError ? error.kind === 'Unavailable' : 'syscall' in error;
}

class Comparison {
  readonly #eras: AsyncIterator<EraAccounts>;
  #book: LedgerBook | undefined;
  #agreed = 0;
  #conserved = true;
  /** The era that is looked at. */
  #era = 0;

  constructor(eras: AsyncIterator<EraAccounts>) {
    this.#eras = eras;
  }

  /** What is wrong first; undefined when nothing is. */
  async run(records: AsyncIterable<LoggedLedgerRecord>): Promise<string | undefined> {
    for await (const { record } of records) {
      const what = record.kind === 'era' ? await this.#compare(record) : undefined;
      if (what !== undefined) return what;
      this.#book = foldRecord(this.#book, record);
      if (record.kind === 'era') this.#count(record);
    }
    const next = await this.#next();
    return next && `is closed in the log, and not settled`;
  }

  report(what: string | undefined): LedgerReport {
    const era = this.#era;
    const eras = this.#agreed;
    return {
      eras,
      agree: what === undefined,
      firstDisagreement: what === undefined ? undefined : { era, what },
      conservation: this.#conserved,
      root: balancesRoot(this.#book?.state.balances ?? {}),
      summary:
        what === undefined
          ? `${eras} eras accounted again: the ledger agrees with the log`
          : `era ${era}: ${what} (${eras} eras before it agree)`,
    };
  }

  async #compare(settled: EraRecord): Promise<string | undefined> {
    this.#era = settled.era;
    const accounts = await this.#next();
    if (accounts === undefined) return 'is settled, and not closed in the log';
    if (accounts.outcome.era !== settled.era) return `follows in the log where ${settled.era} is settled`;
    if (this.#book === undefined) return 'is settled before the genesis';
    const { state, entries } = accountEra(this.#book.state, accounts, this.#book.parameters);
    const right = eraRecord(state, { entries, root: balancesRoot(state.balances) });
    if (textOf(right) === textOf(settled)) return undefined;
    if (textOf({ ...right, entries: settled.entries }) === textOf(settled)) return 'has other entries';
    return right.root === settled.root ? 'remembers something else' : 'has other balances';
  }

  /** The next era that the ledger has to have. */
  async #next(): Promise<EraAccounts | undefined> {
    for (;;) {
      const { done, value } = await this.#eras.next();
      if (done === true) return undefined;
      if (value.outcome.era < (this.#book?.firstEra ?? 0)) continue;
      this.#era = value.outcome.era;
      return value;
    }
  }

  #count({ era, memory }: EraRecord): void {
    this.#agreed++;
    // What cannot be read comes after it.
    this.#era = era + 1;
    const { state, parameters } = this.#book!;
    const sum = Object.values(state.balances).reduce((total, balance) => total + balance, 0n);
    this.#conserved &&= sum === 0n && memory.emitted <= parameters.emission.cap;
  }
}
