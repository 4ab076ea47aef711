/**
 * GETs beside faults: twelve provider daemons, of which one is killed and another becomes slow while clients read. Prints and keeps the p99
 * against the healthy one of the same run, and how many more shards were asked for.
 *
 *     npm run bench:faults -- [--seconds 20] [--clients 8] [--slow-ms 5000] [--rounds 3]
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { table } from '../gateway/commands/shared.ts';
import { honestProviders, startNetwork } from '../test/support/network/network.ts';
import type { Network } from '../test/support/network/network.ts';
import { clientOf } from '../test/support/server.ts';
import { machineLine, median } from './machine.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    clients: { type: 'string', default: '8' },
    'slow-ms': { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '3' },
  },
});
const OBJECTS = 500;
const OBJECT_BYTES = 1_000_000;
const slowMs = Number(values['slow-ms']);

interface Phase {
  readonly latenciesMs: number[];
  failures: number;
  /** Shards asked for, per GET. */
  shardReads: number;
}

async function round(): Promise<{ healthy: Phase; leaving: Phase; faulty: Phase; moved: string }> {
  const providers = honestProviders().map((one, index) =>
    index === 1 ? { ...one, misbehaviour: { kind: 'slows', ms: slowMs } as const } : one,
  );
  const network = await startNetwork({ eraSeconds: 3600, providers, monitors: [] });
  try {
    const client = clientOf(network.server);
    await fill(client);
    await phase(network, client, 5);
    const healthy = await phase(network, client, Number(values.seconds));
    const leaver = network.providers.at(-1)!.id;
    await network.command(leaver, 'exit');
    const leaving = await phase(network, client, Number(values.seconds));
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
    const faulty = await phase(network, client, Number(values.seconds));
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
async function phase(network: Network, client: S3Client, seconds: number): Promise<Phase> {
  const result: Phase = { latenciesMs: [], failures: 0, shardReads: 0 };
  const before = await shardReads(network);
  const end = performance.now() + seconds * 1000;
  const lanes = Array.from({ length: Number(values.clients) }, async (_, lane) => {
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

const rows: string[][] = [];
const ratios: number[] = [];
const leavingRatios: number[] = [];
for (let number = 1; number <= Number(values.rounds); number++) {
  process.stderr.write(`Round ${number} of ${values.rounds}\n`);
  const { healthy, leaving, faulty, moved } = await round();
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
writeFileSync(
  join(import.meta.dirname, 'results/faults.md'),
  `# GET beside faults

\`npm run bench:faults -- --seconds ${values.seconds} --clients ${values.clients} --slow-ms ${slowMs} --rounds ${values.rounds}\`: twelve provider daemons (4+2), ${OBJECTS} objects of ${OBJECT_BYTES} bytes; first all well, then one provider
leaves for good (its shards are moved), then one daemon is killed and another slowed to ${slowMs} ms; each phase from the moment of the event on, ${values.seconds} s.
Median ratios of p99 to the healthy one: ${median(leavingRatios).toFixed(2)}x while one leaves, ${median(ratios).toFixed(2)}x with the faults.

${lines.join('\n')}

${machineLine}; load on the same cores.
`,
);
