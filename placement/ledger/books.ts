import { NetworkError } from '../network/errors.ts';
import type { AccountName, LedgerEntry, LedgerState, Settlement } from './types.ts';

/** What customers owe and what was emitted: the only accounts that may be below zero, and by exactly what all others hold. */
const SOURCES: ReadonlySet<AccountName> = new Set(['treasury', 'emission']);

/** An era's double entries on top of the balances before it. What it refuses is a bug of the caller's and a plain Error. */
export class Books {
  readonly entries: LedgerEntry[] = [];
  readonly #balances: Map<AccountName, bigint>;

  constructor(balances: Readonly<Record<AccountName, bigint>>) {
    this.#balances = new Map(Object.entries(balances));
  }

  balance(name: AccountName): bigint {
    return this.#balances.get(name) ?? 0n;
  }

  accounts(): readonly AccountName[] {
    return [...this.#balances.keys()].sort();
  }

  /** Nothing is written for an amount of 0. */
  post(from: AccountName, to: AccountName, amount: bigint, reason: LedgerEntry['reason']): void {
    if (amount === 0n) return;
    if (amount < 0n) throw new Error(`an entry of ${amount} from ${from} to ${to}`);
    const left = this.balance(from) - amount;
    if (left < 0n && !SOURCES.has(from)) throw new Error(`${from} does not have ${amount}`);
    this.#balances.set(from, left);
    this.#balances.set(to, this.balance(to) + amount);
    this.entries.push({ from, to, amount, reason });
  }

  /** Posts as much of `amount` as the accounts have, the first of them first. Returns what they did not have. */
  take(from: readonly AccountName[], to: AccountName, amount: bigint, reason: LedgerEntry['reason']): bigint {
    let missing = amount;
    for (const name of from) {
      const has = this.balance(name);
      const part = has < missing ? has : missing;
      this.post(name, to, part, reason);
      missing -= part;
    }
    return missing;
  }

  /**
   * All balances, in order of name.
   * @throws Error unless they sum to zero and only sources are below it
   */
  closed(): Readonly<Record<AccountName, bigint>> {
    let sum = 0n;
    for (const [name, balance] of this.#balances) {
      sum += balance;
      if (balance < 0n && !SOURCES.has(name)) throw new Error(`${name} is ${balance}`);
    }
    if (sum !== 0n) throw new Error(`the ledger does not balance: ${sum} too much`);
    return Object.fromEntries(this.accounts().map((name) => [name, this.balance(name)]));
  }
}

/**
 * The ledger after a settled era, from what its record says.
 * @throws NetworkError 'Tampered' when no ledger in that state could have settled it
 */
export function stateAfter(
  state: LedgerState,
  { era, entries, memory }: Pick<Settlement, 'era' | 'entries' | 'memory'>,
): LedgerState {
  const books = new Books(state.balances);
  try {
    for (const { from, to, amount, reason } of entries) books.post(from, to, amount, reason);
    return { era, balances: books.closed(), ...memory };
  } catch (error) {
    throw new NetworkError(
      'Tampered',
      `the entries of era ${era} do not follow: ${(error as Error).message}`,
    );
  }
}
