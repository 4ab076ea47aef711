import { describe, expect, test } from 'vitest';
import { chunkLayout, createHasher } from '#erasure';
import { challengeOf } from '../../../placement/network/beacon.ts';
import { Canaries } from '../../../placement/network/canaries.ts';
import { planEra } from '../../../placement/network/eraPlan.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { takeInventory } from '../../../placement/network/inventory.ts';
import type { Assignment, Target } from '../../../placement/network/messages.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import type { LoggedAssignment, MonitorRecord, ProviderRecord } from '../../../placement/oracle/types.ts';
import { seededRandom } from '../../../placement/time.ts';
import type { ChunkCatalog, ChunkRecord } from '../../../placement/types.ts';

const hasher = createHasher();
const gateway = createIdentity();
const SECRET = Buffer.alloc(32, 9);
const hashOf = (text: string): string => Buffer.from(hasher.hash(Buffer.from(text))).toString('hex');
const ids = (kind: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => hashOf(`${kind} ${i}`).slice(0, 32));
const PROVIDERS = ids('provider', 12);
const MONITORS = ids('monitor', 3);

/** Chunks as the engine names them: a home, two gateways' sessions, numbered; a quarter is deleted again. */
function catalogOf(chunks: number, deleted = 0.25): ChunkCatalog {
  const random = seededRandom(11);
  const records: ChunkRecord[] = [];
  for (let i = 0; i < chunks; i++) {
    const session = hashOf(`session ${i % 2}`).slice(0, 16);
    const id = `0000${session}${Math.floor(i / 2)
      .toString(16)
      .padStart(12, '0')}`;
    const first = Math.floor(random.fraction() * 12);
    const shards = [0, 1, 2, 3, 4, 5].map((step) => ({
      provider: PROVIDERS[(first + step) % 12]!,
      root: hasher.hash(Buffer.from(`${id} ${step}`)),
    }));
    const length = random.fraction() < 0.5 ? 4 * 1024 * 1024 : 1 + Math.floor(random.fraction() * 4e6);
    if (random.fraction() < deleted) continue;
    records.push({ id, profile: { data: 4, parity: 2 }, length, cell: 16_384, generation: 1, shards });
  }
  records.sort((a, b) => (a.id < b.id ? -1 : 1));
  const byId = new Map(records.map((record) => [record.id, record]));
  return {
    get: async (id: string) => byId.get(id),
    list: async (after: string | undefined, limit: number) => {
      const from = after === undefined ? 0 : records.findIndex(({ id }) => id > after);
      return from < 0 ? [] : records.slice(from, from + limit);
    },
    repairEntries: async () => [],
  } as unknown as ChunkCatalog;
}

interface Sent {
  readonly beacon: string;
  /** As they are sent. */
  readonly assignment: Assignment;
  readonly logged: LoggedAssignment;
}

async function eras(catalog: ChunkCatalog, first: number, count: number): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let era = first; era < first + count; era++) {
    const beacon = hashOf(`beacon ${era}`);
    const canaries = new Canaries(SECRET, era, ORACLE_DEFAULTS.canaryShare);
    const holdings = await takeInventory(catalog, PROVIDERS, hashOf(`sampling ${era}`) + beacon, canaries);
    const planned = planEra({
      gateway,
      era,
      beacon,
      closesAt: 1_800_000_000_000,
      parameters: ORACLE_DEFAULTS,
      providers: PROVIDERS.map((id) => ({
        record: {
          id,
          publicKey: gateway.publicKey,
          description: { endpoint: 'http://127.0.0.1:1', storageClass: 'ssd' },
        } as ProviderRecord,
        holding: holdings.get(id)!,
        clockOffsetMs: 0,
      })),
      monitors: MONITORS.map(
        (id) => ({ id, operator: id, networkPrefix: id, state: 'active' }) as MonitorRecord,
      ),
      catalog,
      canaries,
      random: seededRandom(era),
    });
    for await (const { signed, logged } of planned) {
      sent.push({ beacon, assignment: JSON.parse(signed.body) as Assignment, logged });
    }
  }
  return sent;
}

interface Seen {
  readonly features: Readonly<Record<string, string>>;
  readonly isCanary: boolean;
}

/** What a monitor can compute of each target that it is sent. */
function seenIn({ beacon, assignment, logged }: Sent): Seen[] {
  const all = assignment.tasks.flatMap(({ targets }) => targets);
  const sorted = all.map(({ chunk }) => chunk).sort();
  return assignment.tasks.flatMap(({ provider, targets }, task) =>
    targets.map((target, place): Seen => {
      const challenge = challengeOf(beacon, assignment.era, provider, assignment.monitor, place);
      const draw = Number.parseInt(challenge.slice(0, 12), 16) / 2 ** 48;
      const seed = Buffer.from(beacon + target.chunk, 'hex');
      const key = Buffer.from(hasher.hash(seed)).readUIntBE(0, 6) / 2 ** 48;
      const same = ({ chunk, index }: Target): boolean => chunk === target.chunk && index === target.index;
      const json = Buffer.from(target.grant.split('.')[0]!, 'base64url').toString();
      return {
        isCanary: logged.tasks[task]!.targets[place]!.canary !== undefined,
        features: {
          fields: Object.keys(target).join(),
          home: target.chunk.slice(0, 4),
          series: target.chunk.slice(0, 20),
          sorted: String(Math.floor((8 * sorted.indexOf(target.chunk)) / sorted.length)),
          isLast: String(sorted.at(-1) === target.chunk || sorted[0] === target.chunk),
          index: String(target.index),
          length: String(Math.floor(target.length / 2 ** 17)),
          leaf: String(Math.floor((4 * target.leaf) / Math.ceil(target.length / 16_384))),
          root: String(target.root.length),
          place: String(place),
          targets: String(targets.length),
          grant: `${json.length} ${Object.keys(JSON.parse(json) as object).join()}`,
          draw: String(Math.floor(5 * Math.abs(key - draw))),
          again: String(Math.min(3, all.filter(same).length)),
        },
      };
    }),
  );
}

