import { join } from 'node:path';
import {
  defaultProviderList,
  formatDirectory,
  LocalDirectory,
  openProviders,
  seededRandom,
  TransportError,
  type OpenProvidersOptions,
  type ProviderMember,
  type ProviderRegistry,
  type ProviderStanding,
  type ProviderState,
  type ShardTransport,
} from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { scratch } from './directories.ts';
import { ManualClock } from './manualClock.ts';
import { sampleBytes, wholeOf } from './shards.ts';
import { proxy } from './stores.ts';

const SPACE = { capacity: 1e12, free: 1e11 };
const ACTIVE: ProviderStanding = { state: 'active', score: 0.9 };

let root: string;
let remove: () => Promise<void>;
let clock: ManualClock;
let registry: ProviderRegistry;

beforeEach(async () => {
  ({ path: root, remove } = await scratch());
  clock = new ManualClock(1_000_000);
});
afterEach(async () => {
  await registry.close();
  await remove();
});

async function open(options: Partial<OpenProvidersOptions> = {}): Promise<void> {
  const entries = defaultProviderList(join(root, 'local'), 6);
  registry = await openProviders({ entries, clock, random: seededRandom(1), ...options });
}

const idOf = (number: number): string => number.toString(16).padStart(32, '0');

/** A member over a real directory that says it has SPACE, but for the methods given. */
async function member(
  number: number,
  standing: ProviderStanding = ACTIVE,
  methods: Partial<ShardTransport> = {},
): Promise<ProviderMember> {
  const endpoint = join(root, `member-${number}`);
  await formatDirectory(endpoint, idOf(number));
  const storage = new LocalDirectory(endpoint, idOf(number));
  const transport = proxy(storage, { space: async () => SPACE, ...methods });
  const domain = { region: 'r', site: `s${number}`, operator: `o${number}` };
  return { id: idOf(number), endpoint, domain, transport, standing };
}

async function admit(...members: readonly Promise<ProviderMember>[]): Promise<void> {
  for (const one of members) registry.admit(await one);
  await registry.probe();
}

const weightOf = (number: number): number | undefined =>
  registry.candidates().find(({ info }) => info.id === idOf(number))?.weight;

describe('a provider that joins', () => {
  test('takes shards once it has answered, in proportion to the square of its score', async () => {
    await open();
    registry.admit(await member(1));
    expect(weightOf(1)).toBeUndefined();
    await expect.poll(() => weightOf(1)).toBeCloseTo(1e11 * 0.81, -3);
    expect(registry.get(idOf(1))!.info).toMatchObject({ state: 'active', score: 0.9, ...SPACE });
    expect(registry.all()).toHaveLength(7);
    expect(registry.readRank(idOf(1))).toBeGreaterThan(0);
  });

  test('is not among the identities of configured providers, and has an id of its own', async () => {
    await open();
    await admit(member(1));
    expect(registry.identities()).toHaveLength(6);
    const again = await member(1);
    expect(() => registry.admit(again)).toThrow(RangeError);
  });

  test('leaves with its transport closed', async () => {
    await open();
    let closed = 0;
    const close = async (): Promise<void> => void closed++;
    await admit(member(1, ACTIVE, { close }));
    await registry.dismiss(idOf(1));
    expect([closed, registry.get(idOf(1)), weightOf(1)]).toEqual([1, undefined, undefined]);
    expect(registry.all()).toHaveLength(6);
    await registry.dismiss(idOf(1));
    const [local] = registry.identities();
    await registry.dismiss(local!.id);
    expect([closed, registry.all().length]).toEqual([1, 6]);
  });

  test('keeps its id when it moves, and its transport follows', async () => {
    await open();
    const moves: string[] = [];
    const { transport, ...rest } = await member(1);
    const movable = Object.assign(proxy(transport, {}), { moveTo: (to: string) => void moves.push(to) });
    registry.admit({ ...rest, transport: movable });
    registry.move(idOf(1), 'http://192.0.2.1:9000');
    expect(registry.get(idOf(1))!.info.endpoint).toBe('http://192.0.2.1:9000');
    expect(moves).toEqual(['http://192.0.2.1:9000']);
  });
});

describe('standing', () => {
  test.each<[ProviderState, score: number | undefined, share: number | undefined, unproven?: boolean]>([
    ['vetting', undefined, 0.25, true],
    ['vetting', 1, 1, true],
    ['active', 1, 1],
    ['active', undefined, 0.25, true],
    ['degraded', 0.5, 0.25],
    ['active', 0, undefined],
    ['suspended', 0.9, undefined],
    ['exiting', 0.9, undefined],
    ['disqualified', 0.9, undefined],
    ['gone', 0.9, undefined],
  ])('%s with score %s', async (state, score, share, unproven = false) => {
    await open();
    await admit(member(1));
    registry.stand(idOf(1), { state, score });
    const found = registry.candidates().find(({ info }) => info.id === idOf(1));
    expect(found?.weight).toBe(share === undefined ? undefined : share * 1e11);
    expect(found?.unproven ?? false).toBe(unproven);
    const { info } = registry.get(idOf(1))!;
    expect([info.state, info.score]).toEqual([state, score]);
    const isRead = state !== 'gone' && score !== 0;
    expect(registry.readRank(idOf(1)) > 0).toBe(isRead);
  });

  test('of one that ought to serve and is out of reach is degraded; what leads away from service stands', async () => {
    await open();
    let isUp = true;
    const space = async (): Promise<typeof SPACE> => {
      if (!isUp) throw new TransportError('Unavailable', 'no route');
      return SPACE;
    };
    await admit(member(1, ACTIVE, { space }));
    isUp = false;
    await registry.probe();
    expect([registry.get(idOf(1))!.info.state, weightOf(1)]).toEqual(['degraded', undefined]);
    registry.stand(idOf(1), { state: 'exiting', score: 0.9 });
    expect(registry.get(idOf(1))!.info.state).toBe('exiting');
    registry.stand(idOf(1), ACTIVE);
    isUp = true;
    await registry.probe();
    expect(registry.get(idOf(1))!.info.state).toBe('active');
    expect(weightOf(1)).toBeGreaterThan(0);
  });

  test('a better score is read first', async () => {
    await open();
    await admit(member(1, { state: 'active', score: 1 }), member(2, { state: 'active', score: 0.5 }));
    expect(registry.readRank(idOf(2))).toBeCloseTo(registry.readRank(idOf(1)) / 2);
  });
});

