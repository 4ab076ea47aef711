import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { LoggedAssignment } from '../oracle/types.ts';
import type { ProviderId } from '../types.ts';
import { readIfThere, replaceFile } from './durableFile.ts';
import type { PlannedAssignment } from './eraPlan.ts';
import type { PartyId } from './identity.ts';
import type { Holding } from './inventory.ts';
import { signedSchema, type Signed } from './signed.ts';

/** What only the gateway knows of the era that is open, so that it survives a restart. */
export interface OpenEraPlan {
  readonly era: number;
  readonly closesAt: number;
  /** See GatewayChain; undefined in a plan of an older version. */
  readonly sampling: string | undefined;
  readonly assignments: readonly LoggedAssignment[];
  readonly holdings: ReadonlyMap<ProviderId, Pick<Holding, 'shards' | 'bytes'>>;
}

const PLAN = 'plan.json';
const planSchema = z.object({
  version: z.literal(1),
  era: z.int(),
  closesAt: z.number(),
  sampling: z.string().optional(),
  holdings: z.array(z.tuple([z.string(), z.number(), z.number()])),
});
/** One line for each monitor in this file, since together they are long. */
const SECRETS = 'assignments.jsonl';

/** What the gateway saw of providers that no observation tells of yet: of all eras, so that none is lost between two. */
const SEEN = 'seen.json';
const count = z.int().nonnegative();
const seenSchema = z.object({
  version: z.literal(1),
  /** Whose observation will tell of it. */
  era: z.int(),
  counters: z.array(
    z.tuple([
      z.string(),
      z.object({
        writes: count,
        refusedWithSpace: count,
        reads: count,
        wrongReads: count,
        egressBytes: count,
        repairEgressBytes: count,
      }),
    ]),
  ),
  heartbeats: z.array(
    z.tuple([z.string(), z.object({ receivedAt: z.number(), capacity: count, free: count, shards: count })]),
  ),
});
export type Seen = Omit<z.infer<typeof seenSchema>, 'version'>;

/** Folders `era-<number>`: the signed assignments as they are sent, and what they do not say. */
export class EraFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Durable when it resolves: an era is opened after that. */
  async write(
    plan: Omit<OpenEraPlan, 'assignments'>,
    assignments: AsyncIterable<PlannedAssignment>,
  ): Promise<readonly LoggedAssignment[]> {
    const folder = this.#folderOf(plan.era);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const logged: LoggedAssignment[] = [];
    const secrets = await open(join(folder, SECRETS), 'w', 0o600);
    try {
      for await (const one of assignments) {
        await replaceFile(join(folder, `${one.logged.monitor}.json`), JSON.stringify(one.signed));
        await secrets.write(`${JSON.stringify(one.logged)}\n`);
        logged.push(one.logged);
      }
      await secrets.sync();
    } finally {
      await secrets.close();
    }
    const holdings = [...plan.holdings].map(([id, { shards, bytes }]) => [id, shards, bytes]);
    const { era, closesAt, sampling } = plan;
    await replaceFile(join(folder, PLAN), JSON.stringify({ version: 1, era, closesAt, sampling, holdings }));
    return logged;
  }

  /** Undefined when the files of the era are gone or damaged: then it closes without what they told. */
  async read(era: number): Promise<OpenEraPlan | undefined> {
    const folder = this.#folderOf(era);
    try {
      const plan = planSchema.parse(JSON.parse(await readFile(join(folder, PLAN), 'utf8')));
      const lines = (await readFile(join(folder, SECRETS), 'utf8')).split('\n').filter((line) => line !== '');
      return {
        era,
        closesAt: plan.closesAt,
        sampling: plan.sampling,
        assignments: lines.map((line) => JSON.parse(line) as LoggedAssignment),
        holdings: new Map(plan.holdings.map(([id, shards, bytes]) => [id, { shards, bytes }])),
      };
    } catch {
      return undefined;
    }
  }

  /** Durable when it resolves. */
  async writeSeen(seen: Seen): Promise<void> {
    await replaceFile(join(this.#folder, SEEN), JSON.stringify({ version: 1, ...seen }));
  }

  /** Undefined where there is none, or a damaged one: then counting starts anew. */
  async readSeen(): Promise<Seen | undefined> {
    try {
      return seenSchema.parse(JSON.parse((await readIfThere(join(this.#folder, SEEN))) ?? ''));
    } catch {
      return undefined;
    }
  }

  /** What a monitor was asked in an era; undefined when it was asked nothing. */
  async assignment(era: number, monitor: PartyId): Promise<Signed | undefined> {
    const text = await readIfThere(join(this.#folderOf(era), `${monitor}.json`));
    return text === undefined ? undefined : signedSchema.parse(JSON.parse(text));
  }

  /** Removes the folders of all other eras. */
  async keepOnly(era: number | undefined): Promise<void> {
    const names = await readdir(this.#folder).catch(() => []);
    const old = names.filter((name) => name.startsWith('era-') && name !== `era-${era}`);
    await Promise.all(
      old.map(async (name) => await rm(join(this.#folder, name), { recursive: true, force: true })),
    );
  }

  #folderOf(era: number): string {
    return join(this.#folder, `era-${era}`);
  }
}
