import { describe, expect, test } from 'vitest';
import { accountEra, openingState } from '../../../placement/ledger/accountEra.ts';
import type { EraAccounts, LedgerState } from '../../../placement/ledger/types.ts';
import {
  DAY,
  HOUR,
  PARAMETERS,
  REPUTATION,
  TB,
  eraOf,
  idOf,
  monitorOf,
  seenOf,
  verdictOf,
} from './network.ts';

const [A, B] = [idOf(1), idOf(2)];
const after = (eras: readonly EraAccounts[], state: LedgerState = openingState(0)): LedgerState =>
  eras.reduce((state, era) => accountEra(state, era, PARAMETERS).state, state);
/** Balance of the provider and its pledge together: what it earned. */
const earned = (state: LedgerState, id = A): bigint =>
  (state.balances[`provider:${id}`] ?? 0n) + (state.balances[`withheld:${id}`] ?? 0n);

describe('pay', () => {
  const one = (verdict: Parameters<typeof verdictOf>[1], seen: Parameters<typeof seenOf>[1] = {}): bigint =>
    earned(after([eraOf({ era: 0, verdicts: [verdictOf(A, verdict)], seen: [seenOf(A, seen)] })]));

  test.each([
    // 1000 GB · 1 h · 1000 · f(S)
    [1, 1_000_000n],
    [0.99, 1_000_000n],
    [0.945, 500_000n],
    [0.903, 33_333n],
    [0.9, 0n],
    [0.2, 0n],
    [undefined, 0n],
  ])('storage at a score of %s is %d', (settlementScore, pay) => expect(one({ settlementScore })).toBe(pay));

  test('goes by bytes and by the length of the era', () => {
    expect(one({}, { storedBytes: 1_500_000_001 })).toBe(1500n);
    const era = eraOf({ era: 0, verdicts: [verdictOf(A)], ms: HOUR / 4 });
    expect(earned(after([era]))).toBe(250_000n);
  });

  test.each([
    ['down', { decision: 'down' as const }, 0n],
    ['undecided', { decision: 'NO_DECISION' as const }, 0n],
    [
      'up without an audit that passed',
      { audits: { passed: 0, late: 9, wrong: 0, missing: 0, silent: 0 } },
      0n,
    ],
    ['suspended, but proven', { state: 'suspended' as const }, 1_000_000n],
    ['disqualified', { state: 'disqualified' as const }, 0n],
  ])('an era %s earns %3$d of storage', (_, verdict, pay) => expect(one(verdict)).toBe(pay));

  test('egress is paid as it was served, whatever the score', () => {
    const seen = { egressBytes: 3e9, repairEgressBytes: 2_500_000_000 };
    expect(one({ settlementScore: 0.5 }, seen)).toBe(30_000n + 50_000n);
    expect(one({ decision: 'down' }, seen)).toBe(80_000n);
    expect(one({ state: 'disqualified' }, seen)).toBe(0n);
  });

  test.each([
    // 100 · GB of capacity · (1 − utilisation / 0.7)
    ['empty', 0, 100_000n],
    ['at 35 %', 0.35 * TB, 350_000n + 50_000n],
    ['at 70 %', 0.7 * TB, 700_000n],
    ['at 90 %', 0.9 * TB, 900_000n],
  ])('room %s earns a subsidy', (_, storedBytes, pay) => {
    const space = { capacity: TB, free: TB - storedBytes };
    expect(one({}, { storedBytes, space })).toBe(pay);
  });

  test('the subsidy counts the room that is there, and only of those that take new shards', () => {
    const empty = (space: { capacity: number; free: number }, verdict = {}): bigint =>
      one(verdict, { storedBytes: 0, space });
    expect(empty({ capacity: TB, free: TB / 4 })).toBe(25_000n);
    expect(empty({ capacity: Number.MAX_SAFE_INTEGER, free: Number.MAX_SAFE_INTEGER })).toBe(100_000_000n);
    expect(empty({ capacity: TB, free: TB }, { state: 'vetting' })).toBe(0n);
    expect(empty({ capacity: TB, free: TB }, { decision: 'down' })).toBe(0n);
    expect(empty({ capacity: TB, free: TB }, { settlementScore: 0.945 })).toBe(50_000n);
    // Nothing to prove, so that being up is enough.
    const audits = { passed: 0, late: 0, wrong: 0, missing: 0, silent: 0 };
    expect(empty({ capacity: TB, free: TB }, { audits })).toBe(100_000n);
  });

  test('who was not observed earns nothing', () => {
    expect(earned(after([eraOf({ era: 0, verdicts: [verdictOf(A)], seen: [] })]))).toBe(0n);
  });
});

