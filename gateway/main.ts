import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { AdminClient, NoGatewayError } from './admin/client.ts';
import type { GatewayStatus, JobReport, KeyInfo } from './admin/types.ts';
import { startGateway } from './app.ts';
import { CredentialError } from './auth/secrets.ts';
import { banner } from './banner.ts';
import { ConfigError, SETTINGS, dataFolder, readConfig } from './config.ts';
import type { Flags, Setting, SettingName } from './config.ts';
import { progressView } from './progress.ts';

/** Exit codes: 0 done and well; 1 done, and something is wrong with the data; 2 wrong use; 3 no gateway to ask; 4 failed. */
const EXIT = { ok: 0, unhealthy: 1, usage: 2, noGateway: 3, failed: 4 } as const;

/** Longest time that requests under way may take to finish after SIGTERM. */
const DRAIN_MS = 30_000;

interface OutputOptions {
  readonly data?: string;
  readonly json?: boolean;
}

function version(): string {
  const text = readFileSync(
    new URL(import.meta.filename.endsWith('.ts') ? '../package.json' : '../../package.json', import.meta.url),
    'utf8',
  );
  return (JSON.parse(text) as { version: string }).version;
}

function program(done: (code: number) => void): Command {
  const flags: Flags = {};
  const root = new Command('shardway')
    .description('S3-compatible object storage gateway over erasure-coded, independent providers')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(--help shows what there is)');
  const serve = root.command('serve').description('start the gateway');
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, Setting][]) {
    if (setting.flag === undefined) continue;
    const fallback = setting.fallback === undefined ? '' : `, default ${setting.fallback}`;
    serve.addOption(
      new Option(
        `--${setting.flag} <${setting.placeholder}>`,
        `${setting.help} (${setting.env}${fallback})`,
      ).argParser((value: string) => {
        flags[name] = value;
        return value;
      }),
    );
  }
  serve.addHelpText(
    'after',
    `\nOnly in the environment, because other users can read a command line:\n${environmentOnly()}`,
  );
  serve.action(async () => done(await serveCommand(flags)));

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
  keyCommands(root.command('key').description('manage further access keys'), done);
  return root;
}

function keyCommands(key: Command, done: (code: number) => void): void {
  const on =
    (act: (client: AdminClient, name: string) => Promise<unknown>, text: (result: unknown) => string) =>
    async (name: string | undefined, options: OutputOptions): Promise<void> => {
      const result = await act(await connect(options), name ?? '');
      const said = text(result);
      const shown = result ?? { accessKey: name, result: said.trim() };
      process.stdout.write(options.json === true ? `${JSON.stringify(shown, undefined, 2)}\n` : said);
      done(EXIT.ok);
    };
  const pair = (result: unknown): string => {
    const { accessKey, secretKey } = result as { accessKey: string; secretKey: string };
    return `Access key  ${accessKey}\nSecret key  ${secretKey}\n            shown this once\n`;
  };
  const table = (result: unknown): string =>
    (result as KeyInfo[])
      .map(
        (info) =>
          `${info.accessKey}  ${info.enabled ? 'enabled ' : 'disabled'}  ${info.displayName}${info.root ? ' (root)' : ''}\n`,
      )
      .join('');
  const list = on((client) => client.keys(), table);
  withOutput(key.command('list').description('list them')).action(
    async (options: OutputOptions) => await list(undefined, options),
  );
  withOutput(key.command('create <name>').description('make one and print its secret')).action(
    on((client, name) => client.createKey(name), pair),
  );
  withOutput(key.command('disable <access-key>').description('refuse it from now on')).action(
    on(
      (client, name) => client.enableKey(name, false),
      () => 'disabled\n',
    ),
  );
  withOutput(key.command('enable <access-key>').description('accept it again')).action(
    on(
      (client, name) => client.enableKey(name, true),
      () => 'enabled\n',
    ),
  );
  withOutput(key.command('remove <access-key>').description('forget it')).action(
    on(
      (client, name) => client.removeKey(name),
      () => 'removed\n',
    ),
  );
}

