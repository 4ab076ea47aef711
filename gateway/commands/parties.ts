import { join } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { readStated, startHyperNode, startProvider, systemClock, systemRandom } from '#placement';
import type { Stated } from '#placement';
import { ConfigError, joinToken } from '../config.ts';
import { readTls } from '../listening.ts';
import { createLog } from '../log.ts';
import { signalled } from '../signals.ts';
import { addressOf, originOf, tokenOf } from './partyFlags.ts';
import { EXIT } from './shared.ts';
import type { Done } from './shared.ts';
import { monitorStatement, providerStatement } from './statement.ts';
import type { MonitorStatementFlags, ProviderStatementFlags } from './statement.ts';

interface PartyFlags {
  readonly data: string;
  readonly gateway: string;
  readonly token?: string;
  readonly logLevel: 'info' | 'warn' | 'debug';
}
interface ProviderFlags extends PartyFlags, ProviderStatementFlags {
  readonly listen: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}
interface HyperNodeFlags extends PartyFlags, MonitorStatementFlags {}

/** `shardway provider` and `shardway hypernode`: the parties of the network, each a process of its own. */
export function partyCommands(root: Command, done: Done): void {
  common(root.command('provider').description('serve shards to a gateway from this machine’s disk'))
    .requiredOption('--listen <host:port>', 'address of its listener')
    .option('--advertise <url>', 'where the gateway reaches it; default: the listener')
    .option('--region <name>', 'region of the failure-domain tree; default: default')
    .option('--site <name>', 'site within the region; default: the host’s name')
    .addOption(new Option('--class <class>', 'what it stores on; default: ssd').choices(['ssd', 'hdd']))
    .option('--capacity <size>', 'what it offers, like 500GB or 20TB; default: what is free on the disk')
    .option('--tls-cert <file>', 'PEM certificate chain; with the key, the listener speaks TLS')
    .option('--tls-key <file>', 'PEM private key')
    .action(async (flags: ProviderFlags) => {
      await runProvider(flags);
      done(EXIT.ok);
    });
  common(root.command('hypernode').description('monitor the providers of a gateway and report on them'))
    .option('--asn <number>', 'autonomous system that this monitor is in')
    .action(async (flags: HyperNodeFlags) => {
      await runHyperNode(flags);
      done(EXIT.ok);
    });
}

function common(command: Command): Command {
  return command
    .requiredOption('--data <folder>', 'folder of its identity and data')
    .requiredOption('--gateway <url>', 'network listener of the gateway')
    .option(
      '--token <token>',
      'join token (better in SHARDWAY_TOKEN: other users can read a command line); without one an operator has to approve',
    )
    .option('--operator <name>', 'who runs it; default: the host’s name')
    .option(
      '--network-prefix <prefix>',
      'its /24 or /48; default: from the address it reaches the gateway with',
    )
    .option('--location <latitude,longitude>', 'where it stands; monitors may refute it')
    .addOption(
      new Option('--log-level <level>', 'what is logged').choices(['debug', 'info', 'warn']).default('info'),
    )
    .addHelpText(
      'after',
      `
What it says of itself is kept in the data folder: a later start says the same, but for the flags it is given.
Without a signal it ends only where a gateway that has never taken it in refuses it (exit code 4).
Exit codes: 0 stopped by a signal; 2 wrong use; 4 refused by the gateway, or failed`,
    );
}

async function runProvider(flags: ProviderFlags): Promise<void> {
  const log = createLog(flags.logLevel);
  const party = partyOptions(flags);
  const listen = addressOf('--listen', flags.listen);
  const tls = await tlsOf(flags);
  const stated = await providerStatement(flags, await readStated(party.data));
  if (stated.advertise === undefined && (listen.host === '0.0.0.0' || listen.host === '::')) {
    throw new ConfigError(
      `--listen ${flags.listen} takes all addresses: --advertise has to say which to call`,
    );
  }
  // Before the start: no signal comes too early.
  const end = signalled(['SIGINT', 'SIGTERM'], EXIT.failed);
  const provider = await listening(flags.listen, () =>
    startProvider({
      ...party,
      ...stated,
      listen,
      ...(tls && { tls }),
      onEvent: (event) => log[isTrouble(event.kind) ? 'warn' : 'info'](event, event.kind),
    }),
  );
  process.stdout.write(`Provider ${provider.id} serves shards at ${provider.endpoint}\n`);
  await life(provider, stated, end);
}

async function runHyperNode(flags: HyperNodeFlags): Promise<void> {
  const log = createLog(flags.logLevel);
  const party = partyOptions(flags);
  const stated = await monitorStatement(flags, await readStated(party.data));
  // Before the start: no signal comes too early.
  const end = signalled(['SIGINT', 'SIGTERM'], EXIT.failed);
  const monitor = await startHyperNode({
    ...party,
    ...stated,
    random: systemRandom,
    onEvent: (event) => log[isTrouble(event.kind) ? 'warn' : 'info'](event, event.text),
  });
  process.stdout.write(`HyperNode ${monitor.id} monitors the providers of ${party.gateway}\n`);
  await life(monitor, stated, end);
}

function partyOptions(flags: PartyFlags) {
  const token = flags.token ?? joinToken();
  return {
    data: join(flags.data),
    gateway: originOf('--gateway', flags.gateway),
    ...(token !== undefined && { token: tokenOf(token) }),
    clock: systemClock,
  };
}

async function tlsOf({ tlsCert, tlsKey }: ProviderFlags): ReturnType<typeof readTls> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new ConfigError('--tls-cert and --tls-key go together');
  }
  return await readTls(
    tlsCert !== undefined && tlsKey !== undefined ? { certFile: tlsCert, keyFile: tlsKey } : undefined,
  );
}

/** From a start that has come about to a signal, or to the gateway's refusal. @throws Error with the refusal */
async function life(
  party: { readonly refused: Promise<Error>; stop(): Promise<void> },
  stated: Stated,
  end: Promise<'asked'>,
): Promise<void> {
  process.stdout.write(`States ${words(stated)}\n`);
  const refusal = await Promise.race([end, party.refused]);
  await party.stop();
  if (refusal !== 'asked') {
    throw new Error(`the gateway refuses this party for good: ${refusal.message}`, { cause: refusal });
  }
}

function words({ region, site, operator, networkPrefix, asn }: Stated): string {
  const parts = { region, site, operator, network: networkPrefix, AS: asn };
  return Object.entries(parts)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]))
    .join(', ');
}

/** @throws ConfigError when the address cannot be listened on */
async function listening<T>(address: string, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall !== 'listen' && syscall !== 'getaddrinfo') throw error;
    throw new ConfigError(`--listen ${address} cannot be listened on: ${message}`, { cause: error });
  }
}

/** What an operator should see at any level: something did not come about. */
function isTrouble(kind: string): boolean {
  return /failed|lost|refused|away|offline/.test(kind);
}
