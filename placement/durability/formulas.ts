/**
 * How long chunks live: a chunk with i healthy shards loses one at rate i·λ, and is brought back to k+m shards at rate μ once it has
 * `repairAt` or fewer. Below k it is lost. Rates are per year, probabilities per year.
 */
import type { FailureModel } from './types.ts';
import type { Profile } from '#erasure';

const YEAR_HOURS = 365 * 24;
const YEAR_DAYS = 365;

/** Predicted loss of a chunk within a year that repair may be put off for. At 50 PB (7e8 chunks) it is one chunk in 1,400 years. */
const LOSS_TARGET = 1e-12;

/**
 * Mean years until a chunk is lost (MTTDL), exact for the chain described above. For μ much larger than nλ it is
 * [Σ_{i=r+1..n} 1/(iλ)] · Π_{i=k..r} μ/(iλ), r = repairAt.
 * @param repairAt healthy shards at or under which repair runs; below k: never
 */
export function meanYearsToLoss(profile: Profile, model: FailureModel, repairAt: number): number {
  const { data, parity } = profile;
  const lossRate = checkedRate(model.lossRate);
  const repairRate = YEAR_HOURS / checkedRate(model.repairHours);
  // t(i) = spent + (1 − falls)·t(n): expected time with i healthy shards, and the probability of being lost before the next repair.
  let spent = 0;
  let falls = 1;
  for (let healthy = data; healthy <= data + parity; healthy++) {
    const losing = healthy * lossRate;
    const leaving = losing + (healthy <= repairAt ? repairRate : 0);
    spent = (1 + losing * spent) / leaving;
    falls = (losing * falls) / leaving;
  }
  return spent / falls;
}

/** Probability that a chunk is lost within a year. @param repairAt see `repairThreshold` */
export function chunkLossPerYear(
  profile: Profile,
  model: FailureModel,
  repairAt: number = repairThreshold(profile, model),
): number {
  return -Math.expm1(-1 / meanYearsToLoss(profile, model, repairAt));
}

/**
 * Healthy shards at or under which a chunk is repaired: the smallest number, k+1 or more, with a predicted loss of at most `target`.
 * Where none is enough, as for small profiles, a chunk is repaired as soon as it lacks one shard: n−1.
 */
export function repairThreshold(profile: Profile, model: FailureModel, target: number = LOSS_TARGET): number {
  const atOnce = profile.data + profile.parity - 1;
  for (let repairAt = profile.data + 1; repairAt < atOnce; repairAt++) {
    if (chunkLossPerYear(profile, model, repairAt) <= target) return repairAt;
  }
  return atOnce;
}

/** Expected days until fewer than k of `healthy` shards are left if nothing is repaired: Σ_{i=k..healthy} 1/(iλ). 0 below k. */
export function daysToLoss(healthy: number, profile: Profile, model: FailureModel): number {
  let years = 0;
  for (let left = healthy; left >= profile.data; left--) years += 1 / (left * model.lossRate);
  return years * YEAR_DAYS;
}

/** Probability that any of `chunks` is lost. */
export function anyLoss(chunkLoss: number, chunks: number): number {
  return chunkLoss >= 1 ? Math.min(1, chunks) : Math.abs(Math.expm1(chunks * Math.log1p(-chunkLoss)));
}

/** −log₁₀ of a probability; Infinity for 0. */
export function nines(probability: number): number {
  return probability === 0 ? Infinity : Math.max(0, -Math.log10(probability));
}

/**
 * Bytes that repair moves a year for each byte of user data, those read and those written: α(n−r+k)/(k·Σ_{i=r+1..n} 1/i), r = repairAt < n.
 * Every repair reads k shards and writes the n−r that are lacking; the sum over α is how long it takes to lose them. providers-and-sla.md has
 * ln(n/r) for the sum, which is a tenth off for a short one.
 */
export function repairTrafficPerYear({ data, parity }: Profile, lossRate: number, repairAt: number): number {
  const total = data + parity;
  let sum = 0;
  for (let healthy = repairAt + 1; healthy <= total; healthy++) sum += 1 / healthy;
  return (lossRate * (total - repairAt + data)) / (data * sum);
}

/**
 * Hypergeometric: probability that more than `spare` of a chunk's `shards`, all on different providers, are among the `failed` of
 * `providers` that fail together.
 */
export function lossWhenProvidersFail(
  providers: number,
  failed: number,
  shards: number,
  spare: number,
): number {
  if (spare < 0) return 1;
  let probability = 0;
  for (let hit = spare + 1; hit <= Math.min(shards, failed); hit++) {
    const ways =
      logChoose(shards, hit) + logChoose(providers - shards, failed - hit) - logChoose(providers, failed);
    probability += Math.exp(ways);
  }
  return Math.min(1, probability);
}

/** Natural logarithm of a binomial coefficient; −Infinity where there is no way. */
function logChoose(from: number, take: number): number {
  if (take < 0 || take > from) return -Infinity;
  let sum = 0;
  const few = Math.min(take, from - take);
  for (let at = 1; at <= few; at++) sum += Math.log((from - few + at) / at);
  return sum;
}

function checkedRate(rate: number): number {
  if (!(rate > 0) || rate === Infinity)
    throw new RangeError(`a failure model needs positive numbers, got ${rate}`);
  return rate;
}
