import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { NoGatewayError } from './admin/client.ts';
import { startGateway } from './app.ts';
import { CredentialError } from './auth/secrets.ts';
import { banner } from './banner.ts';
import { auditCommands } from './commands/audit.ts';
import { gatewayCommands } from './commands/gateway.ts';
import { keyCommands } from './commands/keys.ts';
import { networkCommands } from './commands/network.ts';
import { partyCommands } from './commands/parties.ts';
import { EXIT } from './commands/shared.ts';
import { ConfigError, SETTINGS, readConfig, unknownSettings } from './config.ts';
import type { Config, Flags, Setting, SettingName } from './config.ts';
import { onSignal, signalled } from './signals.ts';
import { LOST_DRAIN_MS, LOST_STOP_MS, runWorker } from './worker.ts';
import { startWorkers } from './workers.ts';

/** Longest time that requests under way may take to finish after SIGTERM. */
const DRAIN_MS = 30_000;

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

  gatewayCommands(root, done);
  networkCommands(root, done);
  partyCommands(root, done);
  auditCommands(root, done);
  keyCommands(root.command('key').description('manage further access keys'), done);
  return root;
}

function environmentOnly(): string {
  const settings: Setting[] = Object.values(SETTINGS);
  return settings
    .filter(({ flag }) => flag === undefined)
    .map(({ env, help }) => `  ${env}  ${help}`)
    .join('\n');
}

async function serveCommand(flags: Flags): Promise<number> {
  const config = readConfig(flags);
  if (cluster.isWorker) return await runWorker(config, version());
  for (const name of unknownSettings())
    process.stderr.write(`shardway: ${name} is no setting, it is ignored\n`);
  return config.workers > 1 ? await serveByWorkers(config) : await serveAlone(config);
}

async function serveAlone(config: Config): Promise<number> {
  let gateway = await startGateway(config, version());
  // Before the banner: whoever waits for that may send a signal at once.
  const asked = signalled(['SIGINT', 'SIGTERM', 'SIGHUP'], EXIT.failed);
  process.stdout.write(banner(gateway.summary));
  while ((await Promise.race([asked, gateway.lost])) === undefined) {
    process.stderr.write('This gateway was taken for dead, as after a long standstill: it starts anew\n');
    const stopped = gateway.stop(LOST_DRAIN_MS).then(() => true);
    if (!(await Promise.race([stopped, delay(LOST_STOP_MS, false)]))) {
      throw new Error('what was under way does not end: this gateway has to be started anew');
    }
    gateway = await startGateway(config, version());
  }
  await gateway.stop(DRAIN_MS);
  return EXIT.ok;
}

async function serveByWorkers(config: Config): Promise<number> {
  const workers = await startWorkers(config);
  if ('exitCode' in workers) return workers.exitCode;
  const asked = signalled(['SIGINT', 'SIGTERM'], EXIT.failed);
  let replacing: Promise<void> = Promise.resolve();
  onSignal(['SIGHUP'], () => {
    replacing = replacing.then(() => workers.replace(DRAIN_MS));
  });
  process.stdout.write(banner(workers.summary));
  await asked;
  await workers.stop(DRAIN_MS);
  return EXIT.ok;
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

const code = await main();
// A worker's channel to its parent would keep it alive.
if (cluster.isWorker) process.exit(code);
process.exitCode = code;