async function connect(options: OutputOptions): Promise<AdminClient> {
  return await AdminClient.connect(dataFolder(options.data === undefined ? {} : { data: options.data }));
}

function withOutput(command: Command): Command {
  return command
    .option(
      '--data <folder>',
      `data folder of the running gateway (${SETTINGS.data.env}, default ${SETTINGS.data.fallback})`,
    )
    .option('--json', 'print the result as JSON and no progress')
    .addHelpText(
      'after',
      '\nExit codes: 0 all is well; 1 something is wrong with the data; 2 wrong use; 3 no gateway is running; 4 failed',
    );
}

function environmentOnly(): string {
  const settings: Setting[] = Object.values(SETTINGS);
  return settings
    .filter(({ flag }) => flag === undefined)
    .map(({ env, help }) => `  ${env}  ${help}`)
    .join('\n');
}

async function serveCommand(flags: Flags): Promise<number> {
  const gateway = await startGateway(readConfig(flags), version());
  process.stdout.write(banner(gateway.summary));
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  process.stderr.write('Finishing the requests under way; a second signal ends at once\n');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.failed));
  await gateway.stop(DRAIN_MS);
  return EXIT.ok;
}

async function statusCommand(options: OutputOptions): Promise<number> {
  const client = await AdminClient.connect(
    dataFolder(options.data === undefined ? {} : { data: options.data }),
  );
  const status = await client.status();
  process.stdout.write(
    options.json === true ? `${JSON.stringify(status, undefined, 2)}\n` : formatStatus(status),
  );
  return status.writable && status.chunksAwaitingRepair === 0 ? EXIT.ok : EXIT.unhealthy;
}

async function jobCommand(
  job: string,
  jobOptions: Record<string, unknown>,
  options: OutputOptions,
): Promise<number> {
  const client = await AdminClient.connect(
    dataFolder(options.data === undefined ? {} : { data: options.data }),
  );
  const view = progressView(options.json === true);
  let report: JobReport;
  try {
    report = await client.run(job, jobOptions, (progress) => view.update(progress));
  } finally {
    view.stop();
  }
  process.stdout.write(
    options.json === true ? `${JSON.stringify(report, undefined, 2)}\n` : `${report.summary}\n`,
  );
  return report.ok ? EXIT.ok : EXIT.unhealthy;
}

function formatStatus(status: GatewayStatus): string {
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  const lines = [
    `Shardway ${status.version} at ${status.endpoint}, up ${Math.round(status.uptimeSeconds)} s`,
    `region ${status.region}, profile ${status.profile}, metadata ${status.metadata}, ${status.buckets} buckets`,
    `${status.writable ? 'Writable' : 'NOT writable: too few usable providers'}: a write needs ${status.writeQuorum} durable shards`,
    `${status.chunksAwaitingRepair} chunks await repair`,
    'Providers:',
    ...status.providers.map(
      (provider) =>
        `  ${provider.id}  ${provider.state}${provider.writable ? '' : ' (no writes)'}  ${gigabytes(provider.freeBytes)} free of ${gigabytes(provider.capacityBytes)}  ${provider.endpoint}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

async function main(): Promise<number> {
  let code: number = EXIT.ok;
  try {
    await program((value) => (code = value)).parseAsync(process.argv);
  } catch (error) {
    code = report(error);
  }
  return code;
}

function report(error: unknown): number {
  if (error instanceof ConfigError || (error instanceof CredentialError && error.kind === 'WeakSecret')) {
    process.stderr.write(`shardway: ${error.message}\n`);
    return EXIT.usage;
  }
  if (error instanceof NoGatewayError) {
    process.stderr.write(`shardway: ${error.message}\n`);
    return EXIT.noGateway;
  }
  if (error instanceof Error && 'code' in error && String(error.code).startsWith('commander.')) {
    return (error as Error & { exitCode?: number; code?: unknown }).exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  process.stderr.write(`shardway: ${error instanceof Error ? error.message : String(error)}\n`);
  return EXIT.failed;
}

process.exitCode = await main();
