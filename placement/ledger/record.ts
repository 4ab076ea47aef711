/**
 * What the ledger's log says, record by record: first the genesis, which holds the parameters, so that a verification needs nothing but the
 * ledger and the oracle's log; parameters that an operator changed, which hold from the next era on; and every settled era. The log
 * chains them (see oracle/logLine.ts), and the `previous` of a settlement is the hash of the record before it there.
 */
import * as z from 'zod';
import { parseMessage } from '../network/signed.ts';
import { canonicalJson, type Canonical } from './canonical.ts';
import { amountSchema, ledgerParametersSchema } from './parameters.ts';
import type { LedgerParameters, LedgerState, Settlement } from './types.ts';

interface GenesisRecord {
  readonly kind: 'genesis';
  readonly version: 1;
  /** Milliseconds since the epoch: months of emission count from there. */
  readonly at: number;
  /** The first era of the oracle's log that is accounted. */
  readonly firstEra: number;
  readonly parameters: LedgerParameters;
}
interface ParametersRecord {
  readonly kind: 'parameters';
  readonly parameters: LedgerParameters;
}
export type EraRecord = { readonly kind: 'era' } & Omit<Settlement, 'previous'>;
export type LedgerRecord = GenesisRecord | ParametersRecord | EraRecord;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.int().nonnegative();
const account = z.string().regex(/^[a-z-]{1,16}(:[A-Za-z0-9._-]{1,64})?$/);
const balance = z
  .string()
  .regex(/^(0|-?[1-9]\d{0,76})$/)
  .transform(BigInt);
const entrySchema = z.strictObject({
  from: account,
  to: account,
  amount: amountSchema,
  reason: z.enum([
    'storage',
    'egress',
    'repair-egress',
    'capacity',
    'withheld',
    'released',
    'fault',
    'credit',
    'repair-fund',
    'monitoring',
    'residue',
  ]),
});
const memory = {
  emitted: amountSchema,
  genesisAt: time,
  closedAt: time,
  outages: z.record(z.string(), time),
  dailyRevenue: z.record(z.string(), amountSchema),
  servingSince: z.record(z.string(), time),
  unpaidFaults: z.record(z.string(), amountSchema),
};

export const ledgerStateSchema: z.ZodType<LedgerState> = z.strictObject({
  era: z.int().min(-1),
  balances: z.record(account, balance),
  ...memory,
});

const recordSchema: z.ZodType<LedgerRecord> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('genesis'),
    version: z.literal(1),
    at: time,
    firstEra: time,
    parameters: ledgerParametersSchema,
  }),
  z.strictObject({ kind: z.literal('parameters'), parameters: ledgerParametersSchema }),
  z.strictObject({
    kind: z.literal('era'),
    era: time,
    entries: z.array(entrySchema),
    root: hash,
    memory: z.strictObject(memory),
  }),
]);

/** Canonical: equal values have equal text. */
export function textOf(value: LedgerRecord | LedgerParameters | LedgerState): string {
  // An interface has no index signature, so that the compiler does not see what the schemas show.
  return canonicalJson(value as unknown as Canonical);
}

/** @throws NetworkError 'BadMessage' */
export function parseRecord(value: unknown): LedgerRecord {
  return parseMessage(recordSchema, value);
}

/** The record of an era that was accounted. */
export function eraRecord(
  { era, balances: _balances, ...memory }: LedgerState,
  { entries, root }: Pick<Settlement, 'entries' | 'root'>,
): EraRecord {
  return { kind: 'era', era, entries, root, memory };
}
