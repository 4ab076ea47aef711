import { cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  defaultProviderList,
  openProviders,
  parseProviderList,
  PlacementError,
  TransportError,
  type OpenProvidersOptions,
  type ProviderRegistry,
  type ShardTransport,
} from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { scratch } from './directories.ts';
import { ManualClock } from './manualClock.ts';
import { cellsOf, newChunkId, sampleBytes } from './shards.ts';
import { proxy } from './stores.ts';

let root: string;
let remove: () => Promise<void>;
let clock: ManualClock;
let opened: ProviderRegistry[];

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  clock = new ManualClock(1_000_000);
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((registry) => registry.close()));
  await remove();
});

async function open(options: Partial<OpenProvidersOptions> = {}): Promise<ProviderRegistry> {
  const registry = await openProviders({ entries: defaultProviderList(root, 6), clock, ...options });
  opened.push(registry);
  return registry;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PlacementError);
  expect((error as PlacementError).kind).toBe('BadConfiguration');
  return (error as PlacementError).message;
}

const path = (number: number): string => join(root, String(number));

describe('the list of providers', () => {
  test('has paths and failure domains', () => {
    expect(parseProviderList(' /data/one , eu/fra1/acme=/data/two,/data/a=b ')).toEqual([
      { endpoint: '/data/one', domain: { region: 'local', site: '/data/one', operator: '/data/one' } },
      { endpoint: '/data/two', domain: { region: 'eu', site: 'fra1', operator: 'acme' } },
      { endpoint: '/data/a=b', domain: { region: 'local', site: '/data/a=b', operator: '/data/a=b' } },
    ]);
  });

  test.each(['', ' , ', 'acme=/data', 'eu=/data', 'https://example.org/bucket'])(
    'refuses %j',
    async (text) => {
      expect(await refusal((async () => parseProviderList(text))())).not.toBe('');
    },
  );

  test('is six directories by default, or one for each shard, and each is a failure domain of its own', () => {
    const entries = defaultProviderList('/data', 6);
    expect(entries.map(({ endpoint }) => endpoint)).toEqual(
      [1, 2, 3, 4, 5, 6].map((number) => `/data/${number}`),
    );
    expect(new Set(entries.map(({ domain }) => domain.site)).size).toBe(6);
    expect(new Set(entries.map(({ domain }) => domain.operator)).size).toBe(6);
    expect(defaultProviderList('/data', 2)).toEqual(entries);
    expect(defaultProviderList('/data', 16)).toHaveLength(16);
  });
});