describe('the pledge', () => {
  test.each([
    [0, 75n],
    [1, 50n],
    [2, 25n],
    [3, 0n],
    [9, 0n],
  ])('in quarter %d of its age a provider leaves %d %%', (quarter, percent) => {
    const first = after([eraOf({ era: 0, verdicts: [verdictOf(A, { settlementScore: 0 })] })]);
    const openedAt = Math.max(HOUR, quarter * PARAMETERS.quarterMs);
    const { balances } = after([eraOf({ era: 1, openedAt, verdicts: [verdictOf(A)] })], first);
    expect(balances[`withheld:${A}`] ?? 0n).toBe(percent * 10_000n);
    expect(balances[`provider:${A}`]).toBe((100n - percent) * 10_000n);
    expect(balances['treasury']).toBe(-1_000_000n);
  });

  const young = after([eraOf({ era: 0, verdicts: [verdictOf(A), verdictOf(B)] })]);

  test('is given back to who left in order, even without a verdict', () => {
    const { balances, servingSince } = after([eraOf({ era: 1, states: { [A]: 'gone' } })], young);
    expect(balances[`withheld:${A}`]).toBe(0n);
    expect(balances[`provider:${A}`]).toBe(1_000_000n);
    expect(balances[`withheld:${B}`]).toBe(750_000n);
    expect(Object.keys(servingSince)).toEqual([B]);
  });

  test('is lost by who is disqualified, and what was paid is not', () => {
    const verdicts = [verdictOf(A, { state: 'disqualified' })];
    const { balances } = after([eraOf({ era: 1, verdicts })], young);
    expect(balances[`withheld:${A}`]).toBe(0n);
    expect(balances[`provider:${A}`]).toBe(250_000n);
    expect(balances['repair-fund']).toBe(750_000n);
  });

  describe('of who loses data on the way out', () => {
    const broken = { alpha: 60, beta: 30, failures: 30 };
    const leaving = (era: number, evidence: object, rules?: number): EraAccounts =>
      eraOf({
        era,
        verdicts: [verdictOf(A, { state: 'exiting', reputation: { ...REPUTATION, ...evidence } })],
        ...(rules !== undefined && { rules }),
      });
    const gone = (era: number, evidence: object, rules?: number): EraAccounts =>
      eraOf({ era, states: { [A]: 'gone' }, evidence, ...(rules !== undefined && { rules }) });

    test('is lost in the era that shows it, and so is what is withheld after it', () => {
      const caught = after([leaving(1, broken)], young);
      expect(caught.balances[`withheld:${A}`]).toBe(0n);
      expect(caught.balances['repair-fund']).toBe(1_500_000n);
      expect(Object.keys(caught.servingSince)).toContain(A);
      const { balances, servingSince } = after([leaving(2, broken), gone(3, broken)], caught);
      expect(balances[`withheld:${A}`]).toBe(0n);
      expect(balances['repair-fund']).toBe(2_250_000n);
      expect(servingSince).not.toHaveProperty(A);
    });

    test('does not come back with the audits it passes until it is gone', () => {
      const well = { alpha: 900, beta: 3, failures: 30 };
      const { balances } = after([leaving(1, broken), leaving(2, well), gone(3, well)], young);
      expect(balances['repair-fund']).toBe(1_500_000n);
    });

    test('is given back where failures are few, or few of many', () => {
      for (const evidence of [
        { alpha: 20, beta: 2, failures: 2 },
        { alpha: 900, beta: 5, failures: 5 },
      ]) {
        const { balances } = after([leaving(1, evidence), gone(2, evidence)], young);
        expect(balances['repair-fund'] ?? 0n).toBe(0n);
        expect(balances[`provider:${A}`]).toBe(2_000_000n);
      }
    });

    test('is accounted in older eras as it was then', () => {
      const { balances } = after([leaving(1, broken, 1), gone(2, broken, 1)], young);
      expect(balances['repair-fund'] ?? 0n).toBe(0n);
    });
  });

  test('is lost by who leaves in an outage beyond the grace', () => {
    const row = (from: number, eras: number, changes: Parameters<typeof verdictOf>[1]): EraAccounts[] =>
      Array.from({ length: eras }, (_, i) => eraOf({ era: from + i, verdicts: [verdictOf(A, changes)] }));
    const state = after([...row(0, 100, {}), ...row(100, 25, { decision: 'down', state: 'exiting' })]);
    expect(state.balances[`withheld:${A}`]).toBe(75_000_000n - 3_510_000n);
    const { balances } = after([eraOf({ era: 125, states: { [A]: 'gone' } })], state);
    expect(balances[`withheld:${A}`]).toBe(0n);
    expect(balances['repair-fund']).toBe(75_000_000n - 1_755_000n);
    expect(balances[`provider:${A}`]).toBe(25_000_000n);
  });

  test('counts age anew when a disqualified provider comes back', () => {
    const late = eraOf({
      era: 1,
      openedAt: 4 * PARAMETERS.quarterMs,
      verdicts: [verdictOf(A, { state: 'disqualified' })],
    });
    const back = eraOf({ era: 2, openedAt: late.closedAt, verdicts: [verdictOf(A), verdictOf(B)] });
    const { balances } = after([late, back], young);
    expect(balances[`withheld:${A}`]).toBe(750_000n);
    expect(balances[`provider:${B}`]).toBe(250_000n + 1_000_000n);
  });
});

