/**
 * GETs beside faults: twelve provider daemons, of which one is killed and another becomes slow while clients read. Prints and keeps the p99
 * against the healthy one of the same run, and how many more shards were asked for: `npm run bench:faults`. Writes faults.md into
 * bench/results (--out).
 */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { table } from '../gateway/commands/shared.ts';
import { honestProviders, startNetwork } from '../test/support/network/network.ts';
import type { Network } from '../test/support/network/network.ts';
import { clientOf } from '../test/support/server.ts';
import { machineLine, median } from './machine.ts';
import { countOf } from './s3/options.ts';
import { runCommand, say } from './s3/progress.ts';
import { writeResults } from './s3/write.ts';

const OBJECTS = 500;
const OBJECT_BYTES = 1_000_000;
const HELP = `npm run bench:faults -- [options]

GETs from a network of twelve provider daemons: first all well, then while one provider leaves for good, then with one daemon killed
and another slow. Prints a table and writes faults.md.

  --seconds 20       of each of the three
  --clients 8        that read at a time
  --slow-ms 5000     by which the slow daemon answers later
  --rounds 3         of which the median ratios are reported
  --out folder       where results go; default: bench/results`;

interface FaultsOptions {
  readonly seconds: number;
  readonly clients: number;
  readonly slowMs: number;
  readonly rounds: number;
  readonly out: string;
}

function readFaultsOptions(args: string[]): FaultsOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '20' },
      clients: { type: 'string', default: '8' },
      'slow-ms': { type: 'string', default: '5000' },
      rounds: { type: 'string', default: '3' },
      out: { type: 'string', default: resolve(import.meta.dirname, 'results') },
    },
  });
  if (values.help) return undefined;
  return {
    seconds: countOf(values.seconds),
    clients: countOf(values.clients),
    slowMs: countOf(values['slow-ms']),
    rounds: countOf(values.rounds),
    out: resolve(values.out),
  };
}

interface Phase {
  readonly latenciesMs: number[];
  failures: number;
  /** Shards asked for, per GET. */
  shardReads: number;
}

interface Round {
  readonly healthy: Phase;
  readonly leaving: Phase;
  readonly faulty: Phase;
  readonly moved: string;
}

async function round({ seconds, clients, slowMs }: FaultsOptions): Promise<Round> {
  const providers = honestProviders().map((one, index) =>
    index === 1 ? { ...one, misbehaviour: { kind: 'slows', ms: slowMs } as const } : one,
  );
  const network = await startNetwork({ eraSeconds: 3600, providers, monitors: [] });
  try {
    const client = clientOf(network.server);
    await fill(client);
    await phase(network, client, clients, 5);
    const healthy = await phase(network, client, clients, seconds);
    const leaver = network.providers.at(-1)!.id;
    await network.command(leaver, 'exit');
    const leaving = await phase(network, client, clients, seconds);
    const { shardsAtStart = 0, shardsLeft = 0 } = (await network.detail(leaver)).leaving ?? {};
    const moved = `${shardsAtStart - shardsLeft} of ${shardsAtStart}`;
    await network.until(
      'the exit',
      () => network.detail(leaver),
      (seen) => seen.leaving?.shardsLeft === 0,
      300,
    );
    await network.providers[0]!.kill();
    process.kill(network.providers[1]!.pid, 'SIGUSR2');
    const faulty = await phase(network, client, clients, seconds);
    return { healthy, leaving, faulty, moved };
  } finally {
    await network.stop();
  }
}

async function fill(client: S3Client): Promise<void> {
  await client.send(new CreateBucketCommand({ Bucket: 'faults' }));
  for (let at = 0; at < OBJECTS; at++) {
    const Body = randomBytes(OBJECT_BYTES);
    await client.send(new PutObjectCommand({ Bucket: 'faults', Key: `object-${at}`, Body }));
  }
}

/** Reads from the first to the last second, the fault's own among them. */
async function phase(network: Network, client: S3Client, clients: number, seconds: number): Promise<Phase> {
  const result: Phase = { latenciesMs: [], failures: 0, shardReads: 0 };
  const before = await shardReads(network);
  const end = performance.now() + seconds * 1000;
  const lanes = Array.from({ length: clients }, async (_, lane) => {
    for (let number = lane * 37; performance.now() < end; number++) {
      const begun = performance.now();
      try {
        const Key = `object-${(number * 31) % OBJECTS}`;
        const { Body } = await client.send(new GetObjectCommand({ Bucket: 'faults', Key }));
        const bytes = await Body!.transformToByteArray();
        if (bytes.length !== OBJECT_BYTES) throw new Error('cut short');
        result.latenciesMs.push(performance.now() - begun);
      } catch {
        result.failures++;
      }
      await sleep(5);
    }
  });
  await Promise.all(lanes);
  result.shardReads = ((await shardReads(network)) - before) / result.latenciesMs.length;
  return result;
}

async function shardReads(network: Network): Promise<number> {
  const text = await (await fetch(`${network.server.adminUrl}/metrics`)).text();
  return [...text.matchAll(/^shardway_provider_call_duration_seconds_count\{.*kind="read".*\} (\d+)/gm)]
    .map((match) => Number(match[1]))
    .reduce((sum, count) => sum + count, 0);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

async function main(options: FaultsOptions): Promise<void> {
  const { seconds, clients, slowMs, rounds } = options;
  const rows: string[][] = [];
  const ratios: number[] = [];
  const leavingRatios: number[] = [];
  for (let number = 1; number <= rounds; number++) {
    say(`round ${number} of ${rounds}`);
    const { healthy, leaving, faulty, moved } = await round(options);
    const [before, during, after] = [healthy, leaving, faulty].map((one) =>
      quantile(one.latenciesMs, 0.99),
    ) as [number, number, number];
    ratios.push(after / before);
    leavingRatios.push(during / before);
    rows.push([
      String(number),
      String(healthy.latenciesMs.length),
      `${before.toFixed(1)} ms`,
      `${(during / before).toFixed(2)}x`,
      moved,
      String(faulty.latenciesMs.length),
      `${after.toFixed(1)} ms`,
      `${(after / before).toFixed(2)}x`,
      `${((faulty.shardReads / healthy.shardReads - 1) * 100).toFixed(1)} %`,
      String(healthy.failures + leaving.failures + faulty.failures),
    ]);
  }
  const head =
    'Round|GETs healthy|p99|p99 while one leaves|shards moved|GETs with faults|p99|Ratio|More shard reads|Failed'.split(
      '|',
    );
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  process.stdout.write(`${table([head, ...rows])}\n`);
  const report = `# GET beside faults

\`npm run bench:faults -- --seconds ${seconds} --clients ${clients} --slow-ms ${slowMs} --rounds ${rounds}\`: twelve provider daemons (4+2), ${OBJECTS} objects of ${OBJECT_BYTES} bytes; first all well, then one provider
leaves for good (its shards are moved), then one daemon is killed and another slowed to ${slowMs} ms; each phase from the moment of the event on, ${seconds} s.
Median ratios of p99 to the healthy one: ${median(leavingRatios).toFixed(2)}x while one leaves, ${median(ratios).toFixed(2)}x with the faults.

${lines.join('\n')}

${machineLine}; load on the same cores.
`;
  await writeResults(options.out, { 'faults.md': report });
}

await runCommand(HELP, () => readFaultsOptions(process.argv.slice(2)), main);
