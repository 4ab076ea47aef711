/** The metadata store on Redis beside LMDB, one run, one disk, both synced before a commit is answered: `npm run bench:redis`. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openLmdbStore } from '../gateway/metadata/lmdb.ts';
import { openRedisStore } from '../gateway/metadata/redis.ts';
import type { KeyValueStore } from '../gateway/metadata/types.ts';
import { startRedis } from '../test/support/redis.ts';
import { machine, machineLine, median } from './machine.ts';
import { runCommand } from './s3/progress.ts';
import { writeResults } from './s3/write.ts';

/** About what the record of an object with one chunk takes. */
const VALUE_BYTES = 400;
const HELP = `npm run bench:redis -- [options]

  --quick        few entries, one short round: to see that all works
  --dir folder   where redis-server and LMDB keep their data; default: --out
  --out folder   where results go; default: bench/results`;

/** How much is measured. */
interface Scale {
  readonly entries: number;
  readonly seconds: number;
  readonly rounds: number;
}
const FULL: Scale = { entries: 100_000, seconds: 2, rounds: 3 };
const QUICK: Scale = { entries: 2_000, seconds: 0.2, rounds: 1 };
const CALLERS = [1, 16, 64, 256];
const PAGE = 1_000;

interface Options {
  readonly scale: Scale;
  readonly dir: string;
  readonly out: string;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      dir: { type: 'string' },
      out: { type: 'string', default: join(import.meta.dirname, 'results') },
    },
  });
  if (values.help) return undefined;
  const { quick, dir = values.out, out } = values;
  return { scale: quick ? QUICK : FULL, dir: resolve(dir), out: resolve(out) };
}

interface Figures {
  readonly store: string;
  readonly callers: number;
  /** Of one conditional put of two keys. */
  readonly commits: number;
  readonly gets: number;
  /** Pages of 1,000 entries. */
  readonly scans: number;
}

/** The entries' keys, in a scattered order. */
function keyOf(number: number, entries: number): Buffer {
  const scattered = String((number * 7_919) % entries).padStart(8, '0');
  return Buffer.from(`o12345678photos/2031/${scattered}/original.jpg`);
}

async function fill(store: KeyValueStore, entries: number): Promise<void> {
  for (let at = 0; at < entries; at += 1_000) {
    const puts = Array.from(
      { length: 1_000 },
      (_, i) => [keyOf(at + i, entries), randomBytes(VALUE_BYTES)] as const,
    );
    await store.commit(0, { puts });
  }
}

/** Calls per second of so many callers, each making one after the other. */
async function rate(
  callers: number,
  seconds: number,
  call: (number: number) => Promise<unknown>,
): Promise<number> {
  let calls = 0;
  const begun = performance.now();
  const until = begun + seconds * 1_000;
  const loop = async (): Promise<void> => {
    while (performance.now() < until) await call(calls++);
  };
  await Promise.all(Array.from({ length: callers }, loop));
  return calls / ((performance.now() - begun) / 1_000);
}

let written = 0;
async function measure(
  name: string,
  store: KeyValueStore,
  callers: number,
  { entries, seconds }: Scale,
): Promise<Figures> {
  const value = randomBytes(VALUE_BYTES);
  const commits = await rate(callers, seconds, async () => {
    const id = String(written++);
    const key = Buffer.from(`new${id}`);
    const puts = [
      [key, value],
      [Buffer.from(`ref${id}`), value],
    ] as const;
    if (!(await store.commit(0, { checks: [{ key, value: null }], puts })))
      throw new Error('a commit was refused');
  });
  const gets = await rate(callers, seconds, async (number) => await store.get(0, keyOf(number, entries)));
  const scans = await rate(Math.min(callers, 16), seconds, async (number) => {
    const page = await store.scan(0, {
      from: keyOf(number % (entries / 2), entries),
      to: Buffer.from('p'),
      limit: PAGE,
    });
    return page.length;
  });
  return { store: name, callers, commits, gets, scans };
}

function middle(rounds: readonly Figures[]): Figures {
  const of = (pick: (one: Figures) => number): number => Math.round(median(rounds.map(pick)));
  return {
    ...rounds[0]!,
    commits: of((one) => one.commits),
    gets: of((one) => one.gets),
    scans: of((one) => one.scans),
  };
}

async function main({ scale, dir, out }: Options): Promise<void> {
  await mkdir(dir, { recursive: true });
  const folder = await mkdtemp(join(dir, 'redis-'));
  const server = await startRedis({ dir: folder });
  const usedMemory = async (): Promise<number> =>
    Number(/used_memory:(\d+)/.exec(String(await server.command('info', 'memory')))?.[1]);
  try {
    const stores = new Map<string, KeyValueStore>([
      ['LMDB', openLmdbStore({ directory: join(folder, 'lmdb') })],
      ['Redis', await openRedisStore(server.url)],
    ]);
    const empty = await usedMemory();
    for (const store of stores.values()) await fill(store, scale.entries);
    const bytesPerEntry = Math.round(((await usedMemory()) - empty) / scale.entries);
    const results: Figures[] = [];
    for (const callers of CALLERS) {
      const rounds = new Map([...stores.keys()].map((name) => [name, [] as Figures[]]));
      for (let round = 0; round < scale.rounds; round++) {
        for (const [name, store] of stores)
          rounds.get(name)?.push(await measure(name, store, callers, scale));
      }
      for (const one of rounds.values()) results.push(middle(one));
    }
    for (const store of stores.values()) await store.close();
    const version = /redis_version:(\S+)/.exec(String(await server.command('info', 'server')))?.[1] ?? '';
    const report = [
      '# Metadata in Redis',
      '',
      `${machineLine}; redis-server ${version} with appendfsync always on the same machine and the same disk as LMDB.`,
      `Calls per second, median of ${scale.rounds} alternating rounds of ${scale.seconds} s. A commit checks one key and puts two with values of ${VALUE_BYTES} bytes;`,
      `a get reads one of ${scale.entries} entries; a scan reads a page of ${PAGE} (by at most 16 callers).`,
      '',
      '| callers | store | commits/s | gets/s | scans/s |',
      '|---|---|---|---|---|',
      ...results.map(
        (one) => `| ${one.callers} | ${one.store} | ${one.commits} | ${one.gets} | ${one.scans} |`,
      ),
      '',
      `Memory of redis-server: ${bytesPerEntry} bytes an entry, for ${keyOf(0, scale.entries).length} bytes of key and ${VALUE_BYTES} of value.`,
      '',
    ].join('\n');
    await writeResults(out, {
      'redis.json': { machine, version, bytesPerEntry, results },
      'redis.md': report,
    });
    process.stdout.write(report);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

await runCommand(HELP, readOptions, main);
