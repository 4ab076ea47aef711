import { NetworkError } from '../network/errors.ts';
import { bySecondRules } from '../oracle/parameters.ts';
import { hasLostData } from '../oracle/reputation.ts';
import type { EraVerdict, MonitorVerdict } from '../oracle/types.ts';
import { Books } from './books.ts';
import { divide, emittedAfter, PPM } from './emission.ts';
import { expectedDaily, faultPenalty } from './fault.ts';
import { earningsOf, withheldPercent, type ProviderObservation } from './pay.ts';
import type { EraAccounts, LedgerEntry, LedgerParameters, LedgerState } from './types.ts';

/** An era is paid and charged for at most so many of its length: one that stayed open longer did so because the gateway was off. */
const ERAS_MAX = 2;

/** The ledger before its first era. @param at ms since the epoch: months of emission count from there */
export function openingState(at: number): LedgerState {
  return {
    era: -1,
    balances: {},
    emitted: 0n,
    genesisAt: at,
    closedAt: at,
    outages: {},
    dailyRevenue: {},
    servingSince: {},
    unpaidFaults: {},
  };
}

/**
 * The ledger after a closed era, and the double entries that lead there. Pure: the same era on the same state is the same to the unit.
 * @throws NetworkError 'Conflict' for an era that is accounted already, 'BadMessage' for an observation of another era
 */
export function accountEra(
  state: LedgerState,
  accounts: EraAccounts,
  parameters: LedgerParameters,
): { readonly state: LedgerState; readonly entries: readonly LedgerEntry[] } {
  const { era } = accounts.outcome;
  if (era <= state.era) throw new NetworkError('Conflict', `era ${era} is accounted already`);
  if (accounts.observation.era !== era) {
    throw new NetworkError(
      'BadMessage',
      `the observation of era ${accounts.observation.era} is not of era ${era}`,
    );
  }
  const close = new EraClose(state, accounts, parameters);
  const seen = new Map(accounts.observation.providers.map((provider) => [provider.provider, provider]));
  for (const verdict of accounts.outcome.providers) close.provider(verdict, seen.get(verdict.provider));
  close.leavers();
  close.monitors(accounts.outcome.monitors);
  return { state: close.state(), entries: close.books.entries };
}

/** One run of accountEra: copies of what the state holds, changed rule by rule. */
class EraClose {
  readonly books: Books;
  readonly #before: LedgerState;
  readonly #accounts: EraAccounts;
  readonly #parameters: LedgerParameters;
  readonly #openedAt: number;
  readonly #closedAt: number;
  /** That are paid and charged. */
  readonly #ms: number;
  readonly #outages: Map<string, number>;
  readonly #dailyRevenue: Map<string, bigint>;
  readonly #servingSince: Map<string, number>;
  readonly #unpaidFaults: Map<string, bigint>;
  #emitted: bigint;

  constructor(state: LedgerState, accounts: EraAccounts, parameters: LedgerParameters) {
    this.books = new Books(state.balances);
    this.#before = state;
    this.#accounts = accounts;
    this.#parameters = parameters;
    // No moment is paid twice, whatever the records say.
    this.#openedAt = Math.max(Math.floor(accounts.openedAt), state.closedAt);
    this.#closedAt = Math.max(Math.floor(accounts.closedAt), this.#openedAt);
    const most = ERAS_MAX * Math.floor(accounts.state.parameters.eraMs);
    this.#ms = Math.min(this.#closedAt - this.#openedAt, most);
    this.#outages = new Map(Object.entries(state.outages));
    this.#dailyRevenue = new Map(Object.entries(state.dailyRevenue));
    this.#servingSince = new Map(Object.entries(state.servingSince));
    this.#unpaidFaults = new Map(Object.entries(state.unpaidFaults));
    this.#emitted = state.emitted;
  }

