/** What a ledger's records add up to. */
import { NetworkError } from '../network/errors.ts';
import { openingState } from './accountEra.ts';
import { stateAfter } from './books.ts';
import type { LedgerRecord } from './record.ts';
import type { LedgerParameters, LedgerState } from './types.ts';

export interface LedgerBook {
  readonly firstEra: number;
  readonly parameters: LedgerParameters;
  readonly state: LedgerState;
}

/**
 * The book after one more record.
 * @param book undefined before the genesis
 * @throws NetworkError 'Tampered' for a record that cannot follow
 */
export function foldRecord(book: LedgerBook | undefined, record: LedgerRecord): LedgerBook {
  if ((book === undefined) !== (record.kind === 'genesis')) {
    throw new NetworkError('Tampered', 'a ledger begins with its genesis, and has one');
  }
  if (record.kind === 'genesis') {
    const { firstEra, parameters, at } = record;
    return { firstEra, parameters, state: openingState(at) };
  }
  const { firstEra, parameters, state } = book!;
  if (record.kind === 'parameters') return { firstEra, parameters: record.parameters, state };
  if (record.era <= state.era || record.era < firstEra) {
    throw new NetworkError('Tampered', `era ${record.era} cannot follow era ${state.era}`);
  }
  return { firstEra, parameters, state: stateAfter(state, record) };
}