describe('an outage', () => {
  // A day of revenue is 24 000 000; a faulty hour costs 3.51 of it / 24 = 3 510 000, a faulty day 84 240 000.
  const up = (from: number, eras: number): EraAccounts[] =>
    Array.from({ length: eras }, (_, i) => eraOf({ era: from + i, verdicts: [verdictOf(A)] }));
  const down = (from: number, eras: number, decision: 'down' | 'NO_DECISION' = 'down'): EraAccounts[] =>
    Array.from({ length: eras }, (_, i) => eraOf({ era: from + i, verdicts: [verdictOf(A, { decision })] }));
  const before = after(up(0, 24 * 20));
  const n = before.era + 1;

  test('costs nothing within the grace', () => {
    const { balances, outages } = after(down(n, 24), before);
    expect(balances).toEqual(before.balances);
    expect(outages[A]).toBe(DAY);
  });

  test('costs 3.51 days of revenue a day after it: half to the customers, half to repair', () => {
    expect(before.dailyRevenue[A]).toBe(24_000_000n);
    const hour = after(down(n, 25), before).balances;
    expect(hour['customers']).toBe(1_755_000n);
    expect(hour['repair-fund']).toBe(1_755_000n);
    const day = after(down(n, 48), before);
    expect(day.balances['customers']).toBe(42_120_000n);
    expect(day.balances['repair-fund']).toBe(42_120_000n);
    expect(day.balances[`withheld:${A}`]).toBe(before.balances[`withheld:${A}`]! - 84_240_000n);
    expect(day.balances[`provider:${A}`]).toBe(before.balances[`provider:${A}`]);
    expect(day.unpaidFaults).toEqual({});
  });

  test('is charged in part for the era in which the grace ends', () => {
    const long = eraOf({
      era: n,
      openedAt: before.closedAt,
      ms: DAY + HOUR / 2,
      verdicts: down(n, 1)[0]!.outcome.providers,
    });
    expect(after([long], before).balances['customers']).toBe(877_500n);
  });

  test('is charged for two eras at most where the gateway was off, and the others are paid for no more', () => {
    const verdicts = [verdictOf(A, { decision: 'down' }), verdictOf(B)];
    const long = eraOf({ era: n, openedAt: before.closedAt, ms: 72 * HOUR, eraMs: HOUR, verdicts });
    const state = after([long], before);
    expect(state.outages[A]).toBe(2 * HOUR);
    expect(state.balances[`withheld:${A}`]).toBe(before.balances[`withheld:${A}`]);
    expect(earned(state, B)).toBe(2_000_000n);
    expect(state.dailyRevenue[B]).toBe(24_000_000n);
    expect(state.closedAt).toBe(before.closedAt + 72 * HOUR);
    const faulty = after([long], { ...before, outages: { [A]: DAY } });
    expect(faulty.balances['customers']).toBe(2n * 1_755_000n);
  });

  test('takes the pledge first, then the balance, never more; the rest is noted', () => {
    const state = after(down(n, 24 * 9), before);
    expect(earned(state)).toBe(0n);
    const taken = 24n * 20n * 1_000_000n;
    expect(state.balances['customers']! + state.balances['repair-fund']!).toBe(taken);
    expect(state.unpaidFaults[A]).toBe(8n * 84_240_000n - taken);
  });

  test('an odd unit that cannot be halved goes to the residue', () => {
    const state: LedgerState = {
      ...before,
      balances: { [`withheld:${A}`]: 7n, [`provider:${A}`]: 2n, treasury: -9n },
      emitted: 0n,
      outages: { [A]: DAY },
    };
    const { balances } = after(down(n, 1), state);
    expect([balances['customers'], balances['repair-fund'], balances['residue']]).toEqual([4n, 4n, 1n]);
  });

  test('eras without a decision neither count nor end it', () => {
    const { outages, balances } = after([...down(n, 20), ...down(n + 20, 50, 'NO_DECISION')], before);
    expect(outages[A]).toBe(20 * HOUR);
    expect(balances).toEqual(before.balances);
    expect(after([...down(n, 20), ...up(n + 20, 1)], before).outages).toEqual({});
  });
});