  provider(verdict: EraVerdict, seen: ProviderObservation | undefined): void {
    const id = verdict.provider;
    if (!this.#servingSince.has(id)) this.#servingSince.set(id, this.#openedAt);
    const earned = this.#pay(verdict, seen);
    if (verdict.decision === 'up') {
      this.#outages.delete(id);
      const daily = expectedDaily(this.#parameters, this.#dailyRevenue.get(id), earned, this.#ms);
      this.#dailyRevenue.set(id, daily);
    } else if (verdict.decision === 'down' && verdict.state !== 'gone') {
      this.#charge(id);
    }
  }

  /** Returns what was earned, withheld or not. */
  #pay(verdict: EraVerdict, seen: ProviderObservation | undefined): bigint {
    const id = verdict.provider;
    const earned = earningsOf(this.#parameters, verdict, seen, this.#ms);
    const account = `provider:${id}`;
    this.books.post('treasury', account, earned.storage, 'storage');
    this.books.post('treasury', account, earned.egress, 'egress');
    this.books.post('treasury', account, earned.repairEgress, 'repair-egress');
    this.books.post('treasury', account, earned.capacity, 'capacity');
    const sum = earned.storage + earned.egress + earned.repairEgress + earned.capacity;
    const age = this.#openedAt - (this.#servingSince.get(id) ?? this.#openedAt);
    const withheld = (sum * BigInt(withheldPercent(this.#parameters, age))) / 100n;
    this.books.post(account, `withheld:${id}`, withheld, 'withheld');
    return sum;
  }

  /** From the pledge first, then from what is owed to the provider; what neither has is noted. */
  #charge(id: string): void {
    const before = this.#outages.get(id) ?? 0;
    this.#outages.set(id, before + this.#ms);
    const daily = this.#dailyRevenue.get(id) ?? 0n;
    const penalty = faultPenalty(this.#parameters, before, before + this.#ms, daily);
    const from = [`withheld:${id}`, `provider:${id}`];
    const has = from.reduce((sum, name) => sum + this.books.balance(name), 0n);
    const taken = penalty < has ? penalty : has;
    const half = taken / 2n;
    this.books.take(from, 'customers', half, 'credit');
    this.books.take(from, 'repair-fund', half, 'fault');
    this.books.take(from, 'residue', taken - 2n * half, 'residue');
    if (taken < penalty) {
      this.#unpaidFaults.set(id, (this.#unpaidFaults.get(id) ?? 0n) + penalty - taken);
    }
  }

  /**
   * Pledges end: given back to who left in order, lost to who was disqualified, left in an outage beyond the grace, or lost data on the way
   * out, in the era that shows it: what it keeps until it is gone would cover it up.
   */
  leavers(): void {
    const { outcome, state: network } = this.#accounts;
    const decided = new Map(outcome.providers.map((verdict) => [verdict.provider, verdict]));
    for (const id of this.#servingSince.keys()) {
      const verdict = decided.get(id);
      const state = verdict?.state ?? network.providers[id]?.state;
      const evidence = verdict?.reputation ?? network.providers[id];
      const hasLost = bySecondRules(network.parameters) && evidence !== undefined && hasLostData(evidence);
      const isLeaving = state === 'exiting' && hasLost;
      if (state !== 'gone' && state !== 'disqualified' && !isLeaving) continue;
      const faulty = (this.#outages.get(id) ?? 0) > this.#parameters.faultGraceMs;
      const pledge = this.books.balance(`withheld:${id}`);
      if (state === 'gone' && !faulty && !hasLost)
        this.books.post(`withheld:${id}`, `provider:${id}`, pledge, 'released');
      else this.books.post(`withheld:${id}`, 'repair-fund', pledge, 'repair-fund');
      if (isLeaving) continue;
      for (const memory of [this.#outages, this.#dailyRevenue, this.#servingSince]) memory.delete(id);
    }
  }

  /**
   * The era's part of its month's emission, among the active monitors that reported, by the share of their audits that they have done times the
   * accuracy of their canaries. An era that lasted longer than it should emits what a full one does.
   */
  monitors(verdicts: readonly MonitorVerdict[]): void {
    const reporting = verdicts.filter(
      ({ state, reported, connected }) => state === 'active' && reported && connected,
    );
    const weights = reporting.map(({ canaryAccuracy = 1, work = 1 }) =>
      Math.round(canaryAccuracy * work * PPM),
    );
    if (weights.every((weight) => weight === 0)) return;
    const ms = Math.min(this.#ms, Math.floor(this.#accounts.state.parameters.eraMs));
    const opened = this.#openedAt - this.#before.genesisAt;
    const due = emittedAfter(this.#parameters, opened + ms) - emittedAfter(this.#parameters, opened);
    const left = this.#parameters.emission.cap - this.#emitted;
    const budget = due < left ? due : left > 0n ? left : 0n;
    const { parts, rest } = divide(budget, weights);
    reporting.forEach(({ monitor }, i) =>
      this.books.post('emission', `hypernode:${monitor}`, parts[i]!, 'monitoring'),
    );
    this.books.post('emission', 'residue', rest, 'residue');
    this.#emitted += budget;
  }

  /** @throws Error when money was made or lost: nothing of such an era may be settled */
  state(): LedgerState {
    const balances = this.books.closed();
    if (this.#emitted !== -(balances['emission'] ?? 0n))
      throw new Error('what was emitted is not what was posted');
    if (this.#emitted > this.#before.emitted && this.#emitted > this.#parameters.emission.cap) {
      throw new Error('more was emitted than the cap');
    }
    return {
      era: this.#accounts.outcome.era,
      balances,
      emitted: this.#emitted,
      genesisAt: this.#before.genesisAt,
      closedAt: this.#closedAt,
      outages: Object.fromEntries(this.#outages),
      dailyRevenue: Object.fromEntries(this.#dailyRevenue),
      servingSince: Object.fromEntries(this.#servingSince),
      unpaidFaults: Object.fromEntries(this.#unpaidFaults),
    };
  }
}
