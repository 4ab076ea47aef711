/** Seams of durability: pure formulas over profiles, failure rates and repair times. Rates are per year, probabilities per year. */
import type { Profile } from '#erasure';

export interface FailureModel {
  /** Shard losses per shard and year, as measured of the providers: 0.02 where nothing is known. */
  readonly lossRate: number;
  /** Hours from a loss to its repair, detection included. */
  readonly repairHours: number;
}

export interface Durability {
  /** Where there are several, that of most bytes; the probabilities are of all. */
  readonly profile: Profile;
  readonly chunks: number;
  readonly bytes: number;
  /** Probability that any one chunk is lost within a year, and of any of all `chunks`. */
  readonly chunkLoss: number;
  readonly anyLoss: number;
  /** −log₁₀ of chunkLoss. */
  readonly nines: number;
  /** Expected bytes lost a year (NOMDL: normalised by bytes stored where a ratio is shown). */
  readonly expectedLossBytes: number;
  /** Repair begins at this many healthy shards or fewer. */
  readonly repairAt: number;
  /** Chunks that lack shards now, by their records and their providers' states; those with fewer than k among them. */
  readonly lacking: number;
  readonly unreadable: number;
  /** By level: chunks that could not be read if the worst single domain of it went, and its name. */
  readonly worstDomain: readonly {
    readonly level: 'region' | 'site' | 'operator' | 'provider';
    readonly domain: string;
    readonly chunks: number;
    readonly bytes: number;
  }[];
}

/** One pass over all chunk records, and the model its figures rest on. */
export interface DurabilityReport {
  /** ms since the epoch, when the pass ended. */
  readonly at: number;
  readonly model: FailureModel;
  readonly whole: Durability;
  readonly byBucket: Readonly<Record<string, Durability>>;
  /** Buckets beyond those that a report holds: counted in `whole` only. */
  readonly bucketsLeftOut: boolean;
}
