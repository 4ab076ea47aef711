import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MonitorRecord, NetworkOverview, ProviderDetail, ProviderSummary } from '#placement';
import { startServer } from '../server.ts';
import type { Server } from '../server.ts';
import type { Dishonesty } from './hypernode.ts';
import type { Misbehaviour } from './provider.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const NODE = ['--conditions=shardway-source'];

export interface ProviderPlan {
  readonly region: string;
  readonly site: string;
  readonly operator: string;
  readonly misbehaviour?: Misbehaviour;
}
export interface MonitorPlan {
  readonly operator: string;
  readonly networkPrefix: string;
  readonly dishonesty?: Dishonesty;
}
export interface NetworkPlan {
  readonly eraSeconds: number;
  readonly providers: readonly ProviderPlan[];
  readonly monitors: readonly MonitorPlan[];
  /** Settings of the gateway beside those that make it one of a network. */
  readonly env?: Record<string, string>;
  /** Kept data folder; otherwise a new one that goes with the network. */
  readonly folder?: string;
  readonly onLine?: (line: string) => void;
}

/** A provider or HyperNode in a process of its own. */
interface Party {
  readonly id: string;
  readonly pid: number;
  /** SIGSTOP and SIGCONT: a machine that is there and does nothing. */
  /** What it has said on standard error. */
  log(): string;
  pause(): void;
  resume(): void;
  kill(): Promise<void>;
  /** After `kill`, on the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface Network {
  readonly server: Server;
  /** In the order of the plan. */
  readonly providers: readonly Party[];
  readonly monitors: readonly Party[];
  overview(): Promise<NetworkOverview>;
  summaries(): Promise<ProviderSummary[]>;
  detail(id: string): Promise<ProviderDetail>;
  monitorRecords(): Promise<MonitorRecord[]>;
  /** Runs the operator's command on a provider. */
  command(id: string, command: string): Promise<void>;
  /** Asks twice a second until it holds. @throws after `seconds`, with what was seen last */
  until<T>(what: string, ask: () => Promise<T>, holds: (seen: T) => boolean, seconds: number): Promise<T>;
  addMonitor(plan: MonitorPlan): Promise<Party>;
  stop(): Promise<void>;
}

/** With the processes' start on a busy machine. */
const REGISTRATION_SECONDS = 90;

/** Twelve honest providers in three regions, each in a site and with an operator of its own. */
export function honestProviders(count = 12): ProviderPlan[] {
  return Array.from({ length: count }, (_, index) => ({
    region: ['north', 'south', 'west'][index % 3]!,
    site: `site-${index + 1}`,
    operator: `operator-${index + 1}`,
  }));
}

export function honestMonitors(count = 7): MonitorPlan[] {
  return Array.from({ length: count }, (_, index) => ({
    operator: `watcher-${index + 1}`,
    networkPrefix: `192.0.${index + 2}.0/24`,
  }));
}

export async function startNetwork(plan: NetworkPlan): Promise<Network> {
  const own = plan.folder === undefined ? await mkdtemp(join(tmpdir(), 'shardway-network-')) : undefined;
  const folder = plan.folder ?? own!;
  const say = plan.onLine ?? (() => undefined);
  const server = await startServer({
    data: join(folder, 'gateway'),
    env: {
      SHARDWAY_PROVIDERS: 'none',
      SHARDWAY_NETWORK_LISTEN: '127.0.0.1:0',
      SHARDWAY_ERA: String(plan.eraSeconds),
      SHARDWAY_VETTING: '100/0',
      // Every read is the providers'.
      SHARDWAY_READ_CACHE: '0',
      ...plan.env,
    },
  });
  const gateway = server.networkUrl!;
  const token = async (role: string): Promise<string> =>
    (await server.command('tokens', 'create', '--for', role, '--uses', '100')).stdout.trim();
  const [forProviders, forMonitors] = [await token('provider'), await token('hypernode')];
  const providers = await Promise.all(
    plan.providers.map((one, index) =>
      startParty(providerCommand(one, join(folder, `provider-${index + 1}`), gateway), forProviders),
    ),
  );
  say(`${providers.length} providers are running`);
  const monitors: Party[] = [];
  const addMonitor = async (one: MonitorPlan): Promise<Party> => {
    const data = join(folder, `hypernode-${monitors.length + 1}`);
    const party = await startParty(monitorCommand(one, data, gateway), forMonitors);
    monitors.push(party);
    return party;
  };
  for (const one of plan.monitors) await addMonitor(one);
  say(`${monitors.length} HyperNodes are running`);
  const get = async (path: string): Promise<unknown> => await server.admin('GET', path);
  const network: Network = {
    server,
    providers,
    monitors,
    addMonitor,
    overview: async () => (await get('/v1/network')) as NetworkOverview,
    summaries: async () => (await get('/v1/providers')) as ProviderSummary[],
    detail: async (id) => (await get(`/v1/providers/${id}`)) as ProviderDetail,
    monitorRecords: async () => (await get('/v1/hypernodes')) as MonitorRecord[],
    command: async (id, command) => void (await server.command('providers', command, id)),
    async until(what, ask, holds, seconds) {
      for (let left = seconds * 2; ; left--) {
        const seen = await ask();
        if (holds(seen)) return seen;
        if (left <= 0) throw new Error(`${what} did not come about: ${JSON.stringify(seen, undefined, 1)}`);
        await sleep(500);
      }
    },
    async stop() {
      await Promise.all([...providers, ...monitors].map((party) => party.stop()));
      await server.stop();
      if (own !== undefined) await rm(own, { recursive: true, force: true });
    },
  };
  // One that is taken in after the writes have ended would hold nothing, and have nothing to prove.
  await network.until(
    'the registration of all providers',
    () => network.summaries(),
    (seen) => seen.filter(({ state }) => state !== 'applied').length === providers.length,
    REGISTRATION_SECONDS,
  );
  return network;
}

