import { betaQuantile } from './beta.ts';
import type { Measurement } from './measure.ts';
import { tidy } from './tidy.ts';
import type { OracleParameters, Reputation } from './types.ts';

/** Fading per audit and weight of one: the last thousand audits are what counts (providers-and-sla.md). */
const FADING = 0.999;
const WEIGHT = 1;
/** Integrity is the 5 % lower credible bound. */
const CREDIBILITY = 0.05;
/** At or below, a provider is not to be trusted with data. */
export const INTEGRITY_MIN = 0.96;
/** With fewer audits even a flawless provider's lower bound is near the limit (0.05^(1/101) = 0.9708): nothing is concluded. */
const AUDITS_MIN = 100;
/** Conclusive failures without which nobody is disqualified. */
const FAILURES_MIN = 3;

/** Successes and failures, faded, and audits in all. */
interface Pair {
  readonly alpha: number;
  readonly beta: number;
  readonly audits: number;
}

/** How a provider's proofs stand. */
export interface Integrity {
  /** What goes into the score; undefined before the first audit. */
  readonly value: number | undefined;
  /** The score is 0: a lower bound from enough audits is at or below INTEGRITY_MIN. */
  readonly broken: boolean;
  /** Signed evidence shows that data is lost or wrong. */
  readonly disqualifying: boolean;
  /** Mean of signed evidence. */
  readonly mean: number;
  /** Possession is not shown in time, by the committee's word; undefined while too little is known. */
  readonly late: boolean | undefined;
}

export type Evidence = Pick<
  Reputation,
  'alpha' | 'beta' | 'audits' | 'failures' | 'softAlpha' | 'softBeta' | 'softAudits'
>;

/** Adds an era's audits. Its order of audits does not matter: each weighs the mean of what the era's places weigh. */
export function addAudits(former: Evidence, era: Measurement): Evidence {
  const { passed, wrong, missing } = era.audits;
  const hard = add({ ...former, audits: 0 }, passed, wrong + missing);
  const soft = add(
    { alpha: former.softAlpha, beta: former.softBeta, audits: former.softAudits },
    era.reached - era.unproven,
    era.unproven,
  );
  return {
    alpha: hard.alpha,
    beta: hard.beta,
    audits: former.audits + passed,
    failures: former.failures + wrong + missing,
    softAlpha: soft.alpha,
    softBeta: soft.beta,
    softAudits: soft.audits,
  };
}

/** α ← λα + w, β ← λβ for each success, and the reverse for each failure. */
function add({ alpha, beta, audits }: Pair, successes: number, failures: number): Pair {
  const count = successes + failures;
  if (count <= 0) return { alpha, beta, audits };
  const faded = FADING ** count;
  const each = (WEIGHT * (1 - faded)) / (1 - FADING) / count;
  return {
    alpha: tidy(alpha * faded + successes * each),
    beta: tidy(beta * faded + failures * each),
    audits: tidy(audits + count),
  };
}

export function integrityOf(
  reputation: Evidence & Pick<Reputation, 'vetted'>,
  { vetting }: Pick<OracleParameters, 'vetting'>,
): Integrity {
  const { alpha, beta, audits, failures, softAlpha, softBeta, softAudits } = reputation;
  const auditsMin = Math.max(vetting.audits, AUDITS_MIN);
  const hard = judge({ alpha, beta, audits: audits + failures }, auditsMin);
  const soft = judge({ alpha: softAlpha, beta: softBeta, audits: softAudits }, auditsMin);
  // The committee's word can only take: without a failure in it, signed evidence alone says how good a provider is.
  const known = [hard, ...(softBeta > 0 ? [soft] : [])].filter(({ value }) => value !== undefined);
  const mean = tidy((alpha + 1) / (alpha + beta + 2));
  return {
    value: known.length === 0 ? undefined : Math.min(...known.map(({ value }) => value!)),
    broken: reputation.vetted && known.some(({ low }) => low),
    disqualifying: failures >= FAILURES_MIN && mean <= INTEGRITY_MIN,
    mean,
    late: softAudits >= auditsMin ? soft.low : undefined,
  };
}

/** By a uniform prior. Few audits are judged by their mean, and conclude nothing. */
function judge(
  { alpha, beta, audits }: Pair,
  auditsMin: number,
): { readonly value: number | undefined; readonly low: boolean } {
  if (audits <= 0) return { value: undefined, low: false };
  if (audits < auditsMin) return { value: tidy((alpha + 1) / (alpha + beta + 2)), low: false };
  const bound = tidy(betaQuantile(CREDIBILITY, alpha + 1, beta + 1));
  return { value: bound, low: bound <= INTEGRITY_MIN };
}
