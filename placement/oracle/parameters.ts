import { NetworkError } from '../network/errors.ts';
import type { OracleParameters } from './types.ts';

/** Bytes per second of 1 MB/s. */
const MEGABYTE = 1_000_000;
const HOUR_MS = 3_600_000;

/**
 * The newest rules. A log says which of them its eras were decided by, so that a replay decides each as it was decided then; 2 since
 * docs/decisions/0011.
 */
export const RULES = 2;

/** Are eras with these parameters decided by the second rules? */
export function bySecondRules({ rules = 1 }: Pick<OracleParameters, 'rules'>): boolean {
  return rules >= 2;
}

/**
 * Times and targets by class are ours: an SSD answers a 16 KiB read in well under a millisecond and a disk in about ten, the rest is for
 * a loaded machine; beyond them, fetching a leaf elsewhere to answer a challenge no longer fits.
 */
export const ORACLE_DEFAULTS: OracleParameters = {
  rules: RULES,
  eraMs: HOUR_MS,
  challenges: 20,
  canaryShare: 0.1,
  vetting: { audits: 100, days: 21 },
  groupsMin: 7,
  groupWeightMax: 1 / 7,
  serviceMs: { ssd: 100, hdd: 500 },
  targets: {
    ssd: { p99Ms: 100, bytesPerSecond: 10 * MEGABYTE },
    hdd: { p99Ms: 300, bytesPerSecond: 5 * MEGABYTE },
  },
  halfLifeMs: { placement: 6 * HOUR_MS, settlement: 30 * 24 * HOUR_MS },
  degraded: { below: 0.95, after: 3, above: 0.97, back: 12 },
  suspended: { below: 0.6, above: 0.9, back: 12 },
  canary: { accuracyMin: 0.9, window: 20 },
};

/**
 * @throws NetworkError 'BadMessage' naming the first parameter that is out of range: a log that holds it could not be scored
 */
export function checkParameters(parameters: OracleParameters): void {
  const { vetting, serviceMs, targets, halfLifeMs, degraded, suspended, canary } = parameters;
  const positive = {
    eraMs: parameters.eraMs,
    'serviceMs.ssd': serviceMs.ssd,
    'serviceMs.hdd': serviceMs.hdd,
    'targets.ssd.p99Ms': targets.ssd.p99Ms,
    'targets.ssd.bytesPerSecond': targets.ssd.bytesPerSecond,
    'targets.hdd.p99Ms': targets.hdd.p99Ms,
    'targets.hdd.bytesPerSecond': targets.hdd.bytesPerSecond,
    'halfLifeMs.placement': halfLifeMs.placement,
    'halfLifeMs.settlement': halfLifeMs.settlement,
  };
  const { rules = 1 } = parameters;
  if (!Number.isInteger(rules) || rules < 1 || rules > RULES) {
    throw new NetworkError('BadMessage', `this release knows the oracle's rules 1 to ${RULES}, not ${rules}`);
  }
  const counts = {
    challenges: parameters.challenges,
    groupsMin: parameters.groupsMin,
    'degraded.after': degraded.after,
    'degraded.back': degraded.back,
    'suspended.back': suspended.back,
    'canary.window': canary.window,
  };
  const shares = {
    canaryShare: parameters.canaryShare,
    groupWeightMax: parameters.groupWeightMax,
    'degraded.below': degraded.below,
    'degraded.above': degraded.above,
    'suspended.below': suspended.below,
    'suspended.above': suspended.above,
    'canary.accuracyMin': canary.accuracyMin,
  };
  every(positive, (value) => Number.isFinite(value) && value > 0, 'takes a number above 0');
  every(counts, (value) => Number.isSafeInteger(value) && value >= 1, 'takes a whole number from 1');
  every(shares, (value) => value >= 0 && value <= 1, 'takes a number from 0 to 1');
  every(
    { 'vetting.audits': vetting.audits, 'vetting.days': vetting.days },
    (value) => Number.isFinite(value) && value >= 0,
    'takes a number from 0',
  );
}

function every(
  values: Readonly<Record<string, number>>,
  holds: (value: number) => boolean,
  rule: string,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (!holds(value)) throw new NetworkError('BadMessage', `oracle parameter ${name} ${rule}: ${value}`);
  }
}
