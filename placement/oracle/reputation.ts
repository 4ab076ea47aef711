import { betaQuantile } from './beta.ts';
import type { Measurement } from './measure.ts';
import { movingAverage } from './product.ts';
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

/** Successes and failures, faded. */
interface Pair {
  readonly alpha: number;
  readonly beta: number;
}

/** How a provider's proofs stand. */
export interface Integrity {
  /** What goes into the score; undefined before the first audit. */
  readonly value: number | undefined;
  /** The score is 0: the lower bound of enough signed evidence is at or below INTEGRITY_MIN. */
  readonly broken: boolean;
  /** Signed evidence shows that data is lost or wrong. */
  readonly disqualifying: boolean;
  /** Mean of signed evidence. */
  readonly mean: number;
  /** Share of challenges answered in time, lately, by the committee's word. */
  readonly timely: number;
  /** Share of challenges left unanswered, by the committee's word; undefined while too little is known. */
  readonly silent: number | undefined;
}

/** Signed evidence shows that data is lost or wrong: what disqualifies, also of one that is leaving and is not disqualified any more. */
export function hasLostData({
  alpha,
  beta,
  failures,
}: Pick<Evidence, 'alpha' | 'beta' | 'failures'>): boolean {
  return failures >= FAILURES_MIN && meanOf({ alpha, beta }) <= INTEGRITY_MIN;
}

/** By a uniform prior. */
function meanOf({ alpha, beta }: Pair): number {
  return tidy((alpha + 1) / (alpha + beta + 2));
}

export type Evidence = Pick<Reputation, 'alpha' | 'beta' | 'audits' | 'failures' | 'timely'>;

/** Time since the last close, and the half-life of what fades with time. */
export interface Fading {
  readonly elapsedMs: number;
  readonly halfLifeMs: number;
}

/**
 * Adds an era's audits. Its order of audits does not matter: each weighs the mean of what the era's places weigh. Signed failures are
 * remembered for a thousand audits. Lateness, which a bad hour of the network can bring about, fades as quickly as other measurements, and
 * also where nothing is asked: a provider whose shards have left could never show that it is well again. It begins without any.
 */
export function addAudits(former: Evidence, era: Measurement, { elapsedMs, halfLifeMs }: Fading): Evidence {
  const { passed, wrong, missing } = era.audits;
  const hard = add(former, passed, wrong + missing);
  const measured = era.reached > 0 ? 1 - era.unproven / era.reached : undefined;
  const timely = measured ?? (era.idle ? 1 : undefined);
  return {
    ...hard,
    audits: former.audits + passed,
    failures: former.failures + wrong + missing,
    timely:
      timely === undefined ? former.timely : movingAverage(former.timely, timely, elapsedMs, halfLifeMs),
  };
}

/** α ← λα + w, β ← λβ for each success, and the reverse for each failure. */
function add({ alpha, beta }: Pair, successes: number, failures: number): Pair {
  const count = successes + failures;
  if (count <= 0) return { alpha, beta };
  const faded = FADING ** count;
  const each = (WEIGHT * (1 - faded)) / (1 - FADING) / count;
  return {
    alpha: tidy(alpha * faded + successes * each),
    beta: tidy(beta * faded + failures * each),
  };
}

/** @param silent see silentShare */
export function integrityOf(
  reputation: Evidence & Pick<Reputation, 'vetted'>,
  silent: number | undefined,
  { vetting }: Pick<OracleParameters, 'vetting'>,
): Integrity {
  const { failures, timely } = reputation;
  const mean = meanOf(reputation);
  const audits = reputation.audits + failures;
  const proven = judge(reputation, audits, Math.max(vetting.audits, AUDITS_MIN));
  // The committee's word can only take.
  const doubts = [timely, silent === undefined ? 1 : 1 - silent].filter((value) => value < 1);
  const known = [proven.value, ...doubts].filter((value) => value !== undefined);
  return {
    value: known.length === 0 ? undefined : Math.min(...known),
    broken: reputation.vetted && proven.low,
    disqualifying: hasLostData(reputation),
    mean,
    timely,
    silent,
  };
}

/** Few audits are judged by their mean, and conclude nothing. */
function judge(
  pair: Pair,
  audits: number,
  auditsMin: number,
): { readonly value: number | undefined; readonly low: boolean } {
  if (audits <= 0) return { value: undefined, low: false };
  if (audits < auditsMin) return { value: meanOf(pair), low: false };
  const bound = tidy(betaQuantile(CREDIBILITY, pair.alpha + 1, pair.beta + 1));
  return { value: bound, low: bound <= INTEGRITY_MIN };
}