/** Learns from some what canaries look like, and says how much better than chance it then finds others: 0.5 is chance, 1 finds all. */
function accuracy(learnt: readonly Seen[], asked: readonly Seen[], names: readonly string[]): number {
  const share = (seen: readonly Seen[], name: string, value: string): number =>
    (seen.filter(({ features }) => features[name] === value).length + 1) / (seen.length + 10);
  const [canaries, shards] = [true, false].map((is) => learnt.filter(({ isCanary }) => isCanary === is));
  const memo = new Map<string, number>();
  const weight = (name: string, value: string): number => {
    const known = memo.get(`${name} ${value}`);
    if (known !== undefined) return known;
    const found = Math.log(share(canaries!, name, value) / share(shards!, name, value));
    memo.set(`${name} ${value}`, found);
    return found;
  };
  const guesses = asked.map(({ features, isCanary }) => ({
    isCanary,
    guess: names.reduce((sum, name) => sum + weight(name, features[name]!), 0) > 0,
  }));
  const rate = (is: boolean): number => {
    const those = guesses.filter(({ isCanary }) => isCanary === is);
    return those.filter(({ guess }) => guess === is).length / those.length;
  };
  return (rate(true) + rate(false)) / 2;
}

describe('canaries', () => {
  test.each([
    ['with deleted chunks', catalogOf(3000)],
    ['with none deleted', catalogOf(3000, 0)],
  ])('cannot be told from shards by anything that is sent: %s', async (_name, catalog) => {
    const seen = (await eras(catalog, 100, 16)).map(seenIn);
    const [learnt, asked] = [0, 1].map((half) => seen.filter((_, i) => i % 2 === half).flat());
    expect(asked!.filter(({ isCanary }) => isCanary).length).toBeGreaterThan(150);
    const names = Object.keys(asked![0]!.features);
    for (const name of names) {
      expect([name, accuracy(learnt!, asked!, [name]) < 0.58]).toEqual([name, true]);
    }
    expect(accuracy(learnt!, asked!, names)).toBeLessThan(0.6);
    // It would find what there is to be found.
    const marked = (all: readonly Seen[]): Seen[] =>
      all.map((one) => ({ ...one, features: { mark: String(one.isCanary) } }));
    expect(accuracy(marked(learnt!), marked(asked!), ['mark'])).toBe(1);
  });

  test('are met again by other monitors, and for a while in later eras', async () => {
    const catalog = catalogOf(60);
    const namesIn = (sent: readonly Sent[]): Set<string> =>
      new Set(
        sent.flatMap(({ logged }) =>
          logged.tasks.flatMap(({ provider, targets }) =>
            targets.flatMap(({ canary, chunk, index, root, length }) =>
              canary ? [[provider, chunk, index, root, length].join()] : [],
            ),
          ),
        ),
      );
    const sent = await eras(catalog, 100, 2);
    const [one, other] = [0, 1].map((i) => namesIn([sent[i]!]));
    expect([...one!].filter((name) => other!.has(name)).length).toBeGreaterThan(one!.size / 4);
    const [now, next] = [namesIn(sent.slice(0, 3)), namesIn(sent.slice(3))];
    expect([...now].filter((name) => next.has(name)).length).toBeGreaterThan(now.size / 2);
    const later = namesIn(await eras(catalog, 100 + 200, 1));
    expect([...now].filter((name) => later.has(name)).length).toBeLessThan(now.size / 2);
  });

  test.each([
    ['with deleted chunks', catalogOf(2000)],
    ['with none deleted', catalogOf(2000, 0)],
  ])(
    'bear no name of a chunk whose shards have another length, where there is another: %s',
    async (_, catalog) => {
      const lengthOf = async (id: string): Promise<number | undefined> => {
        const record = await catalog.get(id);
        return record && chunkLayout(record.length, record.profile, record.cell).shardLength;
      };
      let [all, other] = [0, 0];
      for (const { logged } of await eras(catalog, 5, 4)) {
        for (const { canary, chunk, length } of logged.tasks.flatMap(({ targets }) => targets)) {
          if (canary === undefined) continue;
          const run = '0123456789abcdef'.split('').map((digit) => chunk.slice(0, -1) + digit);
          const lengths = await Promise.all(run.map(lengthOf));
          // Its model is one of the run: a second one of that length, or one that is gone, could lend its name.
          const isPossible =
            lengths.filter((one) => one === length).length > 1 || lengths.some((one) => one === undefined);
          if (!isPossible) continue;
          all += 1;
          if (((await lengthOf(chunk)) ?? length) !== length) other += 1;
        }
      }
      expect(all).toBeGreaterThan(50);
      expect(other).toBe(0);
    },
  );

  test('are nothing that their provider holds, and have ids that chunks had where there are such', async () => {
    const catalog = catalogOf(3000);
    let gone = 0;
    let all = 0;
    for (const { logged } of await eras(catalog, 5, 2)) {
      for (const { provider, targets } of logged.tasks) {
        for (const { canary, chunk, index } of targets) {
          if (canary === undefined) continue;
          const record = await catalog.get(chunk);
          expect(record?.shards[index]?.provider).not.toBe(provider);
          all += 1;
          if (record === undefined) gone += 1;
        }
      }
    }
    expect(gone / all).toBeGreaterThan(0.9);
  });
});
