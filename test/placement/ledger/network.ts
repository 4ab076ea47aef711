/** Eras made by hand: verdicts, observations and states in few words. */
import { LEDGER_DEFAULTS } from '../../../placement/ledger/parameters.ts';
import type { EraAccounts, LedgerParameters } from '../../../placement/ledger/types.ts';
import { RULES } from '../../../placement/oracle/parameters.ts';
import type { ProviderObservation } from '../../../placement/ledger/pay.ts';
import type {
  EraVerdict,
  MonitorVerdict,
  NetworkState,
  OracleParameters,
  Reputation,
} from '../../../placement/oracle/types.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const TB = 1e12;
export const idOf = (number: number): string => number.toString(16).padStart(32, '0');

/** Round figures: 1000 a GB and hour, 10 000 and 20 000 a GB out, 100 a GB of room. */
export const PARAMETERS: LedgerParameters = {
  ...LEDGER_DEFAULTS,
  pricePerGbHour: 1000n,
  pricePerGbEgress: 10_000n,
  pricePerGbRepairEgress: 20_000n,
  capacityPerGbHour: 100n,
  emission: { cap: 720_000_000n, monthSharesPpm: [500_000, 300_000, 200_000] },
};

export const REPUTATION: Reputation = {
  alpha: 0,
  beta: 0,
  audits: 0,
  failures: 0,
  timely: 1,
  silence: {},
  availability: 1,
  erasBelow: 0,
  erasAbove: 0,
  erasAvailable: 0,
  erasLate: 0,
  vetted: true,
};

export function verdictOf(provider: string, changes: Partial<EraVerdict> = {}): EraVerdict {
  return {
    provider,
    decision: 'up',
    components: {
      availability: 1,
      integrity: 1,
      latency: 1,
      throughput: 1,
      capacity: 1,
    },
    score: 1,
    placementScore: 1,
    settlementScore: 1,
    state: 'active',
    reason: '',
    audits: { passed: 20, late: 0, wrong: 0, missing: 0, silent: 0 },
    groups: [],
    p50Ms: 10,
    p99Ms: 20,
    bytesPerSecond: 1e7,
    locationRefutedBy: [],
    reputation: REPUTATION,
    ...changes,
  };
}

export function seenOf(provider: string, changes: Partial<ProviderObservation> = {}): ProviderObservation {
  return {
    provider,
    shards: 1,
    storedBytes: TB,
    writes: 0,
    refusedWithSpace: 0,
    reads: 0,
    wrongReads: 0,
    egressBytes: 0,
    repairEgressBytes: 0,
    ...changes,
  };
}

export function monitorOf(monitor: string, changes: Partial<MonitorVerdict> = {}): MonitorVerdict {
  return {
    monitor,
    reported: true,
    connected: true,
    canaryAccuracy: 1,
    agreement: 0.5,
    state: 'active',
    reason: '',
    canaries: [],
    agreements: [],
    ...changes,
  };
}

/** Of the oracle's state the ledger reads the length of an era, by which rules it was decided, and who is gone with what record. */
function stateOf({ states = {}, evidence = {}, rules = RULES, eraMs }: Partial<EraByHand>): NetworkState {
  const providers = Object.fromEntries(
    Object.entries(states).map(([id, state]) => [id, { id, state, ...REPUTATION, ...evidence }]),
  );
  return {
    parameters: { eraMs, rules } as OracleParameters,
    providers,
  } as unknown as NetworkState;
}

export interface EraByHand {
  readonly era: number;
  readonly verdicts?: readonly EraVerdict[];
  readonly seen?: readonly ProviderObservation[];
  readonly monitors?: readonly MonitorVerdict[];
  readonly ms?: number;
  readonly eraMs?: number;
  readonly openedAt?: number;
  readonly states?: Readonly<Record<string, string>>;
  /** What is remembered of those, where it is not nothing. */
  readonly evidence?: Partial<Reputation>;
  readonly rules?: number;
}

/** Era `era` of an unbroken row of eras of `ms`, an hour unless told. */
export function eraOf({
  era,
  verdicts = [],
  seen,
  monitors = [],
  ms = HOUR,
  ...more
}: EraByHand): EraAccounts {
  const openedAt = more.openedAt ?? era * ms;
  return {
    outcome: { era, beacon: '', providers: verdicts, monitors },
    observation: {
      version: 1,
      era,
      providers: [...(seen ?? verdicts.map(({ provider }) => seenOf(provider)))],
    },
    state: stateOf({ ...more, eraMs: more.eraMs ?? ms }),
    openedAt,
    closedAt: openedAt + ms,
  };
}
