import { join } from 'node:path';
import * as z from 'zod';
import type { LogHead, NetworkState } from '../oracle/types.ts';
import { readIfThere, replaceFile } from './durableFile.ts';

/** The fold of the log up to a place in it. */
export interface Snapshot {
  readonly head: LogHead;
  readonly state: NetworkState;
}

const FILE = 'state.json';
/** Counts up with every change of NetworkState: an older snapshot is left aside, and the log read. */
const VERSION = 2;

const snapshotSchema = z.object({
  version: z.literal(VERSION),
  head: z.object({ sequence: z.int(), hash: z.string() }),
  state: z.looseObject({ gateway: z.string(), era: z.number() }),
});

/** Undefined when there is none that can be used. */
export async function readSnapshot(folder: string): Promise<Snapshot | undefined> {
  const text = await readIfThere(join(folder, FILE));
  if (text === undefined) return undefined;
  try {
    const { head, state } = snapshotSchema.parse(JSON.parse(text));
    return { head, state: state as unknown as NetworkState };
  } catch {
    return undefined;
  }
}

export async function writeSnapshot(folder: string, snapshot: Snapshot): Promise<void> {
  await replaceFile(join(folder, FILE), JSON.stringify({ version: VERSION, ...snapshot }));
}
