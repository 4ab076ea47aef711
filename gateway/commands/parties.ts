import { hostname } from 'node:os';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { locationSchema, startHyperNode, startProvider, systemClock, systemRandom } from '#placement';
import type { Location } from '#placement';
import { ConfigError, joinToken, parseAddress } from '../config.ts';
import type { Address } from '../config.ts';
import { createLog } from '../log.ts';
import { networkPrefixTowards } from './networkPrefix.ts';
import { EXIT } from './shared.ts';
import type { Done } from './shared.ts';

interface PartyFlags {
  readonly data: string;
  readonly gateway: string;
  readonly token?: string;
  readonly operator?: string;
  readonly networkPrefix?: string;
  readonly location?: string;
  readonly logLevel: 'info' | 'warn' | 'debug';
}
interface ProviderFlags extends PartyFlags {
  readonly listen: string;
  readonly advertise?: string;
  readonly region: string;
  readonly site?: string;
  readonly class: 'ssd' | 'hdd';
  readonly capacity?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}
interface HyperNodeFlags extends PartyFlags {
  readonly asn?: string;
}

/** `shardway provider` and `shardway hypernode`: the parties of the network, each a process of its own. */
export function partyCommands(root: Command, done: Done): void {
  common(root.command('provider').description('serve shards to a gateway from this machine’s disk'))
    .requiredOption('--listen <host:port>', 'address of its listener')
    .option('--advertise <url>', 'where the gateway reaches it; default: the listener')
    .option('--region <name>', 'region of the failure-domain tree', 'default')
    .option('--site <name>', 'site within the region; default: the host’s name')
    .addOption(new Option('--class <class>', 'what it stores on').choices(['ssd', 'hdd']).default('ssd'))
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
    );
}

async function runProvider(flags: ProviderFlags): Promise<void> {
  const log = createLog(flags.logLevel);
  const listen = addressOf(flags.listen);
  if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) {
    throw new ConfigError('--tls-cert and --tls-key go together');
  }
  const provider = await startProvider({
    ...partyOptions(flags),
    listen,
    ...(flags.advertise !== undefined && { advertise: flags.advertise }),
    region: label('--region', flags.region),
    site: label('--site', flags.site ?? hostname()),
    networkPrefix: flags.networkPrefix ?? (await networkPrefixTowards(flags.gateway)),
    storageClass: flags.class,
    capacity: bytesOf(flags.capacity ?? '0'),
    ...(flags.tlsCert !== undefined &&
      flags.tlsKey !== undefined && {
        tls: { cert: await readFile(flags.tlsCert), key: await readFile(flags.tlsKey) },
      }),
    onEvent: (event) => log[isTrouble(event.kind) ? 'warn' : 'info'](event, event.kind),
  });
  process.stdout.write(`Provider ${provider.id} serves shards at ${provider.endpoint}\n`);
  await stopped();
  await provider.stop();
}

async function runHyperNode(flags: HyperNodeFlags): Promise<void> {
  const log = createLog(flags.logLevel);
  const monitor = await startHyperNode({
    ...partyOptions(flags),
    random: systemRandom,
    networkPrefix: flags.networkPrefix ?? (await networkPrefixTowards(flags.gateway)),
    ...(flags.asn !== undefined && { asn: wholeNumber('--asn', flags.asn) }),
    onEvent: (event) => log[isTrouble(event.kind) ? 'warn' : 'info'](event, event.text),
  });
  process.stdout.write(`HyperNode ${monitor.id} monitors the providers of ${flags.gateway}\n`);
  await stopped();
  await monitor.stop();
}

function partyOptions(flags: PartyFlags) {
  const token = flags.token ?? joinToken();
  const location = locationOf(flags.location);
  return {
    data: join(flags.data),
    gateway: flags.gateway,
    ...(token !== undefined && { token }),
    operator: label('--operator', flags.operator ?? hostname()),
    ...(location && { location }),
    clock: systemClock,
  };
}

async function stopped(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address) return address;
  throw new ConfigError(`--listen takes host:port, like 127.0.0.1:9100; got '${text}'`);
}

function label(flag: string, text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(text)) return text;
  throw new ConfigError(`${flag} takes letters, digits, dots, colons, dashes and underscores; got '${text}'`);
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new ConfigError(`${flag} takes a whole number; got '${text}'`);
}

/** Bytes of a size like 500GB (10⁹) or 2TiB (2⁴⁰); 0 for what the disk has. */
function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGTP]i?)?B?$/i.exec(text.trim());
  if (!match) throw new ConfigError(`--capacity takes a size like 500GB; got '${text}'`);
  const unit = (match[2] ?? '').toUpperCase();
  const power = unit === '' ? 0 : 'KMGTP'.indexOf(unit.charAt(0)) + 1;
  return Math.floor(Number(match[1]) * (unit.endsWith('I') ? 1024 : 1000) ** power);
}

function locationOf(text: string | undefined): Location | undefined {
  if (text === undefined) return undefined;
  const [latitude, longitude] = text.split(',').map(Number);
  const location = locationSchema.safeParse({ latitude, longitude });
  if (location.success) return location.data;
  throw new ConfigError(`--location takes latitude,longitude in degrees; got '${text}'`);
}

/** What an operator should see at any level: something did not come about. */
function isTrouble(kind: string): boolean {
  return /failed|lost|refused|away|offline/.test(kind);
}