describe('the array of candidates', () => {
  test('is the same one while nothing material has changed', async () => {
    await open();
    await admit(member(1), member(2));
    const array = registry.candidates();
    clock.advance(1_000);
    expect(registry.candidates()).toBe(array);
    await registry.probe();
    expect(registry.candidates()).toBe(array);
    registry.report(idOf(1), { kind: 'write', latencyMs: 1, failure: 'NoSpace' });
    expect(registry.candidates()).not.toBe(array);
    expect(registry.candidates()).toHaveLength(array.length - 1);
  });

  test('tells load as it is: placed bytes, half of them after ten seconds', async () => {
    await open();
    await admit(member(1));
    const loadOf = (number: number): number | undefined =>
      registry.candidates().find(({ info }) => info.id === idOf(number))?.load;
    const array = registry.candidates();
    registry.noteLoad(idOf(1), 1_000_000);
    expect(loadOf(1)).toBe(1_000_000);
    clock.advance(10_000);
    expect(loadOf(1)).toBeCloseTo(500_000);
    registry.noteLoad(idOf(1), 100);
    expect(loadOf(1)).toBeCloseTo(500_100);
    expect(registry.candidates()).toBe(array);
    registry.noteLoad(idOf(9), 1);
  });
});

describe('probes', () => {
  test('of members are bounded, and configured providers do not wait for them', async () => {
    await open({ entries: defaultProviderList(join(root, 'local'), 6) });
    let [running, most, asked] = [0, 0, 0];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const space = async (): Promise<typeof SPACE> => {
      asked++;
      most = Math.max(most, ++running);
      await gate;
      running--;
      return SPACE;
    };
    const one = await member(1);
    for (let number = 1; number <= 300; number++) {
      registry.admit({ ...one, id: idOf(number), transport: proxy(one.transport, { space }) });
    }
    await expect.poll(() => running).toBe(64);
    expect(registry.candidates()).toHaveLength(6);
    release();
    await registry.probe();
    expect(most).toBe(64);
    // The probe of all may come on top of the one that each gets when it joins.
    expect(asked).toBeGreaterThanOrEqual(300);
    expect(asked).toBeLessThanOrEqual(600);
    clock.advance(100);
    expect(registry.candidates()).toHaveLength(306);
  });

  test('that a member answers three times in a row close its write breaker', async () => {
    await open();
    await admit(member(1));
    for (let count = 0; count < 5; count++)
      registry.report(idOf(1), { kind: 'write', latencyMs: 1, failure: 'Unavailable' });
    expect(weightOf(1)).toBeUndefined();
    await registry.probe();
    await registry.probe();
    expect(weightOf(1)).toBeUndefined();
    await registry.probe();
    expect(weightOf(1)).toBeGreaterThan(0);
    expect(registry.get(idOf(1))!.info.state).toBe('active');
  });
});

describe('what is told of a provider', () => {
  test('is every state that it comes to be in, at once', async () => {
    await open();
    const told: string[] = [];
    const end = registry.onState((id, state) => told.push(`${Number.parseInt(id, 16)} ${state}`));
    await admit(member(1), member(2, { state: 'exiting', score: 0.5 }));
    registry.stand(idOf(1), { state: 'active', score: 0.2 });
    registry.stand(idOf(1), { state: 'disqualified', score: 0 });
    registry.stand(idOf(7), { state: 'exiting', score: 0 });
    end();
    registry.stand(idOf(2), { state: 'gone', score: 0 });
    expect(told).toEqual(['1 active', '2 exiting', '1 disqualified']);
  });

  test('puts are counted while they go on, and those that fail are remembered until a delete gets through', async () => {
    await open();
    let answer = Promise.withResolvers<void>();
    await admit(member(1, ACTIVE, { put: () => answer.promise, delete: async () => undefined }));
    const { transport } = registry.get(idOf(1))!;
    const name = { chunk: 'ab'.repeat(16), index: 2 };
    const source = wholeOf(sampleBytes(1_000));
    const puts = [transport.put(name, source), transport.put({ ...name, index: 3 }, source)];
    expect(registry.openPuts(idOf(1))).toBe(2);
    answer.resolve();
    await Promise.all(puts);
    expect([registry.openPuts(idOf(1)), registry.strays(name.chunk)]).toEqual([0, []]);

    for (const [kind, strays] of [
      ['NoSpace', []],
      ['Conflict', []],
      ['Unavailable', [idOf(1)]],
      ['Aborted', [idOf(1)]],
    ] as const) {
      answer = Promise.withResolvers<void>();
      const put = transport.put(name, source);
      answer.reject(new TransportError(kind, 'refused'));
      await expect(put).rejects.toMatchObject({ kind });
      expect([registry.openPuts(idOf(1)), registry.strays(name.chunk)]).toEqual([0, strays]);
      await transport.delete(name);
      expect(registry.strays(name.chunk)).toEqual([]);
    }
    expect(registry.openPuts(idOf(9))).toBe(0);
  });
});