function providerCommand(plan: ProviderPlan, data: string, gateway: string): string[] {
  const { region, site, operator, misbehaviour } = plan;
  if (misbehaviour === undefined) {
    return [
      join(ROOT, 'gateway/main.ts'),
      'provider',
      '--data',
      data,
      '--listen',
      '127.0.0.1:0',
      '--gateway',
      gateway,
      '--capacity',
      '20GB',
      '--class',
      'hdd',
      '--region',
      region,
      '--site',
      site,
      '--operator',
      operator,
      '--log-level',
      'warn',
    ];
  }
  const options = {
    data,
    listen: { host: '127.0.0.1', port: 0 },
    gateway,
    region,
    site,
    operator,
    networkPrefix: '127.0.0.0/24',
    storageClass: 'hdd',
    capacity: 20e9,
    misbehaviour,
  };
  return [join(import.meta.dirname, 'provider.ts'), JSON.stringify(options)];
}

function monitorCommand(plan: MonitorPlan, data: string, gateway: string): string[] {
  const { operator, networkPrefix, dishonesty } = plan;
  if (dishonesty === undefined) {
    return [
      join(ROOT, 'gateway/main.ts'),
      'hypernode',
      '--data',
      data,
      '--gateway',
      gateway,
      '--operator',
      operator,
      '--network-prefix',
      networkPrefix,
      '--log-level',
      'warn',
    ];
  }
  return [
    join(import.meta.dirname, 'hypernode.ts'),
    JSON.stringify({ data, gateway, operator, networkPrefix, dishonesty }),
  ];
}

async function startParty(command: readonly string[], token: string): Promise<Party> {
  let running = await launch(command, token);
  return {
    get id() {
      return running.id;
    },
    get pid() {
      return running.child.pid!;
    },
    log: () => running.log(),
    pause: () => void running.child.kill('SIGSTOP'),
    resume: () => void running.child.kill('SIGCONT'),
    async kill() {
      running.child.kill('SIGKILL');
      await running.exited;
    },
    async restart() {
      running = await launch(command, token);
    },
    async stop() {
      if (running.child.exitCode !== null || running.child.signalCode !== null) return;
      running.child.kill('SIGCONT');
      running.child.kill('SIGTERM');
      await running.exited;
    },
  };
}

async function launch(command: readonly string[], token: string) {
  const child = spawn(process.execPath, [...NODE, ...command], {
    env: { PATH: process.env['PATH'], SHARDWAY_TOKEN: token },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-100_000)));
  const exited = once(child, 'exit');
  return { child, exited, log: () => log, id: await idOf(child, () => log) };
}

async function idOf(child: ChildProcess, log: () => string): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const id = /\b[0-9a-f]{32}\b/.exec(line)?.[0];
    if (id !== undefined) {
      child.stdout!.resume();
      return id;
    }
  }
  throw new Error(`A party did not start:\n${log()}`);
}
