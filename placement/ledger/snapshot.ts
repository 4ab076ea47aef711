import { join } from 'node:path';
import { createHasher } from '#erasure';
import * as z from 'zod';
import { readIfThere, replaceFile } from '../network/durableFile.ts';
import type { LogHead } from '../oracle/types.ts';
import type { LedgerBook } from './ledgerBook.ts';
import { canonicalJson, type Canonical } from './canonical.ts';
import { ledgerParametersSchema } from './parameters.ts';
import { ledgerStateSchema } from './record.ts';

/** The book as it was after one record: a start goes on from there, and does without where it is missing or torn. */
export interface Snapshot {
  readonly head: LogHead;
  readonly book: LedgerBook;
}

const FILE = 'state.json';
const hasher = createHasher();
const snapshotSchema: z.ZodType<Snapshot> = z.strictObject({
  head: z.strictObject({ sequence: z.int().positive(), hash: z.string() }),
  book: z.strictObject({
    firstEra: z.int().nonnegative(),
    parameters: ledgerParametersSchema,
    state: ledgerStateSchema,
  }),
});

/** One line of hash, one of snapshot. */
export async function writeSnapshot(folder: string, snapshot: Snapshot): Promise<void> {
  const text = canonicalJson(snapshot as unknown as Canonical);
  await replaceFile(join(folder, FILE), `${hashOf(text)}\n${text}\n`);
}

/** Undefined when there is none that is whole. */
export async function readSnapshot(folder: string): Promise<Snapshot | undefined> {
  const [hash, text] = (await readIfThere(join(folder, FILE)))?.split('\n') ?? [];
  if (text === undefined || hashOf(text) !== hash) return undefined;
  return snapshotSchema.safeParse(JSON.parse(text)).data;
}

function hashOf(text: string): string {
  return Buffer.from(hasher.hash(Buffer.from(text))).toString('hex');
}
