import type { Command } from 'commander';
import type { JobReport } from '../admin/types.ts';
import { progressView } from '../progress.ts';
import { repairText } from './repairText.ts';
import { EXIT, connect, print, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';
import { statusText } from './statusText.ts';

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
  print(status, statusText(status), options);
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
  print(report, job === 'repair' ? repairText(report) : report.summary, options);
  return report.ok ? EXIT.ok : EXIT.unhealthy;
}
