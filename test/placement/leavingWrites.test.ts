import { join } from 'node:path';
import {
  chooseProviders,
  createChunkStore,
  formatDirectory,
  LocalDirectory,
  openProviders,
  seededRandom,
  systemClock,
  type ChunkId,
  type ChunkRecord,
  type OpenChunkStore,
  type ProviderId,
  type ProviderRegistry,
  type ProviderState,
  type ShardTransport,
} from '#placement';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Maintenance } from '../../placement/repair/maintenance.ts';
import type { EvacuationReport } from '../../placement/repair/evacuate.ts';
import { TestCluster } from '../support/placement.ts';
import { scratch } from './directories.ts';
import { newChunkId, sampleBytes } from './shards.ts';
import { proxy } from './stores.ts';

const PROFILE = { data: 4, parity: 2 };
const COUNT = 8;
const idOf = (number: number): ProviderId => number.toString(16).padStart(32, '0');

let remove: () => Promise<void>;
let root: string;
let registry: ProviderRegistry;
let store: OpenChunkStore;
let maintenance: Maintenance;
let ended: EvacuationReport[];
/** Chunks whose record may still come. */
const pending = new Set<ChunkId>();
/** A clock and a catalog; the providers are the registry's. */
const { clock, catalog } = new TestCluster('');

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  registry = await openProviders({ entries: [], clock: systemClock });
  for (let number = 0; number < COUNT; number++) {
    const endpoint = join(root, String(number));
    await formatDirectory(endpoint, idOf(number));
    const domain = { region: 'r', site: `s${number}`, operator: `o${number}` };
    const transport = slowed(number, new LocalDirectory(endpoint, idOf(number)));
    registry.admit({
      id: idOf(number),
      endpoint,
      domain,
      transport,
      standing: { state: 'active', score: 1 },
    });
  }
  await registry.probe();
  const limits = { graceMsMin: 20, graceMsMax: 20, lateMs: 60_000 };
  store = createChunkStore({
    providers: registry,
    catalog,
    clock: systemClock,
    random: seededRandom(3),
    limits,
  });
  ended = [];
  maintenance = new Maintenance({
    catalog,
    clock,
    providers: registry,
    choose: chooseProviders,
    isPending: (id) => pending.has(id),
    isUploading: (id) => store.isUploading(id),
    onEvacuated: (report) => ended.push(report),
  });
});
afterEach(async () => {
  gates.clear();
  pending.clear();
  catalog.records.clear();
  catalog.queue.clear();
  catalog.notes.clear();
  await maintenance.stop();
  await store.close();
  await registry.close();
  await remove();
});

/** What puts at a provider wait for. */
const gates = new Map<ProviderId, Promise<unknown>>();

function slowed(number: number, transport: ShardTransport): ShardTransport {
  return proxy(transport, {
    space: async () => ({ capacity: 1e12, free: 1e11 }),
    put: async (...call) => {
      await gates.get(idOf(number));
      await transport.put(...call);
    },
  });
}

function stand(provider: ProviderId, state: ProviderState): void {
  registry.stand(provider, { state, score: 1 });
}

