/** The metadata store on Redis beside LMDB, one run, one disk, both synced before a commit is answered: `npm run bench:redis`. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openLmdbStore } from '../gateway/metadata/lmdb.ts';
import { openRedisStore } from '../gateway/metadata/redis.ts';
import type { KeyValueStore } from '../gateway/metadata/types.ts';
import { startRedis } from '../test/support/redis.ts';
import { machine, machineLine, median } from './machine.ts';

/** About what the record of an object with one chunk takes. */
const VALUE_BYTES = 400;
const HELP = `npm run bench:redis -- [options]

  --quick        few entries, one short round: to see that all works
  --dir folder   where redis-server and LMDB keep their data; default: --out
  --out folder   where results go; default: bench/results
`;

const { values: options } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    dir: { type: 'string' },
    out: { type: 'string', default: join(import.meta.dirname, 'results') },
  },
});
if (options.help) {
  process.stdout.write(HELP);
  process.exit();
}

const ENTRIES = options.quick ? 2_000 : 100_000;
const SECONDS = options.quick ? 0.2 : 2;
const ROUNDS = options.quick ? 1 : 3;
const CALLERS = [1, 16, 64, 256];
const PAGE = 1_000;

interface Figures {
  readonly store: string;
  readonly callers: number;
  /** Of one conditional put of two keys. */
  readonly commits: number;
  readonly gets: number;
  /** Pages of 1,000 entries. */
  readonly scans: number;
}

const keyOf = (number: number): Buffer =>
  Buffer.from(`o12345678photos/2031/${String((number * 7_919) % ENTRIES).padStart(8, '0')}/original.jpg`);

async function fill(store: KeyValueStore): Promise<void> {
  for (let at = 0; at < ENTRIES; at += 1_000) {
    const puts = Array.from({ length: 1_000 }, (_, i) => [keyOf(at + i), randomBytes(VALUE_BYTES)] as const);
    await store.commit(0, { puts });
  }
}

/** Calls per second of so many callers, each making one after the other. */
async function rate(callers: number, call: (number: number) => Promise<unknown>): Promise<number> {
  let calls = 0;
  const begun = performance.now();
  const until = begun + SECONDS * 1_000;
  const loop = async (): Promise<void> => {
    while (performance.now() < until) await call(calls++);
  };
  await Promise.all(Array.from({ length: callers }, loop));
  return calls / ((performance.now() - begun) / 1_000);
}

let written = 0;
async function measure(name: string, store: KeyValueStore, callers: number): Promise<Figures> {
  const value = randomBytes(VALUE_BYTES);
  const commits = await rate(callers, async () => {
    const id = String(written++);
    const key = Buffer.from(`new${id}`);
    const puts = [
      [key, value],
      [Buffer.from(`ref${id}`), value],
    ] as const;
    if (!(await store.commit(0, { checks: [{ key, value: null }], puts })))
      throw new Error('a commit was refused');
  });
  const gets = await rate(callers, async (number) => await store.get(0, keyOf(number)));
  const scans = await rate(Math.min(callers, 16), async (number) => {
    const page = await store.scan(0, {
      from: keyOf(number % (ENTRIES / 2)),
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

const out = resolve(options.out);
const dir = resolve(options.dir ?? out);
for (const folder of [out, dir]) await mkdir(folder, { recursive: true });
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
  for (const store of stores.values()) await fill(store);
  const bytesPerEntry = Math.round(((await usedMemory()) - empty) / ENTRIES);
  const results: Figures[] = [];
  for (const callers of CALLERS) {
    const rounds = new Map([...stores.keys()].map((name) => [name, [] as Figures[]]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, store] of stores) rounds.get(name)?.push(await measure(name, store, callers));
    }
    for (const one of rounds.values()) results.push(middle(one));
  }
  for (const store of stores.values()) await store.close();
  const version = /redis_version:(\S+)/.exec(String(await server.command('info', 'server')))?.[1] ?? '';
  const report = [
    '# Metadata in Redis',
    '',
    `${machineLine}; redis-server ${version} with appendfsync always on the same machine and the same disk as LMDB.`,
    `Calls per second, median of ${ROUNDS} alternating rounds of ${SECONDS} s. A commit checks one key and puts two with values of ${VALUE_BYTES} bytes;`,
    `a get reads one of ${ENTRIES} entries; a scan reads a page of ${PAGE} (by at most 16 callers).`,
    '',
    '| callers | store | commits/s | gets/s | scans/s |',
    '|---|---|---|---|---|',
    ...results.map(
      (one) => `| ${one.callers} | ${one.store} | ${one.commits} | ${one.gets} | ${one.scans} |`,
    ),
    '',
    `Memory of redis-server: ${bytesPerEntry} bytes an entry, for ${keyOf(0).length} bytes of key and ${VALUE_BYTES} of value.`,
    '',
  ].join('\n');
  await writeFile(
    join(out, 'redis.json'),
    `${JSON.stringify({ machine, version, bytesPerEntry, results }, undefined, 2)}\n`,
  );
  await writeFile(join(out, 'redis.md'), report);
  process.stdout.write(report);
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
