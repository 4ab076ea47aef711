import { NetworkError } from '../network/errors.ts';
import { applyRecord } from '../oracle/state.ts';
import type { LogRecord, NetworkState } from '../oracle/types.ts';
import type { EraAccounts } from './types.ts';

export type ClosedEra = Extract<LogRecord, { kind: 'era-closed' }>;

/**
 * What the ledger accounts of a close: the one way to get it from the log, live and in a verification.
 * @param before the network's state when the era was still open, @param after once `closed` was applied
 * @throws NetworkError 'BadMessage' when that era is not open
 */
export function eraAccountsOf(before: NetworkState, closed: ClosedEra, after: NetworkState): EraAccounts {
  const { open } = before;
  if (open === undefined || open.era !== closed.era) {
    throw new NetworkError('BadMessage', `era ${closed.era} is not open`);
  }
  return {
    outcome: closed.outcome,
    observation: open.observation ?? { version: 1, era: closed.era, providers: [] },
    state: after,
    openedAt: open.openedAt,
    closedAt: closed.at,
  };
}

/**
 * Every closed era of the oracle's log, in order: what a ledger that missed some catches up from, and what a verification accounts again.
 * @param records the log from its first record
 * @throws NetworkError for a record that cannot follow
 */
export async function* closedEras(
  records: AsyncIterable<{ readonly record: LogRecord }>,
): AsyncGenerator<EraAccounts> {
  let state: NetworkState | undefined;
  for await (const { record } of records) {
    const before = state;
    state = applyRecord(before, record);
    if (record.kind === 'era-closed' && before !== undefined) yield eraAccountsOf(before, record, state);
  }
}