describe('monitoring', () => {
  // The cap is 720 000 000, month one has half of it: 500 000 an hour.
  const [X, Y, Z] = [idOf(101), idOf(102), idOf(103)];
  const paid = (monitors: EraAccounts['outcome']['monitors'], more = {}): LedgerState =>
    after([eraOf({ era: 0, monitors, ...more })]);

  test('is divided among the active monitors that reported', () => {
    const { balances, emitted } = paid([
      monitorOf(X),
      monitorOf(Y, { reported: false }),
      monitorOf(Z, { connected: false }),
      monitorOf(idOf(104), { state: 'removed' }),
      monitorOf(idOf(105), { canaryAccuracy: undefined }),
    ]);
    expect(balances[`hypernode:${X}`]).toBe(250_000n);
    expect(balances[`hypernode:${idOf(105)}`]).toBe(250_000n);
    expect(Object.keys(balances)).toHaveLength(3);
    expect(emitted).toBe(500_000n);
    expect(balances['emission']).toBe(-500_000n);
  });

  test('goes by the accuracy of their canaries, and what cannot be divided to the residue', () => {
    const { balances } = paid([monitorOf(X), monitorOf(Y, { canaryAccuracy: 0.95 }), monitorOf(Z)]);
    expect(balances[`hypernode:${X}`]).toBe(169_491n);
    expect(balances[`hypernode:${Y}`]).toBe(161_016n);
    expect(balances['residue']).toBe(2n);
  });

  test('goes by the work that they have done, with canaries or without: none, nothing', () => {
    const { balances } = paid([
      monitorOf(X, { work: 1 }),
      monitorOf(Y, { work: 0.5, canaryAccuracy: 0.5 }),
      monitorOf(Z, { work: 0.75, canaryAccuracy: undefined }),
      monitorOf(idOf(104), { work: 0, canaryAccuracy: undefined }),
    ]);
    expect(balances[`hypernode:${X}`]).toBe(250_000n);
    expect(balances[`hypernode:${Y}`]).toBe(62_500n);
    expect(balances[`hypernode:${Z}`]).toBe(187_500n);
    expect(balances[`hypernode:${idOf(104)}`] ?? 0n).toBe(0n);
    expect(paid([monitorOf(X, { work: 0, canaryAccuracy: undefined })]).emitted).toBe(0n);
  });

  test('emits nothing where nobody reported', () => {
    expect(paid([monitorOf(X, { reported: false })]).emitted).toBe(0n);
  });

  test('a long era emits what a full one does', () => {
    expect(paid([monitorOf(X)], { ms: 5 * HOUR, eraMs: HOUR }).emitted).toBe(500_000n);
  });

  test('follows the month table, and ends with it at the cap', () => {
    const ms = PARAMETERS.monthMs;
    const state = after(Array.from({ length: 5 }, (_, era) => eraOf({ era, ms, monitors: [monitorOf(X)] })));
    expect(state.emitted).toBe(720_000_000n);
    const first = after([eraOf({ era: 0, ms, monitors: [monitorOf(X)] })]);
    expect(first.emitted).toBe(360_000_000n);
    // A table that an operator made more generous later stays under the cap all the same.
    const late = eraOf({ era: 9, openedAt: state.closedAt, monitors: [monitorOf(X)] });
    const generous = {
      ...PARAMETERS,
      emission: { cap: 720_000_100n, monthSharesPpm: Array.from({ length: 10 }, () => 100_000) },
    };
    expect(accountEra(state, late, generous).state.emitted).toBe(720_000_100n);
  });
});

describe('what cannot be accounted', () => {
  const state = after([eraOf({ era: 4 })]);
  test('an era twice, or an earlier one', () => {
    expect(() => after([eraOf({ era: 4 })], state)).toThrow('era 4 is accounted already');
    expect(() => after([eraOf({ era: 3 })], state)).toThrow('era 3 is accounted already');
  });
  test('the observation of another era', () => {
    const era = { ...eraOf({ era: 5 }), observation: eraOf({ era: 6 }).observation };
    expect(() => after([era], state)).toThrow('the observation of era 6');
  });
  test('a moment twice', () => {
    const again = eraOf({ era: 5, openedAt: state.closedAt - HOUR / 2, verdicts: [verdictOf(A)] });
    expect(earned(after([again], state))).toBe(500_000n);
  });
});
