import { createHash, randomBytes } from 'node:crypto';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { honestMonitors, honestProviders, startNetwork } from '../support/network/network.ts';
import type { Network, NetworkPlan } from '../support/network/network.ts';
import { clientOf } from '../support/server.ts';

const BUCKET = 'network';
const MINUTE = 60_000;
/** Long enough for seven monitors of twelve providers beside a gateway, all on two cores. */
const ERA_SECONDS = 8;

/** Objects written, each with its digest, and every failure a client saw. */
class Load {
  readonly #client: S3Client;
  readonly #digests = new Map<string, string>();
  readonly failures: string[] = [];
  reads = 0;
  #stop = false;
  #running: Promise<void> | undefined;

  constructor(network: Network) {
    this.#client = clientOf(network.server);
  }

  async open(): Promise<void> {
    await this.#client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  }

  async put(key: string, bytes: number): Promise<void> {
    const body = randomBytes(bytes);
    try {
      const answer = await this.#client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }));
      if (answer.ETag === undefined) throw new Error('no ETag');
      this.#digests.set(key, createHash('sha256').update(body).digest('hex'));
    } catch (error) {
      this.failures.push(`PUT ${key}: ${String(error)}`);
    }
  }

  async get(key: string): Promise<void> {
    try {
      const answer = await this.#client.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      const body = await answer.Body!.transformToByteArray();
      this.reads++;
      const digest = createHash('sha256').update(body).digest('hex');
      if (digest !== this.#digests.get(key)) this.failures.push(`GET ${key}: other bytes`);
    } catch (error) {
      this.failures.push(`GET ${key}: ${String(error)}`);
    }
  }

  async fill(count: number, bytes: number): Promise<void> {
    for (let at = 0; at < count; at += 4) {
      await Promise.all([0, 1, 2, 3].map((lane) => this.put(`object-${at + lane}`, bytes)));
    }
  }

  async readAll(): Promise<void> {
    for (const key of this.#digests.keys()) await this.get(key);
  }

  /** Writes new objects and reads old ones until `end`. */
  begin(): void {
    this.#stop = false;
    this.#running = (async () => {
      for (let number = 0; !this.#stop; number++) {
        await this.put(`running-${number % 200}`, 100_000);
        const keys = [...this.#digests.keys()];
        await this.get(keys[(number * 13) % keys.length]!);
        // Some load, not all there can be: twenty processes share the machine.
        await sleep(20);
      }
    })();
  }

  async end(): Promise<void> {
    this.#stop = true;
    await this.#running;
  }
}

/** Its providers are down for an era: after that some may be suspended for a while, and too little be left to write to. */
const STOPPED_REGION = 'north';

async function launched(plan: Partial<NetworkPlan>): Promise<Network> {
  return await startNetwork({
    eraSeconds: ERA_SECONDS,
    providers: honestProviders(),
    monitors: honestMonitors(),
    ...plan,
  });
}

describe('an honest network', () => {
  let network: Network;
  let load: Load;
  beforeAll(async () => {
    network = await launched({ env: { SHARDWAY_SURVIVE: 'region' } });
    load = new Load(network);
    await load.open();
    await load.fill(60, 300_000);
  }, 3 * MINUTE);
  afterAll(async () => {
    await load.end();
    await network.stop();
  }, MINUTE);

  async function allActive(what: string, score: number): Promise<void> {
    await network.until(
      what,
      async () =>
        (await network.summaries()).filter(
          ({ state, placementScore }) => state !== 'active' || (placementScore ?? 0) <= score,
        ),
      (behind) => behind.length === 0,
      300,
    );
  }

  test('scores come alive, are explained by component, and new shards follow them', async () => {
    await allActive('scores of all providers', 0.8);
    const list = await network.summaries();
    expect(list).toHaveLength(12);
    const detail = await network.detail(list[0]!.id);
    expect(detail.last?.groups).toHaveLength(7);
    expect(detail.last?.components.integrity).toBeGreaterThan(0.96);
    expect(detail.history.length).toBeGreaterThan(0);
    expect(detail.audits).toBeGreaterThanOrEqual(100);
  });

  test('a provider leaves under load: nothing is left there, full redundancy elsewhere, no failed request', async () => {
    const [leaving] = (await network.summaries())
      .filter(({ description }) => description.region !== STOPPED_REGION)
      .sort((a, b) => b.shards - a.shards);
    expect(leaving!.shards).toBeGreaterThan(10);
    load.begin();
    await network.command(leaving!.id, 'exit');
    await network.until(
      'the end of the exit',
      () => network.detail(leaving!.id),
      (seen) => seen.state === 'gone' && seen.shards === 0,
      480,
    );
    await load.end();
    expect(load.failures).toEqual([]);
    // A shard that came late in the load's last moment is looked after, too.
    await network.until(
      'the end of repairs',
      async () => (await network.server.admin('GET', '/v1/status')) as { chunksAwaitingRepair: number },
      ({ chunksAwaitingRepair }) => chunksAwaitingRepair === 0,
      120,
    );
    const check = JSON.parse((await network.server.command('check', '--json')).stdout) as {
      details: Record<string, number>;
    };
    expect(check.details).toMatchObject({ missingShards: 0, damagedShards: 0, badObjects: 0 });
  });

  test('every object reads while a whole region is stopped, and after it is back', async () => {
    const regions = honestProviders().map(({ region }) => region);
    const stopped = network.providers.filter((_, index) => regions[index] === STOPPED_REGION);
    for (const provider of stopped) provider.pause();
    await load.readAll();
    for (const provider of stopped) provider.resume();
    for (const provider of stopped) await provider.kill();
    await load.readAll();
    for (const provider of stopped) await provider.restart();
    await load.readAll();
    expect(load.failures).toEqual([]);
  });

  test('the log replays to the scores that stand, the ledger to its balances, and a flipped byte is found', async () => {
    const replayed = JSON.parse((await network.server.command('oracle', 'replay', '--json')).stdout) as {
      agree: boolean;
      eras: number;
      providers: Record<string, { placementScore: number; state: string }>;
    };
    expect(replayed.agree).toBe(true);
    expect(replayed.eras).toBeGreaterThan(3);
    expect(Object.keys(replayed.providers)).toHaveLength(12);
    const ledger = JSON.parse((await network.server.command('ledger', 'verify', '--json')).stdout) as {
      agree: boolean;
      eras: number;
    };
    expect(ledger).toMatchObject({ agree: true });
    expect(ledger.eras).toBeGreaterThan(3);

    const copy = await mkdtemp(join(tmpdir(), 'shardway-copy-'));
    try {
      await cp(join(network.server.data, 'network'), join(copy, 'network'), { recursive: true });
      await flipByte(join(copy, 'network', 'log'));
      const refused = network.server.command('oracle', 'replay', '--data', copy, '--json');
      await expect(refused).rejects.toThrow(/"agree": false/);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });
});

/** In the middle of the first segment of a log. */
async function flipByte(folder: string): Promise<void> {
  const segment = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort()[0]!;
  const bytes = await readFile(join(folder, segment));
  const at = bytes.length >> 1;
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(join(folder, segment), bytes);
}

describe('a network of vices', () => {
  const vices = [
    { kind: 'drops', share: 0.05 },
    { kind: 'corrupts', share: 0.2 },
    { kind: 'slow', ms: 600 },
    { kind: 'flaps', periodMs: ERA_SECONDS * 1000 },
    { kind: 'overclaims', realBytes: 4_000_000 },
    { kind: 'outsources', ms: 1500 },
  ] as const;
  let network: Network;
  let load: Load;
  beforeAll(async () => {
    const providers = honestProviders().map((one, index) => {
      const misbehaviour = vices[index];
      return misbehaviour === undefined ? one : { ...one, misbehaviour };
    });
    network = await launched({ providers, monitors: honestMonitors(5) });
    const [smeared, praised] = [network.providers[11]!.id, network.providers[1]!.id];
    const [, , , , , sixth, seventh] = honestMonitors(7);
    await network.addMonitor({ ...sixth!, dishonesty: { kind: 'smears', provider: smeared } });
    await network.addMonitor({ ...seventh!, dishonesty: { kind: 'praises', provider: praised } });
    await network.addMonitor({
      operator: 'yes-man',
      networkPrefix: '198.51.100.0/24',
      dishonesty: { kind: 'always-ok' },
    });
    load = new Load(network);
    await load.open();
    await load.fill(120, 200_000);
    load.begin();
  }, 3 * MINUTE);
  afterAll(async () => {
    await load.end();
    await network.stop();
  }, MINUTE);

  const CASES = [
    // A true share of 0.95 is so near the bound of 0.96 that chance decides how many audits it takes to be sure.
    ['one that drops 5 % of its shards', 0, 'integrity', ['degraded', 'disqualified']],
    ['one that serves wrong bytes', 1, 'integrity', ['disqualified']],
    ['one that answers slowly', 2, 'latency', ['degraded']],
    ['one that is down half of the time', 3, 'availability', ['suspended']],
    ['one that lies about its capacity', 4, 'capacity', ['degraded']],
    ['one that fetches what it is asked for from others', 5, 'integrity', ['suspended']],
  ] as const;
  test.each(CASES)('%s loses score there and is moved', async (_, index, component, states) => {
    const { id } = network.providers[index]!;
    const seen = await network.until(
      `${states.join(' or ')} for ${component}`,
      () => network.detail(id),
      (one) => (states as readonly string[]).includes(one.state),
      480,
    );
    const worst = seen.history.map((era) => era.components[component] ?? 1);
    expect(Math.min(...worst)).toBeLessThan(component === 'integrity' ? 0.985 : 0.8);
  });

  test('two colluding monitors move no verdict, and one that says yes to all is removed', async () => {
    const monitors = await network.until(
      'the removal of the yes-man',
      () => network.monitorRecords(),
      (seen) => seen.find(({ operator }) => operator === 'yes-man')?.state === 'removed',
      480,
    );
    expect(monitors.filter(({ state }) => state === 'active')).toHaveLength(7);
    const smeared = await network.detail(network.providers[11]!.id);
    expect(smeared.state).toBe('active');
    expect(smeared.placementScore).toBeGreaterThan(0.9);
    const praised = await network.detail(network.providers[1]!.id);
    expect(praised.state).toBe('disqualified');
  });

  test('clients have seen no error', async () => {
    await load.end();
    await load.readAll();
    expect(load.failures).toEqual([]);
    expect(load.reads).toBeGreaterThan(120);
  });
});
