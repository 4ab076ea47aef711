/** What the processes of one store do for each other at the providers, on real local directories. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createChunkStore, defaultProviderList, openProviders, systemClock, systemRandom } from '#placement';
import type { OpenChunkStore, ProviderRegistry, ShardTransport } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { activityOf, heldProviders, watchChunks } from '../../gateway/background.ts';
import { createCatalog } from '../../gateway/engine/catalog.ts';
import { NetworkFollower } from '../../gateway/followNetwork.ts';
import type { Registered } from '../../gateway/followNetwork.ts';
import { openMemoryStore } from '../../gateway/metadata/memory.ts';
import { GivenRole } from '../../gateway/role.ts';

let root: string;
let registry: ProviderRegistry;
/** The last of three puts waits for it. */
let slow: Promise<void> | undefined;
let puts = 0;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shardway-background-'));
  slow = undefined;
  puts = 0;
  registry = await openProviders({
    entries: defaultProviderList(root, 3),
    clock: systemClock,
    decorate: (transport) => slowed(transport),
  });
});
afterEach(async () => {
  await registry.close();
  await rm(root, { recursive: true, force: true });
});

function slowed(transport: ShardTransport): ShardTransport {
  return new Proxy(transport, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'put') return value.bind(target);
      return async (...all: Parameters<ShardTransport['put']>) => {
        if (++puts === 3) await slow;
        await target.put(...all);
      };
    },
  });
}

const chunk = 'c'.repeat(32);
const name = { chunk, index: 0 };

describe('providers for background work', () => {
  test('take nothing from a process that does the work no longer, and read on', async () => {
    let isHeld = true;
    const held = heldProviders(registry, { isHeld: () => isHeld }, () => 2);
    const store = createChunkStore({ providers: registry, clock: systemClock, random: systemRandom });
    const writer = await store.create(chunk, { data: 2, parity: 1 });
    await writer.write(Buffer.alloc(100_000, 1));
    const { record } = await writer.finish();
    await store.close();
    const { provider } = record.shards[0]!;
    const { transport } = held.get(provider)!;
    isHeld = false;
    await expect(transport.delete(name)).rejects.toMatchObject({ kind: 'Aborted' });
    expect(await transport.list(undefined, 10)).toHaveLength(1);
    expect((await transport.get(name, 0, 1)).bytes.length).toBeGreaterThan(0);
    isHeld = true;
    await transport.delete(name);
    expect(await registry.get(provider)!.transport.list(undefined, 10)).toEqual([]);
    expect(held.openPuts(provider)).toBe(2);
    expect(held.get(provider)).toBe(held.all().find(({ info }) => info.id === provider));
  });
});

describe('watched chunks', () => {
  test('are listed as long as a shard is on its way after the chunk was finished', async () => {
    const gate = Promise.withResolvers<void>();
    slow = gate.promise;
    const catalog = createCatalog(openMemoryStore());
    const chunks: OpenChunkStore = createChunkStore({
      providers: registry,
      catalog,
      clock: systemClock,
      random: systemRandom,
    });
    const watched = watchChunks(chunks);
    const writer = await watched.store.create(chunk, { data: 1, parity: 2 });
    await writer.write(Buffer.alloc(50_000, 1));
    expect((await writer.finish()).needsRepair).toBe(true);
    expect(activityOf(watched, registry)).toEqual({ uploading: [chunk], quietAt: [] });
    gate.resolve();
    while (chunks.isUploading(chunk)) await new Promise((resolve) => setImmediate(resolve));
    expect(watched.uploading()).toEqual([]);
    await chunks.close();
  });
});

describe('registered providers', () => {
  const provider = (id: string, change: Partial<Registered> = {}): Registered => ({
    id: id.repeat(32),
    publicKey: 'key',
    endpoint: 'http://127.0.0.1:1',
    domain: { region: 'r', site: 's', operator: 'o' },
    standing: { state: 'active', score: 0.5 },
    ...change,
  });

  test('are followed: they come, move, change their standing and go', async () => {
    const catalog = createCatalog(openMemoryStore());
    const storage = registry.all()[0]!.transport;
    const transports: string[] = [];
    const transportFor = ({ id, endpoint }: Registered): ShardTransport => {
      transports.push(`${id[0]} ${endpoint}`);
      return { ...storage, space: () => storage.space(), close: async () => undefined };
    };
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const follower = new NetworkFollower({ catalog, registry, transportFor, onError });
    const follow = async (...now: Registered[]): Promise<void> => {
      await catalog.setNote('network.registered', JSON.stringify(now));
      await follower.start();
    };
    const own = registry.all().length;
    await follow(provider('a'), provider('b'));
    expect(registry.all()).toHaveLength(own + 2);
    await follow(
      provider('a', { standing: { state: 'exiting', score: undefined } }),
      provider('b', { endpoint: 'http://127.0.0.1:2' }),
    );
    expect(registry.get('a'.repeat(32))?.info).toMatchObject({ state: 'exiting' });
    expect(registry.get('b'.repeat(32))?.info).toMatchObject({ endpoint: 'http://127.0.0.1:2' });
    expect(activityOf({ uploading: () => [] } as never, registry).quietAt).toEqual(['a'.repeat(32)]);
    // Somewhere else in the tree it is another membership.
    await follow(provider('b', { domain: { region: 'q', site: 's', operator: 'o' } }));
    expect(registry.get('a'.repeat(32))).toBeUndefined();
    expect(transports).toEqual(['a http://127.0.0.1:1', 'b http://127.0.0.1:1', 'b http://127.0.0.1:1']);
    await follower.stop();
    expect(registry.all()).toHaveLength(own);
    expect(errors).toEqual([]);
  });
});

describe('a role', () => {
  test('is played while it is given', async () => {
    const said: string[] = [];
    const role = new GivenRole(false, (error) => said.push(String(error)));
    await role.whileGiven(async () => {
      said.push('begun');
      return async () => void said.push('ended');
    });
    expect(said).toEqual([]);
    await Promise.all([role.set(true), role.set(true)]);
    await role.set(false);
    await role.set(true);
    expect(said).toEqual(['begun', 'ended', 'begun']);
    await role.end();
    expect(said).toEqual(['begun', 'ended', 'begun', 'ended']);
  });

  test('that is given and cannot be played says so', async () => {
    const errors: unknown[] = [];
    const failing = async (): Promise<never> => {
      throw new Error('in use');
    };
    await expect(new GivenRole(true, () => undefined).whileGiven(failing)).rejects.toThrow('in use');
    const later = new GivenRole(false, (error) => errors.push(error));
    await later.whileGiven(failing);
    await later.set(true);
    expect(errors).toHaveLength(1);
  });
});
