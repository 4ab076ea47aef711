/** What is measured of losses and repairs, as decaying sums, so that a guess gives way to evidence and old evidence to new. */
import type { FailureModel } from './types.ts';
import type { ChunkCatalog } from '../types.ts';

/** Shard losses per shard and year, and hours from a loss to its repair, where nothing is known yet. */
const PRIOR_LOSS_RATE = 0.02;
const PRIOR_REPAIR_HOURS = 24;
/** The prior weighs as much as this much evidence: a handful of losses in a small cluster says little. */
const PRIOR_SHARD_YEARS = 1_000;
const PRIOR_REPAIRS = 20;
/** Evidence counts half after this long. */
const HALF_LIFE_MS = 90 * 86_400_000;
const YEAR_MS = 365 * 86_400_000;
/** A repair that took longer says that nobody was there to do it. */
const REPAIR_HOURS_MAX = 30 * 24;
const NOTE = 'durability.failures';

export interface FailureEvidence {
  /** ms since the epoch: when these sums were last brought up to date. */
  readonly at: number;
  /** Shards that were lost and found. */
  readonly losses: number;
  /** Shard-years watched. */
  readonly shardYears: number;
  /** Shards rebuilt, and the hours it took, summed. */
  readonly repairs: number;
  readonly repairHours: number;
}

/** Seen since the evidence was last brought up to date. */
export interface Observations {
  /** Shards that are stored now. */
  readonly shards: number;
  /** Shards found lost. */
  readonly losses: number;
  /** Shards rebuilt, and the hours from their loss to their repair, summed. */
  readonly repairs: number;
  readonly repairHours: number;
}

export function noEvidence(at: number): FailureEvidence {
  return { at, losses: 0, shardYears: 0, repairs: 0, repairHours: 0 };
}

/** @param now ms since the epoch; earlier than the evidence's (a clock set back), it counts as the same moment */
export function withObservations(
  evidence: FailureEvidence,
  seen: Observations,
  now: number,
): FailureEvidence {
  const passed = Math.max(0, now - evidence.at);
  const kept = 0.5 ** (passed / HALF_LIFE_MS);
  return {
    at: Math.max(now, evidence.at),
    losses: evidence.losses * kept + seen.losses,
    shardYears: evidence.shardYears * kept + (seen.shards * passed) / YEAR_MS,
    repairs: evidence.repairs * kept + seen.repairs,
    repairHours: evidence.repairHours * kept + seen.repairHours,
  };
}

/** Mean of the posterior: prior and evidence by weight. Always positive. */
export function modelOf(evidence: FailureEvidence): FailureModel {
  const losses = PRIOR_LOSS_RATE * PRIOR_SHARD_YEARS + evidence.losses;
  const hours = PRIOR_REPAIR_HOURS * PRIOR_REPAIRS + evidence.repairHours;
  return {
    lossRate: losses / (PRIOR_SHARD_YEARS + evidence.shardYears),
    repairHours: Math.max(1, hours / (PRIOR_REPAIRS + evidence.repairs)),
  };
}

export const PRIOR_MODEL: FailureModel = modelOf(noEvidence(0));

/** The model of a running gateway: collects between two saves, and survives restarts as a note of the catalog. */
export class FailureWatch {
  readonly #catalog: Pick<ChunkCatalog, 'getNote' | 'setNote'>;
  #seen = { losses: 0, repairs: 0, repairHours: 0 };

  constructor(catalog: Pick<ChunkCatalog, 'getNote' | 'setNote'>) {
    this.#catalog = catalog;
  }

  /** Shards that were lost have been rebuilt, so many hours after their loss. */
  rebuilt(shards: number, hours: number): void {
    this.#seen.losses += shards;
    this.#seen.repairs += shards;
    this.#seen.repairHours += shards * Math.min(REPAIR_HOURS_MAX, Math.max(0, hours));
  }

  /** As last saved. @param now ms since the epoch */
  async model(now: number): Promise<FailureModel> {
    return modelOf(await this.#load(now));
  }

  /** Adds what was collected to the evidence. @param shards stored now: the time since the last save counts for them */
  async save(shards: number, now: number): Promise<void> {
    const before = await this.#load(now);
    const evidence = withObservations(before, { shards, ...this.#seen }, now);
    this.#seen = { losses: 0, repairs: 0, repairHours: 0 };
    await this.#catalog.setNote(NOTE, JSON.stringify(evidence));
  }

  /** Read anew every time: another process may have kept it since. */
  async #load(now: number): Promise<FailureEvidence> {
    return parseEvidence(await this.#catalog.getNote(NOTE)) ?? noEvidence(now);
  }
}

function parseEvidence(note: string | undefined): FailureEvidence | undefined {
  if (!note) return undefined;
  const { at, losses, shardYears, repairs, repairHours } = JSON.parse(note) as FailureEvidence;
  const fields = [at, losses, shardYears, repairs, repairHours];
  return fields.every((field) => Number.isFinite(field) && field >= 0)
    ? { at, losses, shardYears, repairs, repairHours }
    : undefined;
}
