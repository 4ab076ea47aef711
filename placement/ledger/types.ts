/**
 * Seams of the ledger: integer accounting of an era, a pure function of the era's outcome and of what was stored and served. Amounts are
 * bigint base units (10⁻⁹ of the unit of account), written as decimal strings in JSON.
 */
import type { EraOutcome, NetworkState } from '../oracle/types.ts';
import type { Observation } from '../network/messages.ts';

/** Who is owed: `provider:<id>`, `withheld:<id>`, `hypernode:<id>`, `customers`, `repair-fund`, `residue`, `treasury`, `emission`. */
export type AccountName = string;

/** One double entry: what leaves `from` arrives at `to`. */
export interface LedgerEntry {
  readonly from: AccountName;
  readonly to: AccountName;
  /** ≥ 0 */
  readonly amount: bigint;
  readonly reason:
    | 'storage'
    | 'egress'
    | 'repair-egress'
    | 'capacity'
    | 'withheld'
    | 'released'
    | 'fault'
    | 'credit'
    | 'repair-fund'
    | 'monitoring'
    | 'residue';
}

export interface LedgerParameters {
  /** Base units. */
  readonly pricePerGbHour: bigint;
  readonly pricePerGbEgress: bigint;
  readonly pricePerGbRepairEgress: bigint;
  /** Capacity subsidy per GB and hour, before utilisation. */
  readonly capacityPerGbHour: bigint;
  /** Emission to HyperNodes: the total in base units, and each month's share of it in parts per million. */
  readonly emission: { readonly cap: bigint; readonly monthSharesPpm: readonly number[] };
  /** Milliseconds of a month and of a quarter of age: 30 and 91.25 days, shorter in a demonstration. */
  readonly monthMs: number;
  readonly quarterMs: number;
  /** Share withheld in each quarter of a provider's age: 75, 50, 25, 0 %. */
  readonly withheldPercent: readonly number[];
  /** A fault begins after this time without service: 24 h. Each faulty day costs 3.51 times the expected daily revenue. */
  readonly faultGraceMs: number;
  readonly faultMultiplierPercent: number;
  /** Memory of the expected daily revenue: 7 days. */
  readonly revenueMemoryMs: number;
  /** Most bytes of one provider that the capacity subsidy counts: room is claimed, not proven. */
  readonly capacityBytesMax: number;
}

/** What the ledger remembers from era to era. */
export interface LedgerState {
  readonly era: number;
  readonly balances: Readonly<Record<AccountName, bigint>>;
  /** Emitted so far, never more than the cap. */
  readonly emitted: bigint;
  readonly genesisAt: number;
  /** End of the last era that was accounted. */
  readonly closedAt: number;
  /** By provider: ms of 'down' decisions since it was last up, and its expected daily revenue (EWMA, base units). */
  readonly outages: Readonly<Record<string, number>>;
  readonly dailyRevenue: Readonly<Record<string, bigint>>;
  /** By provider: when the first era opened that it served in. Its age counts from there. */
  readonly servingSince: Readonly<Record<string, number>>;
  /** By provider: what faults cost beyond all that could be taken. A note, and no account: nobody has it. */
  readonly unpaidFaults: Readonly<Record<string, bigint>>;
}

/** What of the state its entries do not tell. */
type LedgerMemory = Omit<LedgerState, 'era' | 'balances'>;

export interface EraAccounts {
  readonly outcome: EraOutcome;
  readonly observation: Observation;
  readonly state: NetworkState;
  readonly openedAt: number;
  readonly closedAt: number;
}

/** A closed era of the ledger, ready to be settled. */
export interface Settlement {
  readonly era: number;
  readonly entries: readonly LedgerEntry[];
  /** Merkle root over the balances of all accounts after the era, in order of name. */
  readonly root: string;
  /** Hash of the ledger's record before this one. */
  readonly previous: string;
  readonly memory: LedgerMemory;
}

/**
 * Where settled eras go: a file today, a chain tomorrow. Eras arrive in order. Durable when it resolves; settling the same era again is
 * success, and another settlement of a settled era is NetworkError 'Conflict'.
 */
export interface SettlementBackend {
  settle(settlement: Settlement): Promise<void>;
  /** Last settled era; −1 before the first. */
  lastEra(): Promise<number>;
}
