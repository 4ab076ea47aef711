import type { Command } from 'commander';
import type { GatewayStatus, JobReport } from '../admin/types.ts';
import { progressView } from '../progress.ts';
import { EXIT, connect, gigabytes, percent, print, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';

/** `shardway status`, `repair`, `check`, `rebalance`: the running gateway as a whole. */
export function gatewayCommands(root: Command, done: Done): void {
  withOutput(
    root.command('status').description('show the running gateway, its providers and what awaits repair'),
  ).action(async (options: OutputOptions) => done(await statusCommand(options)));
  withOutput(
    root
      .command('repair')
      .description('find missing and damaged shards of every chunk and restore full redundancy')
      .option('--shallow', 'only check that shards exist, without reading them'),
  ).action(async (options: OutputOptions & { shallow?: boolean }) =>
    done(await jobCommand('repair', { deep: options.shallow !== true }, options)),
  );
  withOutput(
    root
      .command('check')
      .description('read and verify every object version end to end, and every shard of every chunk'),
  ).action(async (options: OutputOptions) => done(await jobCommand('check', {}, options)));
  withOutput(
    root.command('rebalance').description('move shards from full providers to emptier ones, slowly'),
  ).action(async (options: OutputOptions) => done(await jobCommand('rebalance', {}, options)));
}

async function statusCommand(options: OutputOptions): Promise<number> {
  const status = await (await connect(options)).status();
  print(status, formatStatus(status), options);
  return status.writable && status.chunksAwaitingRepair === 0 ? EXIT.ok : EXIT.unhealthy;
}

async function jobCommand(
  job: string,
  jobOptions: Record<string, unknown>,
  options: OutputOptions,
): Promise<number> {
  const client = await connect(options);
  const view = progressView(options.json === true);
  let report: JobReport;
  try {
    report = await client.run(job, jobOptions, (progress) => view.update(progress));
  } finally {
    view.stop();
  }
  print(report, report.summary, options);
  return report.ok ? EXIT.ok : EXIT.unhealthy;
}

function formatStatus(status: GatewayStatus): string {
  const { durability } = status;
  return [
    `Shardway ${status.version} at ${status.endpoint}, up ${Math.round(status.uptimeSeconds)} s`,
    `region ${status.region}, profile ${status.profile}, metadata ${status.metadata}, ${status.buckets} buckets`,
    `${status.writable ? 'Writable' : 'NOT writable: too few usable providers'}: a write needs ${status.writeQuorum} durable shards`,
    `${status.chunksAwaitingRepair} chunks await repair`,
    ...(durability === undefined ? [] : durabilityLines(durability)),
    'Providers:',
    ...status.providers.map(
      (provider) =>
        `  ${provider.id}  ${provider.state}${provider.writable ? '' : ' (no writes)'}  score ${percent(provider.score)}  ${gigabytes(provider.freeBytes)} free of ${gigabytes(provider.capacityBytes)}  ${provider.endpoint}`,
    ),
  ].join('\n');
}

function durabilityLines(durability: NonNullable<GatewayStatus['durability']>): string[] {
  const { whole, byBucket, ageMs } = durability;
  const nines = (value: number): string => (value > 50 ? 'over 50' : value.toFixed(1));
  if (whole.chunks === 0) return ['Durability: nothing is stored yet'];
  return [
    `Durability: ${nines(whole.nines)} nines a chunk and year; expected loss ${whole.expectedLossBytes.toExponential(1)} bytes of ${gigabytes(whole.bytes)} a year; repair at ${whole.repairAt} of ${whole.profile.data + whole.profile.parity} shards${ageMs > 60_000 ? ` (as of ${Math.round(ageMs / 60_000)} min ago)` : ''}`,
    ...whole.worstDomain.map(
      ({ level, domain, chunks }) =>
        `  loss of the worst ${level} (${domain}): ${chunks === 0 ? 'every chunk stays readable' : `${chunks} chunks could not be read`}`,
    ),
    ...Object.entries(byBucket).map(
      ([bucket, one]) => `  bucket ${bucket}: ${nines(one.nines)} nines, ${gigabytes(one.bytes)}`,
    ),
  ];
}
