import { join } from 'node:path';
import { Ledger } from '../ledger/ledger.ts';
import { eraAccountsOf } from '../ledger/eraAccounts.ts';
import { ledgerFiles } from '../ledger/ledgerFolder.ts';
import type { LedgerParameters } from '../ledger/types.ts';
import type { LogRecord, NetworkState } from '../oracle/types.ts';
import type { Clock } from '../types.ts';

/** Accounts every closed era, also those that a stop came in between. */
export class Accounting {
  readonly #folder: string;
  readonly #parameters: LedgerParameters;
  readonly #clock: Clock;
  #ledger: Ledger | undefined;
  #failed = false;

  private constructor(folder: string, parameters: LedgerParameters, clock: Clock) {
    this.#folder = folder;
    this.#parameters = parameters;
    this.#clock = clock;
  }

  /** A ledger that is there goes on while the log is read; a new one begins once it is known where the log ends. */
  static async open(folder: string, parameters: LedgerParameters, clock: Clock): Promise<Accounting> {
    const accounting = new Accounting(join(folder, 'ledger'), parameters, clock);
    if ((await ledgerFiles(accounting.#folder)).length > 0) await accounting.#open(0);
    return accounting;
  }

  /** Begins a ledger where there is none, with the era that is open or comes next. */
  async begin({ open, era }: NetworkState): Promise<void> {
    if (this.#ledger === undefined) await this.#open(open?.era ?? era + 1);
  }

  get root(): string | undefined {
    return this.#ledger?.root;
  }

  /** False once an era could not be settled: the next start does it. */
  get isWhole(): boolean {
    return !this.#failed;
  }

  /** Settles an era that was closed; one that is settled already stays as it is. */
  async settle(record: LogRecord, before: NetworkState, after: NetworkState): Promise<void> {
    // Eras are settled in order: after one that failed, none.
    if (record.kind !== 'era-closed' || this.#ledger === undefined || this.#failed) return;
    try {
      await this.#ledger.settle(eraAccountsOf(before, record, after));
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#ledger?.close();
  }

  async #open(firstEra: number): Promise<void> {
    this.#ledger = await Ledger.open({
      folder: this.#folder,
      parameters: this.#parameters,
      at: this.#clock.now(),
      firstEra,
    });
  }
}
