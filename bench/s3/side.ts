import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startServer } from '../../test/support/server.ts';
import { atExit } from './atExit.ts';
import type { Watched } from './processes.ts';
import type { Endpoint } from './types.ts';

/** One of the servers that are measured. */
export interface Side {
  readonly name: string;
  readonly version: string;
  /** What an answer to a PUT promises. */
  readonly sync: string;
  readonly endpoint: Endpoint;
  /** Undefined: CPU and memory are not known. */
  readonly watched: Watched | undefined;
  /** Folders of its providers or drives, of which some may be taken away; empty where they are not known. */
  readonly drives: readonly string[];
  stop(): Promise<void>;
}

/** What peers do by their defaults, as far as it is known; --peer …,sync=… says otherwise. */
const PEER_SYNC: Readonly<Record<string, string>> = {
  minio: 'data and metadata synced on every drive (its default)',
  cloudserver: 'synced (its default)',
  rustfs: 'relaxed for new buckets (its default)',
  seaweedfs: 'not synced (its default)',
  garage: 'not synced (its default)',
  versitygw: 'not synced (its default)',
};
const OUR_SYNC = 'shard files, their folders and the metadata commit synced before the answer';

/** A gateway of our own with six provider folders under `dir`, on the default settings but for SHARDWAY_*; goes with its data when it stops. */
export async function startOurs(dir: string): Promise<Side> {
  const folder = await mkdtemp(join(dir, 'shardway-bench-'));
  const forget = atExit(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, 'data');
  const env = Object.fromEntries(
    // NODE_OPTIONS for profiles (--cpu-prof), the rest for other settings of the gateway.
    Object.entries(process.env).filter(([name]) => name === 'NODE_OPTIONS' || name.startsWith('SHARDWAY_')),
  ) as Record<string, string>;
  const server = await startServer({ data, env });
  const forgetProcess = atExit(() => process.kill(server.pid, 'SIGKILL'));
  return {
    name: 'shardway',
    version: [await ourVersion(), ...Object.entries(env).map((each) => each.join('='))].join(', '),
    sync: OUR_SYNC,
    endpoint: { url: server.endpoint, accessKey: server.accessKey, secretKey: server.secretKey },
    watched: { pids: [server.pid, ...(await childrenOf(server.pid))] },
    drives: [1, 2, 3, 4, 5, 6].map((number) => join(data, 'providers', String(number))),
    stop: async () => {
      await server.stop();
      forgetProcess();
      rmSync(folder, { recursive: true, force: true });
      forget();
    },
  };
}

/** The workers, where there are some. */
async function childrenOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children.split(' ').filter(Boolean).map(Number);
}

async function ourVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  try {
    const git = ['describe', '--always', '--dirty', '--exclude=*'];
    const commit = execFileSync('git', git, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
    return `${version} (${commit})`;
  } catch {
    return version;
  }
}

/**
 * A running server.
 * @param text name=endpoint,access,secret and any of ,pid=N (several: N+M) ,cgroup=folder ,version=text ,sync=text
 * @throws Error for anything else
 */
export function peerSide(text: string, drives: readonly string[] = []): Side {
  const [name = '', rest = ''] = text.split(/=(.*)/s);
  const [url = '', accessKey = '', secretKey = '', ...more] = rest.split(',');
  const options = Object.fromEntries(more.map((each) => each.split(/=(.*)/s).slice(0, 2))) as Record<
    string,
    string
  >;
  const unknown = Object.keys(options).find((key) => !['pid', 'cgroup', 'version', 'sync'].includes(key));
  const valid = /^[\w.-]+$/.test(name) && URL.canParse(url) && url.startsWith('http://') && secretKey !== '';
  const pids = options['pid']?.split('+');
  if (!valid || unknown !== undefined || pids?.some((pid) => !/^\d+$/.test(pid))) {
    throw new Error(
      'a server is given as name=http://host:port,access-key,secret-key and any of ,pid=N ,cgroup=folder ,version=text ,sync=text',
    );
  }
  const kind = peerKind(name);
  return {
    name,
    version: options['version'] ?? 'not said',
    sync: options['sync'] ?? (kind === undefined ? 'not said' : PEER_SYNC[kind]!),
    endpoint: { url, accessKey, secretKey },
    watched: watchedOf(pids?.map(Number), options['cgroup']),
    drives,
    stop: () => Promise.resolve(),
  };
}

function watchedOf(pids: number[] | undefined, cgroup: string | undefined): Watched | undefined {
  if (pids !== undefined) return { pids };
  return cgroup === undefined ? undefined : { cgroup };
}

/** The product that a peer's name begins with. */
export function peerKind(name: string): string | undefined {
  return Object.keys(PEER_SYNC).find((kind) => name.toLowerCase().startsWith(kind));
}
