import * as z from 'zod';
import { emissionOf, HOUR_MS, ICN_EXAMPLE, PPM } from './emission.ts';
import type { LedgerParameters } from './types.ts';

const DAY_MS = 24 * HOUR_MS;
/** Base units of one unit of account: 10⁻⁹. */
const UNIT = 1_000_000_000n;

/**
 * Prices are an example, near what public networks of storage nodes pay: 1.50 units a TB and month, 2 units a TB of egress. The room that is
 * kept free earns a tenth of what stored data earns. The pool of the HyperNodes is taken as a tenth of the example's supply.
 */
export const LEDGER_DEFAULTS: LedgerParameters = {
  pricePerGbHour: 2_055n,
  pricePerGbEgress: UNIT / 500n,
  pricePerGbRepairEgress: UNIT / 500n,
  capacityPerGbHour: 205n,
  emission: emissionOf(ICN_EXAMPLE, (ICN_EXAMPLE.supply * UNIT) / 10n),
  monthMs: 30 * DAY_MS,
  quarterMs: 91.25 * DAY_MS,
  withheldPercent: [75, 50, 25, 0],
  faultGraceMs: DAY_MS,
  faultMultiplierPercent: 351,
  revenueMemoryMs: 7 * DAY_MS,
  capacityBytesMax: 1e15,
};

/** A bigint ≥ 0 as a decimal string, the only way it is written. */
export const amountSchema = z
  .string()
  .regex(/^(0|[1-9]\d{0,76})$/)
  .transform(BigInt);
const span = z.int().positive();

/** Parameters as they are written in the ledger. */
export const ledgerParametersSchema: z.ZodType<LedgerParameters> = z.strictObject({
  pricePerGbHour: amountSchema,
  pricePerGbEgress: amountSchema,
  pricePerGbRepairEgress: amountSchema,
  capacityPerGbHour: amountSchema,
  emission: z.strictObject({
    cap: amountSchema,
    monthSharesPpm: z
      .array(z.int().nonnegative())
      .max(1200)
      .refine((shares) => shares.reduce((sum, share) => sum + share, 0) <= PPM, 'is more than the whole'),
  }),
  monthMs: span,
  quarterMs: span,
  withheldPercent: z.array(z.int().min(0).max(100)).min(1).max(100),
  faultGraceMs: z.int().nonnegative(),
  faultMultiplierPercent: z.int().nonnegative(),
  revenueMemoryMs: span,
  capacityBytesMax: z.int().nonnegative(),
});
