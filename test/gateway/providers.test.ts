import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProviderRegistry } from '#placement';
import { ConfigError, readConfig } from '../../gateway/config.ts';
import type { Config } from '../../gateway/config.ts';
import { createCatalog } from '../../gateway/engine/catalog.ts';
import { openKeyValueStore } from '../../gateway/metadata/open.ts';
import { changed, openRegistry, shortageWarnings, widest } from '../../gateway/providers.ts';

describe('providers of a start', () => {
  let data: string;
  let catalog: ReturnType<typeof createCatalog>;
  let opened: ProviderRegistry[];
  let close: () => Promise<void>;

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'shardway-providers-'));
    const kv = await openKeyValueStore('memory', data);
    catalog = createCatalog(kv);
    opened = [];
    close = () => kv.close();
  });
  afterEach(async () => {
    for (const registry of opened) await registry.close();
    await close();
    await rm(data, { recursive: true });
  });

  const config = (environment: Record<string, string>): Config =>
    readConfig({}, { SHARDWAY_DATA: data, ...environment });
  const start = async (environment: Record<string, string>) => {
    const { providers, warnings } = await openRegistry(config(environment), catalog, {
      metrics: () => undefined,
      onOutcome: () => undefined,
    });
    opened.push(providers);
    return { endpoints: providers.all().map(({ info }) => info.endpoint), warnings };
  };

  test('a narrower profile keeps the folders that a wider one filled', async () => {
    const wide = await start({ SHARDWAY_PROFILE: '8+4' });
    expect(wide.endpoints).toHaveLength(12);
    const narrow = await start({ SHARDWAY_PROFILE: '4+2' });
    expect(narrow).toEqual({ endpoints: wide.endpoints, warnings: [] });
  });

  test('providers that are no longer configured are named while their folders stand', async () => {
    await start({});
    const { warnings } = await start({
      SHARDWAY_PROVIDERS: ['a', 'b', 'c', 'd', 'e', '1'].map((name) => join(data, 'providers', name)).join(),
    });
    const [two, three, four] = ['2', '3', '4'].map((name) => join(data, 'providers', name));
    expect(warnings).toEqual([expect.stringMatching(/not configured now.* and 2 more$/)]);
    expect(warnings[0]).toContain(`${two}, ${three}, ${four} and`);
  });

  test('too few providers are said at the start', async () => {
    const { warnings } = await start({ SHARDWAY_PROVIDERS: `${data}/a,${data}/b` });
    expect(warnings).toEqual([expect.stringMatching(/needs 5 usable providers to write and there are 2/)]);
  });

  test('another gateway over the same store does not write to folders of its own', async () => {
    const shared = { SHARDWAY_METADATA: 'redis://127.0.0.1:1' };
    const first = await start(shared);
    expect(first.endpoints).toHaveLength(6);
    expect((await start(shared)).endpoints).toEqual(first.endpoints);
    const other = { ...shared, SHARDWAY_DATA: join(data, 'other') };
    await expect(start(other)).rejects.toThrow(
      /^SHARDWAY_PROVIDERS \(--providers\) must be given: .*, and the shared store's providers are .*providers\/1, /,
    );
    await expect(start(other)).rejects.toBeInstanceOf(ConfigError);
    expect(await readdir(data)).toEqual(['providers']);
    const listed = await start({ ...other, SHARDWAY_PROVIDERS: first.endpoints.join() });
    expect(listed).toEqual({ endpoints: first.endpoints, warnings: [] });
    expect((await start(shared)).endpoints).toEqual(first.endpoints);
  });

  test('nor to listed ones of which the store knows none', async () => {
    const shared = { SHARDWAY_METADATA: 'redis://127.0.0.1:1' };
    const first = await start(shared);
    const mistyped = first.endpoints.map((endpoint) => endpoint.replace('providers', 'praviders')).join();
    await expect(start({ ...shared, SHARDWAY_PROVIDERS: mistyped })).rejects.toThrow(
      /^SHARDWAY_PROVIDERS \(--providers\) names none of them: the shared store's providers are /,
    );
    expect(await readdir(data)).toEqual(['providers']);
    // Those of another store.
    await start({ SHARDWAY_DATA: join(data, 'other') });
    await catalog.setNote('providers.known', JSON.stringify([{ endpoint: '/else', id: 'a'.repeat(32) }]));
    const others = [1, 2, 3, 4, 5, 6].map((name) => join(data, 'other/providers', `${name}`)).join();
    await expect(start({ ...shared, SHARDWAY_PROVIDERS: others })).rejects.toThrow(/names none of them/);
    await start({ SHARDWAY_PROVIDERS: first.endpoints.join() });
    const widened = await start({ ...shared, SHARDWAY_PROVIDERS: `${mistyped},${first.endpoints[0]}` });
    expect(widened.endpoints).toHaveLength(7);
  });

  test('nor where its folders have the paths of the first one’s, on another machine', async () => {
    const shared = { SHARDWAY_METADATA: 'redis://127.0.0.1:1' };
    await start(shared);
    await rename(join(data, 'providers'), join(data, 'of the first machine'));
    await expect(start(shared)).rejects.toThrow(/^SHARDWAY_PROVIDERS \(--providers\) must be given/);
    expect(await readdir(data)).toEqual(['of the first machine']);
    await rename(join(data, 'of the first machine'), join(data, 'providers'));
    expect((await start(shared)).warnings).toEqual([]);
  });

  test('folders of its own that are not the shared store’s are not written to', async () => {
    const shared = { SHARDWAY_METADATA: 'redis://127.0.0.1:1' };
    await start({ SHARDWAY_DATA: join(data, 'other') });
    await catalog.setNote('providers.known', JSON.stringify([{ endpoint: '/else', id: 'a'.repeat(32) }]));
    const other = { ...shared, SHARDWAY_DATA: join(data, 'other') };
    await expect(start(other)).rejects.toThrow(
      /must be given: .* the shared store's providers are \/else\. /,
    );
  });

  test('a list that cannot be used names the setting', async () => {
    await expect(start({ SHARDWAY_PROVIDERS: `${data}/a,${data}/a` })).rejects.toThrow(
      /^SHARDWAY_PROVIDERS \(--providers\) cannot be used: .* are the same directory$/,
    );
    await expect(start({ SHARDWAY_PROVIDERS: 'http://x' })).rejects.toBeInstanceOf(ConfigError);
  });
});

test('a shortage is told apart from missing redundancy', () => {
  const profile = { data: 4, parity: 2 };
  expect(shortageWarnings(profile, 6)).toEqual([]);
  expect(shortageWarnings(profile, 5)).toEqual([expect.stringContaining('without full redundancy')]);
  expect(shortageWarnings(profile, 4)).toEqual([expect.stringContaining('uploads are refused')]);
});

test('the widest folder counts, and nothing but numbers does', () => {
  expect(widest([], 6)).toBe(6);
  expect(widest(['3', '12', '007', 'lost+found', '99999'], 6)).toBe(12);
});

test('only providers that became usable or unusable are told', () => {
  const provider = (id: string, writable: boolean) => ({
    id,
    writable,
    reachable: true,
    endpoint: id,
    state: 'active',
    capacityBytes: 1,
    freeBytes: 1,
  });
  const before = [provider('a', true), provider('b', false), provider('c', true)];
  const now = [provider('a', false), provider('b', true), provider('c', true), provider('d', true)];
  expect(changed(before, now).map(({ id }) => id)).toEqual(['a', 'b']);
});
