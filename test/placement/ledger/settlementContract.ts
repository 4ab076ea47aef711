/** What every place where eras are settled has to keep. */
import { describe, expect, test } from 'vitest';
import { accountEra } from '../../../placement/ledger/accountEra.ts';
import { balancesRoot } from '../../../placement/ledger/merkle.ts';
import type {
  EraAccounts,
  LedgerParameters,
  LedgerState,
  Settlement,
  SettlementBackend,
} from '../../../placement/ledger/types.ts';
import { eraOf, idOf, monitorOf, verdictOf } from './network.ts';

export interface Settled extends SettlementBackend {
  readonly state: LedgerState;
  readonly parameters: LedgerParameters;
  readonly head: string;
}

export const anEra = (era: number): EraAccounts =>
  eraOf({ era, verdicts: [verdictOf(idOf(1)), verdictOf(idOf(2))], monitors: [monitorOf(idOf(9))] });

/** The settlement that an era leads to in that place. */
function settlementOf(backend: Settled, accounts: EraAccounts): Settlement {
  const { state, entries } = accountEra(backend.state, accounts, backend.parameters);
  const { era, balances, ...memory } = state;
  return { era, entries, root: balancesRoot(balances), previous: backend.head, memory };
}

export function settlementContract(name: string, open: () => Promise<Settled>): void {
  describe(`${name} as a place to settle`, () => {
    test('knows the last era, from none on', async () => {
      const backend = await open();
      expect(await backend.lastEra()).toBe(-1);
      await backend.settle(settlementOf(backend, anEra(0)));
      await backend.settle(settlementOf(backend, anEra(3)));
      expect(await backend.lastEra()).toBe(3);
    });

    test('takes an era again, but no other settlement of it', async () => {
      const backend = await open();
      const first = settlementOf(backend, anEra(0));
      await backend.settle(first);
      await backend.settle(settlementOf(backend, anEra(1)));
      const state = structuredClone(backend.state);
      await backend.settle(first);
      const other = { ...first, entries: first.entries.slice(1) };
      await expect(backend.settle(other)).rejects.toMatchObject({ kind: 'Conflict' });
      expect(backend.state).toEqual(state);
    });

    test('refuses what does not follow from its last era', async () => {
      const backend = await open();
      const stale = settlementOf(backend, anEra(1));
      await backend.settle(settlementOf(backend, anEra(0)));
      await expect(backend.settle(stale)).rejects.toMatchObject({ kind: 'Conflict' });
      const next = settlementOf(backend, anEra(1));
      await expect(backend.settle({ ...next, root: '0'.repeat(64) })).rejects.toMatchObject({
        kind: 'Conflict',
      });
      const overdrawn = { from: 'customers', to: 'residue', amount: 1n, reason: 'residue' as const };
      await expect(backend.settle({ ...next, entries: [...next.entries, overdrawn] })).rejects.toMatchObject({
        kind: 'Tampered',
      });
      await backend.settle(next);
      expect(await backend.lastEra()).toBe(1);
    });
  });
}