describe('identities', () => {
  test('are made at the first start and stay', async () => {
    const first = await open();
    const identities = first.identities();
    expect(new Set(identities.map(({ id }) => id)).size).toBe(6);
    expect(first.warnings).toEqual([]);
    await first.close();
    const second = await open();
    expect(second.identities()).toEqual(identities);
    expect(second.candidates()).toHaveLength(6);
  });

  test('move with their directories', async () => {
    const first = await open();
    const known = first.identities();
    await first.close();
    await rename(path(1), join(root, 'moved'));
    const entries = [...defaultProviderList(root, 6), ...parseProviderList(join(root, 'moved'))];
    const second = await open({ entries, known });
    expect(second.get(known[0]!.id)!.info.endpoint).toBe(join(root, 'moved'));
    expect(second.all()).toHaveLength(7);
    const third = second.identities();
    expect(third.filter(({ id }) => id === known[0]!.id)).toEqual([
      { endpoint: join(root, 'moved'), id: known[0]!.id },
    ]);
  });

  test('of providers that are not configured are kept for when they are again', async () => {
    const known = (await open()).identities();
    const fewer = await open({ entries: defaultProviderList(root, 6).slice(1), known });
    expect(fewer.all()).toHaveLength(5);
    expect(fewer.identities()).toContainEqual(known[0]);
  });

  test('that occur twice are refused', async () => {
    await open();
    expect(await refusal(open({ entries: parseProviderList(`${path(1)},${path(1)}/`) }))).toMatch(
      /same directory/,
    );
    await symlink(path(1), join(root, 'link'));
    expect(await refusal(open({ entries: parseProviderList(`${path(1)},${join(root, 'link')}`) }))).toMatch(
      /same directory/,
    );
    await cp(path(1), join(root, 'copy'), { recursive: true });
    expect(await refusal(open({ entries: parseProviderList(`${path(1)},${join(root, 'copy')}`) }))).toMatch(
      /a copy/,
    );
  });

  test('are not given to directories with other files, or with a marker that cannot be read', async () => {
    await mkdir(path(1));
    await writeFile(join(path(1), 'thesis.tex'), 'mine');
    expect(await refusal(open())).toMatch(/not a provider's/);
    await rm(path(1), { recursive: true });
    await writeFile(path(1), 'a file');
    expect(await refusal(open())).not.toBe('');
    await rm(path(1));
    await mkdir(path(1));
    for (const marker of ['', '[]', '{"format":2,"id":"x"}', '{"format":1,"id":"../.."}']) {
      await writeFile(join(path(1), 'provider.json'), marker);
      expect(await refusal(open())).toMatch(/marker/);
    }
  });
});

describe('a known directory', () => {
  const name = { chunk: newChunkId(), index: 0 };
  const put = (registry: ProviderRegistry, id: string): Promise<void> =>
    registry.get(id)!.transport.put(name, cellsOf(sampleBytes(100)));

  test('that is missing at the start is made anew under its identity, with a warning', async () => {
    const first = await open();
    const known = first.identities();
    await first.close();
    await rm(path(3), { recursive: true });
    const second = await open({ known });
    expect(second.identities()).toEqual(known);
    expect(second.warnings).toHaveLength(1);
    expect(second.warnings[0]).toMatch(new RegExp(`${path(3)}.*missing`));
    await put(second, known[2]!.id);
  });

  test('that is empty at the start is not used until it is revived: its disk may not be mounted', async () => {
    const first = await open();
    const known = first.identities();
    await first.close();
    await rm(path(3), { recursive: true });
    await mkdir(path(3));
    const second = await open({ known });
    expect(second.identities()).toEqual(known);
    expect(second.warnings[0]).toMatch(/not mounted/);
    expect(second.candidates()).toHaveLength(5);
    expect(second.get(known[2]!.id)!.info.state).toBe('degraded');
    await expect(put(second, known[2]!.id)).rejects.toMatchObject({ kind: 'Unavailable' });
    await second.revive();
    expect(second.candidates()).toHaveLength(6);
    await put(second, known[2]!.id);
  });

  test('that lost its marker gets it back and keeps its shards', async () => {
    const first = await open();
    const known = first.identities();
    await put(first, known[0]!.id);
    await first.close();
    await rm(join(path(1), 'provider.json'));
    const second = await open({ known });
    expect(second.warnings[0]).toMatch(/marker/);
    expect((await second.get(known[0]!.id)!.transport.get(name, 0, 1)).bytes).toHaveLength(100);
    expect(JSON.parse(await readFile(join(path(1), 'provider.json'), 'utf8'))).toMatchObject({
      id: known[0]!.id,
    });
  });

  test('that goes away while running takes no new shards from the next probe on', async () => {
    const registry = await open();
    const { id } = registry.identities()[0]!;
    await rm(path(1), { recursive: true });
    clock.advance(10_000);
    await expect.poll(() => registry.candidates().length).toBe(5);
    expect(registry.readRank(id)).toBe(0);
    await registry.revive();
    expect(registry.candidates()).toHaveLength(6);
    expect(registry.readRank(id)).toBeGreaterThan(0);
  });
});

describe('candidates', () => {
  const spaces = new Map<string, { capacity: number; free: number } | Error>();
  const withSpace = (transport: ShardTransport, { endpoint }: { endpoint: string }): ShardTransport =>
    proxy(transport, {
      space: async () => {
        const space = spaces.get(endpoint) ?? { capacity: 1e12, free: 1e11 };
        if (space instanceof Error) throw space;
        return space;
      },
    });
  const weights = (registry: ProviderRegistry): Record<string, number> =>
    Object.fromEntries(registry.candidates().map(({ info, weight }) => [info.endpoint.slice(-1), weight]));

  beforeEach(() => spaces.clear());

  test('weigh by free space, and nearly full or unreachable ones are none', async () => {
    spaces.set(path(1), { capacity: 1e12, free: 4e11 });
    spaces.set(path(2), { capacity: 1e12, free: 1e9 });
    spaces.set(path(3), { capacity: 1e8, free: 1e6 });
    spaces.set(path(4), { capacity: 1e8, free: 1e7 });
    spaces.set(path(5), new TransportError('Unavailable', 'no answer'));
    const registry = await open({ decorate: withSpace });
    expect(weights(registry)).toEqual({ 1: 4e11, 4: 1e7, 6: 1e11 });
    spaces.delete(path(5));
    await registry.probe();
    expect(weights(registry)['5']).toBe(1e11);
  });

  test('weigh by the square of their success, and by their speed within bounds', async () => {
    const registry = await open({ decorate: withSpace });
    const ids = registry.identities().map(({ id }) => id);
    for (let round = 0; round < 40; round++) {
      for (const [number, id] of ids.entries())
        registry.report(id, { kind: 'write', latencyMs: number === 5 ? 60_000 : 10 });
      if (round % 10 === 0) registry.report(ids[1]!, { kind: 'write', latencyMs: 10, failure: 'Timeout' });
    }
    clock.advance(1000);
    const found = weights(registry);
    expect(found['1']).toBeCloseTo(1e11, -8);
    expect(found['2']! / 1e11).toBeCloseTo((44 / 48) ** 2, 1);
    expect(found['6']! / 1e11).toBeCloseTo(0.1, 2);
  });

  test('a provider without space is none until it is probed again', async () => {
    const registry = await open({ decorate: withSpace });
    const { id } = registry.identities()[0]!;
    registry.report(id, { kind: 'write', latencyMs: 1, failure: 'NoSpace' });
    expect(registry.candidates()).toHaveLength(5);
    await registry.probe();
    expect(registry.candidates()).toHaveLength(6);
  });

  test('an open breaker leaves one call in a second', async () => {
    const registry = await open({ decorate: withSpace });
    const { id } = registry.identities()[0]!;
    for (let count = 0; count < 5; count++)
      registry.report(id, { kind: 'write', latencyMs: 1, failure: 'Unavailable' });
    expect(registry.get(id)!.info.state).toBe('degraded');
    expect(registry.candidates()).toHaveLength(5);
    clock.advance(1000);
    expect([registry.candidates().length, registry.candidates().length]).toEqual([6, 5]);
  });
});

test('a slow provider is hedged by the median provider’s p95, not by its own', async () => {
  const registry = await open();
  const ids = registry.identities().map(({ id }) => id);
  for (let round = 0; round < 50; round++) {
    for (const [number, id] of ids.entries())
      registry.report(id, { kind: 'read', latencyMs: number === 0 ? 5000 : 30 });
  }
  clock.advance(1000);
  const [slow, usual] = [registry.hedgeAfterMs(ids[0]!), registry.hedgeAfterMs(ids[1]!)];
  expect(usual).toBeGreaterThanOrEqual(30);
  expect(usual).toBeLessThan(40);
  expect(slow).toBeGreaterThan(usual);
  expect(slow).toBeLessThanOrEqual(3 * usual);
  // Among the best for a single read now and then, to learn when it is back.
  expect(registry.readRank(ids[0]!)).toBeCloseTo(registry.readRank(ids[1]!));
  expect(registry.readRank(ids[0]!)).toBeLessThan(registry.readRank(ids[1]!) / 10);
  clock.advance(1_900);
  expect(registry.readRank(ids[0]!)).toBeLessThan(registry.readRank(ids[1]!) / 10);
  clock.advance(100);
  expect(registry.readRank(ids[0]!)).toBeCloseTo(registry.readRank(ids[1]!));
});
