import type { ProviderState } from '../types.ts';
import { INTEGRITY_MIN, type Integrity } from './reputation.ts';
import type { OracleParameters, ProviderRecord, Reputation } from './types.ts';

/** Eras with too little possession shown in time, after which a provider is suspended. */
const LATE_ERAS = 3;
const DAY_MS = 24 * 3_600_000;

/** What an era showed of a provider, as its state depends on it. */
export interface EraShown {
  readonly closedAt: number;
  /** The committee decided, and the averages below went on. */
  readonly measured: boolean;
  readonly placementScore: number | undefined;
  readonly availability: number | undefined;
  readonly integrity: Integrity;
  /** Audits passed in all. */
  readonly audits: number;
}

type Counters = Pick<Reputation, 'erasBelow' | 'erasAbove' | 'erasAvailable' | 'erasLate' | 'vetted'>;

export interface Standing {
  readonly state: ProviderState;
  readonly counters: Counters;
  /** Which rule put it where it is. */
  readonly cause: Cause;
}

type Cause =
  | 'kept'
  | 'undecided'
  | 'integrity'
  | 'unavailable'
  | 'late'
  | 'recovering'
  | 'vetting'
  | 'score'
  | 'good';

/**
 * The life cycle's steps that follow from measurements. Only signed evidence disqualifies, even where the committee decided nothing; downtime
 * leads to 'suspended' and no further. Who is leaving, gone or disqualified stays so.
 */
export function nextStanding(
  provider: ProviderRecord,
  shown: EraShown,
  parameters: OracleParameters,
): Standing {
  const kept: Counters = {
    erasBelow: provider.erasBelow,
    erasAbove: provider.erasAbove,
    erasAvailable: provider.erasAvailable,
    erasLate: provider.erasLate,
    vetted: provider.vetted,
  };
  const state = provider.state as ProviderState;
  if (state === 'exiting' || state === 'gone' || state === 'disqualified') {
    return { state, counters: kept, cause: 'kept' };
  }
  if (shown.integrity.disqualifying) return { state: 'disqualified', counters: kept, cause: 'integrity' };
  if (!shown.measured) return { state, counters: kept, cause: 'undecided' };
  const counters = count(provider, shown, parameters);
  return { ...step(state, counters, shown, parameters), counters };
}

function count(provider: ProviderRecord, shown: EraShown, parameters: OracleParameters): Counters {
  const { placementScore: score, availability } = shown;
  const { timely, silent = 0 } = shown.integrity;
  const isSilent = silent > 1 - INTEGRITY_MIN;
  const { suspended } = parameters;
  const run = (former: number, holds: boolean): number => (holds ? former + 1 : 0);
  return {
    erasBelow: run(provider.erasBelow, score !== undefined && score < parameters.degraded.below),
    erasAbove: run(provider.erasAbove, score !== undefined && score > parameters.degraded.above),
    erasAvailable: run(
      provider.erasAvailable,
      availability !== undefined && availability > suspended.above && timely > suspended.above && !isSilent,
    ),
    erasLate: run(provider.erasLate, timely < suspended.below || isSilent),
    vetted: provider.vetted || isVetted(provider, shown, parameters),
  };
}

function isVetted(
  { state, vettingSince }: ProviderRecord,
  { closedAt, audits }: EraShown,
  { vetting }: OracleParameters,
): boolean {
  const days = (closedAt - vettingSince) / DAY_MS;
  return state === 'vetting' && audits >= vetting.audits && days >= vetting.days;
}

function step(
  state: ProviderState,
  counters: Counters,
  { availability }: EraShown,
  { suspended, degraded }: OracleParameters,
): Omit<Standing, 'counters'> {
  if (availability !== undefined && availability < suspended.below) {
    return { state: 'suspended', cause: 'unavailable' };
  }
  if (counters.erasLate >= LATE_ERAS) return { state: 'suspended', cause: 'late' };
  if (state === 'suspended' && counters.erasAvailable < suspended.back) {
    return { state: 'suspended', cause: 'recovering' };
  }
  if (!counters.vetted) return { state: 'vetting', cause: 'vetting' };
  if (counters.erasBelow >= degraded.after) return { state: 'degraded', cause: 'score' };
  if (state === 'degraded' && counters.erasAbove < degraded.back) {
    return { state: 'degraded', cause: 'recovering' };
  }
  return { state: 'active', cause: 'good' };
}
