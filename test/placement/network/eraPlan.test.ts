import { describe, expect, test } from 'vitest';
import { createHasher } from '#erasure';
import { challengeOf } from '../../../placement/network/beacon.ts';
import { Canaries } from '../../../placement/network/canaries.ts';
import { committeeOf } from '../../../placement/network/committee.ts';
import { planEra, type EraPlanInputs, type PlannedAssignment } from '../../../placement/network/eraPlan.ts';
import { grantSchema } from '../../../placement/network/grants.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { assignmentSchema, type Assignment } from '../../../placement/network/messages.ts';
import { ShardSample } from '../../../placement/network/shardSample.ts';
import { openStatement } from '../../../placement/network/signed.ts';
import { independentGroups } from '../../../placement/oracle/groups.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import type { MonitorRecord, ProviderRecord } from '../../../placement/oracle/types.ts';
import { seededRandom } from '../../../placement/time.ts';
import type { ChunkCatalog, ChunkRecord } from '../../../placement/types.ts';

const hasher = createHasher();
const gateway = createIdentity();
const BEACON = 'b'.repeat(64);
const CLOSES_AT = 1_800_000_000_000;
const name = (text: string): string =>
  Buffer.from(hasher.hash(Buffer.from(text)))
    .toString('hex')
    .slice(0, 32);

function monitor(number: number): MonitorRecord {
  const id = name(`monitor ${number}`);
  return {
    id,
    operator: `operator-${number}`,
    networkPrefix: `prefix-${number}`,
    state: 'active',
  } as MonitorRecord;
}

/** Providers that hold `shards` shards of 1 to 64 leaves, and a catalog that knows them. */
function network(providers: number, shards: number, monitors: number): EraPlanInputs {
  const records = new Map<string, ChunkRecord>();
  const planned = Array.from({ length: providers }, (_, number) => {
    const id = name(`provider ${number}`);
    const sample = new ShardSample(1000);
    for (let i = 0; i < shards; i++) {
      const chunk = name(`chunk ${number} ${i}`);
      const root = hasher.hash(Buffer.from(chunk));
      sample.add(i, Buffer.from(chunk, 'hex'), i % 6, 16_384 * (1 + (i % 64)));
      if (i % 10 === 5) sample.add(i + 0.5, Buffer.from(chunk, 'hex'), i % 6, 16_384 * (1 + (i % 64)), true);
      records.set(chunk, {
        id: chunk,
        shards: Array.from({ length: 6 }, () => ({ provider: id, root })),
      } as never);
    }
    const description = { endpoint: `http://127.0.0.1:${10_000 + number}`, storageClass: 'ssd' };
    const record = { id, publicKey: createIdentity().publicKey, description } as ProviderRecord;
    return { record, holding: { shards, bytes: 0, sample: sample.seal() }, clockOffsetMs: 5000 };
  });
  return {
    gateway,
    era: 7,
    beacon: BEACON,
    closesAt: CLOSES_AT,
    parameters: ORACLE_DEFAULTS,
    providers: planned,
    monitors: Array.from({ length: monitors }, (_, number) => monitor(number)),
    catalog: { get: async (id: string) => records.get(id), list: async () => [] } as unknown as ChunkCatalog,
    canaries: new Canaries(Buffer.alloc(32, 1), 7, ORACLE_DEFAULTS.canaryShare),
    random: seededRandom(5),
  };
}

async function plan(
  inputs: EraPlanInputs,
): Promise<(PlannedAssignment & { readonly assignment: Assignment })[]> {
  const planned = [];
  for await (const one of planEra(inputs)) {
    planned.push({ ...one, assignment: openStatement(one.signed, 'assignment', assignmentSchema).value });
  }
  return planned;
}