const isAt = (record: ChunkRecord, provider: ProviderId): boolean =>
  record.shards.some((place) => place?.provider === provider);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('an upload under way when its provider begins to leave is waited for, and moved away', async () => {
  const gate = Promise.withResolvers<undefined>();
  const bytes = sampleBytes(100_000);
  const writer = await store.create(newChunkId(), PROFILE);
  pending.add(writer.id);
  for (let number = 0; number < COUNT; number++) gates.set(idOf(number), gate.promise);
  await writer.write(bytes);
  const finishing = writer.finish();
  await until(() => registry.all().some(({ info }) => registry.openPuts(info.id) > 0));
  const leaving = registry.all().find(({ info }) => registry.openPuts(info.id) > 0)!.info.id;
  stand(leaving, 'exiting');
  const evacuating = maintenance.evacuate(leaving);
  const before = clock.slept;
  await until(() => clock.slept - before > 60_000);
  expect(maintenance.isEmptied(leaving)).toBe(false);
  expect(registry.openPuts(leaving)).toBe(1);

  gate.resolve(undefined);
  const { record } = await finishing;
  expect(isAt(record, leaving)).toBe(true);
  // Its record comes later still: others of its body are being written.
  const then = clock.slept;
  await until(() => clock.slept - then > 60_000);
  expect(maintenance.isEmptied(leaving)).toBe(false);
  catalog.records.set(record.id, record);
  pending.delete(record.id);

  expect(await evacuating).toMatchObject({ emptied: true, moved: 1, left: 0 });
  expect(maintenance.isEmptied(leaving)).toBe(true);
  const now = catalog.records.get(record.id)!;
  expect(isAt(now, leaving)).toBe(false);
  expect(await registry.get(leaving)!.transport.list(undefined, 10)).toEqual([]);
  const read: Uint8Array[] = [];
  for await (const piece of store.read(now, 0, bytes.length)) read.push(Buffer.from(piece));
  expect(Buffer.compare(Buffer.concat(read), bytes)).toBe(0);
  // Back again, and not emptied any more.
  stand(leaving, 'active');
  expect(maintenance.isEmptied(leaving)).toBe(false);
});

test('a provider that began to leave before the first byte was sent gets none', async () => {
  for (let round = 0; round < 4; round++) {
    const writer = await store.create(newChunkId(), PROFILE);
    // Two of eight leave; six are left.
    const leaving = [idOf((2 * round) % COUNT), idOf((2 * round + 1) % COUNT)];
    for (const id of leaving) stand(id, 'exiting');
    await writer.write(sampleBytes(10_000));
    const { record, needsRepair } = await writer.finish();
    expect(needsRepair).toBe(false);
    expect(leaving.filter((id) => isAt(record, id))).toEqual([]);
    for (const id of leaving) {
      expect(await registry.get(id)!.transport.list(undefined, 10)).toEqual([]);
      stand(id, 'active');
    }
    await store.delete(record);
  }
});

test('an evacuation begins when its provider begins to leave, while another one waits', async () => {
  const writer = await store.create(newChunkId(), PROFILE);
  await writer.write(sampleBytes(10_000));
  const { record } = await writer.finish();
  catalog.records.set(record.id, record);
  const [first, second] = record.shards.map((place) => place!.provider);
  const gate = Promise.withResolvers<undefined>();
  const wake = registry.onState(() => maintenance.wake('evacuate'));
  const waits: number[] = [];
  const movedAt: number[] = [];
  catalog.afterCompareAndSet = () => void movedAt.push(clock.now());
  const sleep = clock.sleep.bind(clock);
  // The loops' own pauses stand still: only a call ends them.
  clock.sleep = async (ms, signal) => {
    if (ms < 10_000) return await sleep(ms, signal);
    waits.push(ms);
    return await new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  };
  try {
    gates.set(first!, gate.promise);
    const slow = registry.get(first!)!.transport.put({ chunk: newChunkId(), index: 0 }, emptySource());
    slow.catch(() => undefined);
    maintenance.start();
    await until(() => waits.length >= 3);
    const startedAt = clock.now();
    stand(first!, 'exiting');
    await until(() => !isAt(catalog.records.get(record.id)!, first!));
    expect(movedAt[0]! - startedAt).toBeLessThan(1_000);
    expect(ended).toEqual([]);
    const secondAt = clock.now();
    stand(second!, 'exiting');
    await until(() => !isAt(catalog.records.get(record.id)!, second!));
    expect(movedAt[1]! - secondAt).toBeLessThan(60_000);
    gate.resolve(undefined);
    await slow.catch(() => undefined);
  } finally {
    gate.resolve(undefined);
    wake();
    await maintenance.stop();
    clock.sleep = sleep;
    catalog.afterCompareAndSet = undefined;
  }
});

function emptySource(): Parameters<ShardTransport['put']>[1] {
  return {
    cells: (async function* () {
      yield* [];
    })(),
    seal: () => {
      throw new Error('nothing was sealed');
    },
  };
}
