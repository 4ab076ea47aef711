/**
 * A demonstration network on this machine: a gateway, twelve provider daemons in three regions and seven HyperNodes, each a process of its
 * own, with short eras. It writes and reads objects all the while and shows the scores as they come.
 *
 *     npm run network -- [--era 10] [--misbehave] [--minutes 5]          --help says more
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import type { ProviderSummary } from '#placement';
import { provenOf, timelyOf } from '../gateway/commands/network.ts';
import { percent, table } from '../gateway/commands/shared.ts';
import { honestMonitors, honestProviders, startNetwork } from '../test/support/network/network.ts';
import type { Network, ProviderPlan } from '../test/support/network/network.ts';
import { clientOf } from '../test/support/server.ts';

const MIB = 1024 * 1024;
const HELP = `npm run network -- [flags]

Starts a gateway, twelve providers in three regions and seven HyperNodes on this machine, each a process of its own on free
loopback ports with its data in a temporary folder. Writes and reads objects all the while, and shows the providers' scores
whenever an era has closed. Ctrl-C ends it and removes the folder.

  --era <seconds>     length of an era (default 10)
  --misbehave         six of the twelve have a vice: one loses shards, one serves wrong bytes, one is slow, one is down half
                      of the time, one claims more room than it has, one fetches what it is asked for from elsewhere
  --minutes <n>       ends by itself after so long (default: never)
  -h, --help          shows this`;

const values = flags();
const eraSeconds = atLeastOne('--era', values.era);
const end =
  values.minutes === undefined ? Infinity : Date.now() + atLeastOne('--minutes', values.minutes) * 60_000;
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());

function flags() {
  try {
    const { values: given } = parseArgs({
      options: {
        era: { type: 'string', default: '10' },
        misbehave: { type: 'boolean', default: false },
        minutes: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (!given.help) return given;
    say(HELP);
    process.exit(0);
  } catch (error) {
    return wrongUse((error as Error).message);
  }
}

function atLeastOne(flag: string, text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 1
    ? value
    : wrongUse(`${flag} takes a whole number, at least 1; got '${text}'`);
}

function wrongUse(why: string): never {
  process.stderr.write(`${why}\n\n${HELP}\n`);
  process.exit(2);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Six of the twelve, each with a vice of its own. */
function withVices(providers: ProviderPlan[]): ProviderPlan[] {
  const vices: NonNullable<ProviderPlan['misbehaviour']>[] = [
    { kind: 'drops', share: 0.05 },
    { kind: 'corrupts', share: 0.2 },
    { kind: 'slow', ms: 600 },
    { kind: 'flaps', periodMs: eraSeconds * 1000 },
    { kind: 'overclaims', realBytes: 16 * MIB },
    { kind: 'outsources', ms: 1500 },
  ];
  return providers.map((provider, index) => {
    const misbehaviour = index % 2 === 1 ? vices[(index - 1) / 2] : undefined;
    return misbehaviour ? { ...provider, misbehaviour } : provider;
  });
}

const plans = values.misbehave ? withVices(honestProviders()) : honestProviders();
say(`Starting a gateway, ${plans.length} providers and 7 HyperNodes; an era lasts ${eraSeconds} s`);
const network = await startNetwork({ eraSeconds, providers: plans, monitors: honestMonitors(), onLine: say });
say(`S3 at ${network.server.endpoint}, admin at ${network.server.adminUrl}`);
say(`Operators’ commands: SHARDWAY_DATA=${network.server.data} npm run shardway -- providers list`);
say('Ctrl-C ends it');
const traffic = { puts: 0, gets: 0, failed: 0 };
const client = clientOf(network.server);
const working = work(client);
await show(network);
stopping.abort();
await working;
await network.stop();

async function work(s3: S3Client): Promise<void> {
  const { signal } = stopping;
  await s3.send(new CreateBucketCommand({ Bucket: 'demo' }));
  const bodies = new Map<string, Buffer>();
  for (let number = 0; !signal.aborted; number++) {
    const key = `object-${number % 400}`;
    const body = randomBytes(64 * 1024 + (number % 8) * 128 * 1024);
    try {
      await s3.send(new PutObjectCommand({ Bucket: 'demo', Key: key, Body: body }));
      traffic.puts++;
      bodies.set(key, body);
      const [read, expected] = [...bodies][(number * 7) % bodies.size]!;
      const got = await s3.send(new GetObjectCommand({ Bucket: 'demo', Key: read }));
      const bytes = await got.Body!.transformToByteArray();
      if (!expected.equals(bytes)) throw new Error(`${read} came back wrong`);
      traffic.gets++;
    } catch (error) {
      traffic.failed++;
      say(`A request failed: ${String(error)}`);
    }
    await sleep(50);
  }
}

async function show(running: Network): Promise<void> {
  for (let shown = -1; !stopping.signal.aborted && Date.now() < end;) {
    const { era } = await running.overview();
    if (era !== shown) {
      shown = era;
      say(`\nEra ${era}: ${traffic.puts} objects written, ${traffic.gets} read, ${traffic.failed} failed`);
      say(providersTable(await running.summaries()));
    }
    await sleep(500, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
}

function providersTable(list: readonly ProviderSummary[]): string {
  const vices = new Map(network.providers.map(({ id }, index) => [id, plans[index]?.misbehaviour?.kind]));
  const rows = list.map((one) => [
    one.id.slice(0, 8),
    one.description.region,
    vices.get(one.id) ?? '',
    one.state,
    percent(one.placementScore),
    percent(one.last?.components.availability),
    percent(provenOf(one)),
    percent(timelyOf(one)),
    ...(['latency', 'throughput', 'capacity'] as const).map((part) => percent(one.last?.components[part])),
    String(one.shards),
    one.last?.reason ?? one.reason,
  ]);
  const head = 'PROVIDER,REGION,VICE,STATE,SCORE,AVAIL,INTEGR,TIMELY,LATENCY,THROUGH,CAPAC,SHARDS,WHY';
  return table([head.split(','), ...rows]);
}
