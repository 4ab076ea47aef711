import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountEra, openingState } from '../../../placement/ledger/accountEra.ts';
import { Books } from '../../../placement/ledger/books.ts';
import type { EraAccounts, LedgerState } from '../../../placement/ledger/types.ts';
import { DAY, eraOf, HOUR, idOf, monitorOf, PARAMETERS, seenOf, verdictOf } from './network.ts';

const bytes = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const share = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined });
const verdict = fc.record({
  decision: fc.constantFrom('up', 'up', 'down', 'NO_DECISION'),
  state: fc.constantFrom('vetting', 'active', 'degraded', 'suspended', 'exiting', 'gone', 'disqualified'),
  settlementScore: share,
  passed: fc.integer({ min: 0, max: 3 }),
  storedBytes: fc.oneof(fc.constant(0), bytes),
  space: fc.option(fc.record({ capacity: bytes, free: bytes }), { nil: undefined }),
  egressBytes: bytes,
  repairEgressBytes: bytes,
});
const monitor = fc.record({
  reported: fc.boolean(),
  connected: fc.boolean(),
  canaryAccuracy: share,
  state: fc.constantFrom('applied', 'active', 'removed'),
});
const eras = fc.array(
  fc.record({
    ms: fc.oneof(fc.constant(HOUR), fc.integer({ min: 0, max: 40 * DAY })),
    gap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200 * DAY })),
    providers: fc.array(verdict, { maxLength: 5 }),
    monitors: fc.array(monitor, { maxLength: 5 }),
  }),
  { maxLength: 12 },
);

/** Unbroken but for the gaps. */
function accountsOf(list: typeof eras extends fc.Arbitrary<infer T> ? T : never): EraAccounts[] {
  let at = 0;
  return list.map(({ ms, gap, providers, monitors }, era) => {
    const openedAt = at + gap;
    at = openedAt + ms;
    return eraOf({
      era,
      ms,
      openedAt,
      eraMs: 45 * DAY,
      verdicts: providers.map(({ decision, state, settlementScore, passed }, i) =>
        verdictOf(idOf(i), {
          decision,
          state,
          settlementScore,
          audits: { passed, late: 0, wrong: 0, missing: 0, silent: 0 },
        }),
      ),
      seen: providers.map(({ storedBytes, space, egressBytes, repairEgressBytes }, i) =>
        seenOf(idOf(i), { storedBytes, egressBytes, repairEgressBytes, ...(space && { space }) }),
      ),
      monitors: monitors.map((changes, i) => monitorOf(idOf(100 + i), changes)),
    });
  });
}

test('over any eras the ledger balances, emits no more than the cap, and its entries are its balances', () => {
  fc.assert(
    fc.property(eras, (list) => {
      let state: LedgerState = openingState(0);
      const replayed = new Map<string, bigint>();
      for (const accounts of accountsOf(list)) {
        const result = accountEra(state, accounts, PARAMETERS);
        for (const { from, to, amount } of result.entries) {
          expect(amount > 0n).toBe(true);
          replayed.set(from, (replayed.get(from) ?? 0n) - amount);
          replayed.set(to, (replayed.get(to) ?? 0n) + amount);
        }
        state = result.state;
        const balances = Object.entries(state.balances);
        expect(balances.reduce((sum, [, balance]) => sum + balance, 0n)).toBe(0n);
        const below = balances.filter(([, balance]) => balance < 0n).map(([name]) => name);
        expect(['emission', 'treasury']).toEqual(expect.arrayContaining(below));
        expect(state.emitted <= PARAMETERS.emission.cap).toBe(true);
        expect(state.emitted).toBe(-(state.balances['emission'] ?? 0n));
        expect(Object.fromEntries(replayed)).toEqual(state.balances);
      }
    }),
    { numRuns: 150 },
  );
});

test('accounting is a pure function', () => {
  fc.assert(
    fc.property(eras, (list) => {
      const run = (): LedgerState =>
        accountsOf(list).reduce((state, era) => accountEra(state, era, PARAMETERS).state, openingState(0));
      expect(run()).toEqual(run());
    }),
    { numRuns: 25 },
  );
});

test('books refuse what would make or lose money', () => {
  const books = new Books({ treasury: -5n, customers: 5n });
  expect(() => books.post('customers', 'residue', 6n, 'residue')).toThrow('customers does not have 6');
  expect(() => books.post('customers', 'residue', -1n, 'residue')).toThrow('an entry of -1');
  expect(books.take(['customers'], 'residue', 9n, 'residue')).toBe(4n);
  expect(books.closed()).toEqual({ customers: 0n, residue: 5n, treasury: -5n });
  expect(() => new Books({ treasury: -5n, customers: 6n }).closed()).toThrow('does not balance: 1');
  expect(() => new Books({ customers: -5n, residue: 5n }).closed()).toThrow('customers is -5');
});
