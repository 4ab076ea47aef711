import { accountEra } from './accountEra.ts';
import { FileSettlement, type LedgerStart } from './fileSettlement.ts';
import { AccountTree, balancesRoot, type AccountProof } from './merkle.ts';
import { eraRecord } from './record.ts';
import type { AccountName, EraAccounts, LedgerState, Settlement } from './types.ts';

export interface LedgerOptions extends LedgerStart {
  readonly folder: string;
}

/** The books of a network: accounts each closed era and settles it. Calls are made one after the other. */
export class Ledger {
  readonly #file: FileSettlement;

  private constructor(file: FileSettlement) {
    this.#file = file;
  }

  /** Begins a ledger where there is none. @throws NetworkError 'Tampered' */
  static async open({ folder, ...start }: LedgerOptions): Promise<Ledger> {
    return new Ledger(await FileSettlement.open(folder, start));
  }

  get state(): LedgerState {
    return this.#file.state;
  }

  /** No era up to this one is to be accounted any more; −1 before the first. */
  get lastEra(): number {
    return Math.max(this.state.era, this.#file.firstEra - 1);
  }

  /** Over the balances after the last era. */
  get root(): string {
    return balancesRoot(this.state.balances);
  }

  /** One account's balance with its proof under the root; undefined where there is no such account. */
  account(name: AccountName): { readonly amount: bigint; readonly proof: AccountProof } | undefined {
    const proof = new AccountTree(this.state.balances).proof(name);
    return proof && { amount: this.state.balances[name] ?? 0n, proof };
  }

  /**
   * Durable when it resolves. Undefined for an era that is settled already, or that was before the ledger.
   * @throws NetworkError 'Unavailable' when it could not be written
   */
  async settle(accounts: EraAccounts): Promise<Settlement | undefined> {
    if (accounts.outcome.era <= this.lastEra) return undefined;
    const { state, entries } = accountEra(this.state, accounts, this.#file.parameters);
    const root = balancesRoot(state.balances);
    const { kind: _kind, ...record } = eraRecord(state, { entries, root });
    const settlement = { ...record, previous: this.#file.head };
    await this.#file.settle(settlement);
    return settlement;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