describe('era plan', () => {
  test.each([
    [1, 20],
    [3, 7],
    [7, 3],
    [20, 3],
  ])(
    '%i monitors make so many challenges at every provider that %i each are of shards',
    async (monitors, each) => {
      const inputs = network(4, 10, monitors);
      const { canaryShare } = inputs.providers[0]!.holding.sample;
      let [real, all] = [0, 0];
      for (const { logged } of await plan(inputs)) {
        expect(logged.tasks).toHaveLength(4);
        for (const { targets } of logged.tasks) {
          // No more and no fewer where there are canaries: their number would show them.
          expect(targets).toHaveLength(Math.ceil(each / (1 - canaryShare)));
          real += targets.filter(({ canary }) => canary === undefined).length;
          all += targets.length;
        }
      }
      expect(real / all).toBeGreaterThan(0.75);
      expect(real).toBeLessThan(all);
    },
  );

  test('what is sent is what is promised and logged, but for the canaries’ mark', async () => {
    for (const { signed, logged, assignment } of await plan(network(5, 10, 3))) {
      expect(Buffer.from(hasher.hash(Buffer.from(signed.body))).toString('hex')).toBe(logged.hash);
      expect(signed.body).not.toContain('canary');
      const sent = assignment.tasks.map(({ provider, targets }) => ({
        provider,
        targets: targets.map(({ grant: _grant, ...target }) => target),
      }));
      const kept = logged.tasks.map(({ provider, targets }) => ({
        provider,
        targets: targets.map(({ canary: _canary, ...target }) => target),
      }));
      expect(sent).toEqual(kept);
    }
  });

  test('every target has a grant for its monitor, its shard and its time by the provider’s clock', async () => {
    const inputs = network(3, 64, 2);
    for (const { assignment, logged } of await plan(inputs)) {
      for (const { provider, targets, throughput } of assignment.tasks) {
        for (const { grant, chunk, index } of targets) {
          expect(grantOf(grant)).toMatchObject({
            op: 'prove',
            holder: logged.monitor,
            provider,
            shard: `${chunk}.${index}`,
            size: 0,
            expires: CLOSES_AT + 65_000,
          });
        }
        expect(throughput!.first + throughput!.count).toBeLessThanOrEqual(
          Math.ceil(throughput!.length / 16_384),
        );
        expect(grantOf(throughput!.grant)).toMatchObject({ op: 'get', size: throughput!.count });
      }
    }
  });

  test('throughput is not measured by shards that are too short for it', async () => {
    for (const { assignment } of await plan(network(3, 10, 2))) {
      expect(assignment.tasks.map(({ throughput }) => throughput)).toEqual([undefined, undefined, undefined]);
    }
  });

  test('the challenge picks shard and leaf; nobody else has a say', async () => {
    const inputs = network(3, 40, 3);
    const [one, other] = [await plan(inputs), await plan({ ...inputs, random: seededRandom(99) })];
    const picks = (planned: typeof one): Map<string, string> =>
      new Map(
        planned.flatMap(({ logged }) =>
          logged.tasks.flatMap(({ provider, targets }) =>
            targets.flatMap(({ canary, chunk, leaf }, i) =>
              canary
                ? []
                : [[challengeOf(BEACON, 7, provider, logged.monitor, i), `${chunk} ${leaf}`] as const],
            ),
          ),
        ),
      );
    const [mine, theirs] = [picks(one), picks(other)];
    const shared = [...mine.keys()].filter((challenge) => theirs.has(challenge));
    expect(shared.length).toBeGreaterThan(30);
    for (const challenge of shared) expect(mine.get(challenge)).toBe(theirs.get(challenge));
  });

  test('shards come up by their bytes', async () => {
    const inputs = network(200, 64, 1);
    const counts = { short: 0, long: 0 };
    for (const { logged } of await plan(inputs)) {
      for (const { targets } of logged.tasks) {
        for (const { canary, length } of targets) {
          if (!canary) counts[length > 32 * 16_384 ? 'long' : 'short'] += 1;
        }
      }
    }
    // Shards of 33 to 64 leaves have 1552 of 2080: 74.6 %. Of 4000 picks, ±3 % is more than four standard deviations.
    expect(counts.long / (counts.long + counts.short)).toBeGreaterThan(0.716);
    expect(counts.long / (counts.long + counts.short)).toBeLessThan(0.776);
  });

  test('canaries are drawn like shards, and every monitor has one', async () => {
    const inputs = network(30, 20, 3);
    const planned = await plan(inputs);
    const all = planned.flatMap(({ logged }) => logged.tasks.flatMap(({ targets }) => targets));
    const canaries = all.filter(({ canary }) => canary !== undefined);
    const { canaryShare } = inputs.providers[0]!.holding.sample;
    expect(canaries.length / all.length).toBeGreaterThan(canaryShare - 0.04);
    expect(canaries.length / all.length).toBeLessThan(canaryShare + 0.04);
    // Two stand at each provider, and all monitors meet the same.
    expect(new Set(canaries.map(({ chunk, index }) => `${chunk}.${index}`)).size).toBeLessThanOrEqual(60);
    for (const { chunk, root } of canaries) {
      expect(canaries.find((other) => other.chunk === chunk)!.root).toBe(root);
    }
    for (const { logged } of await plan(network(3, 2, 3))) {
      const targets = logged.tasks.flatMap((task) => task.targets);
      expect(targets.filter(({ canary }) => canary)).toHaveLength(1);
    }
  });

  test('with nothing stored there is still a canary for every monitor', async () => {
    for (const { logged, assignment } of await plan(network(3, 0, 2))) {
      const targets = logged.tasks.flatMap((task) => task.targets);
      expect(targets.map(({ canary }) => canary)).toEqual(['missing']);
      expect(assignment.tasks.every(({ throughput }) => throughput === undefined)).toBe(true);
    }
  });

  test('a shard that was moved since it was counted is not asked for', async () => {
    const inputs = network(2, 5, 2);
    const catalog = { get: async () => undefined, list: async () => [] } as unknown as ChunkCatalog;
    for (const { logged } of await plan({ ...inputs, catalog })) {
      const targets = logged.tasks.flatMap((task) => task.targets);
      expect(targets.every(({ canary }) => canary === 'missing')).toBe(true);
    }
  });
});

describe('committee', () => {
  test('of many monitors has one of each group first', () => {
    const monitors = Array.from({ length: 60 }, (_, i) => ({
      ...monitor(i),
      operator: `operator-${i % 10}`,
    }));
    const groups = independentGroups(monitors);
    const committees = ['a', 'b', 'c'].map((provider) => committeeOf(provider, monitors, groups, BEACON));
    for (const committee of committees) {
      expect(committee).toHaveLength(21);
      expect(new Set(committee.map(({ id }) => id)).size).toBe(21);
      expect(new Set(committee.slice(0, 10).map(({ operator }) => operator)).size).toBe(10);
    }
    expect(committees[0]).not.toEqual(committees[1]);
    expect(committeeOf('a', monitors, groups, BEACON)).toEqual(committees[0]);
  });
});

function grantOf(text: string): unknown {
  return grantSchema.parse(JSON.parse(Buffer.from(text.split('.')[0]!, 'base64url').toString()));
}
