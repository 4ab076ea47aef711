import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { makeCertificate, run } from './programs.ts';
import type { RunResult } from './programs.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const MAIN = ['--conditions=shardway-source', join(ROOT, 'gateway/main.ts')];

export type Protocol = 'http' | 'https';

export interface ServerOptions {
  readonly protocol?: Protocol;
  /** Kept data folder; otherwise a new one that goes with the server. */
  readonly data?: string;
  readonly env?: Record<string, string>;
}

/** A gateway in a process of its own, started as a user starts it, on free loopback ports. */
export interface Server {
  readonly endpoint: string;
  readonly adminUrl: string;
  /** Where providers and HyperNodes register; undefined where that is off, as it is unless the environment says otherwise. */
  readonly networkUrl: string | undefined;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly data: string;
  readonly pid: number;
  /** PEM file to trust, on https. */
  readonly certificate: string | undefined;
  /** Log lines so far. */
  log(): string;
  /** Asks its admin API. @throws Error with its answer unless it succeeds */
  admin(method: string, path: string, body?: object): Promise<unknown>;
  /** Runs a shardway command against it. */
  command(...args: string[]): Promise<RunResult>;
  /** SIGKILL; keeps the data folder. */
  kill(): Promise<void>;
  /** SIGTERM and wait; removes what it made itself. Rejects when the gateway does not end with 0. */
  stop(): Promise<void>;
}

/** A client that opens a connection for every request and never retries: each request may go to another worker. */
export function freshClientOf(
  { endpoint }: Pick<Server, 'endpoint'>,
  { accessKey, secretKey }: Pick<Server, 'accessKey' | 'secretKey'>,
): S3Client {
  return clientOf({ endpoint, accessKey, secretKey }, { httpAgent: { keepAlive: false } });
}

/** A client of the running server that never retries, so that every answer is seen. */
export function clientOf(
  server: Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'>,
  requestHandler: S3ClientConfig['requestHandler'] = {},
): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    requestHandler,
  });
}

export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const own = options.data === undefined ? await mkdtemp(join(tmpdir(), 'shardway-')) : undefined;
  const data = options.data ?? join(own as string, 'data');
  const tlsFolder = options.protocol === 'https' ? await mkdtemp(join(tmpdir(), 'shardway-tls-')) : undefined;
  const tls = tlsFolder === undefined ? undefined : makeCertificate(tlsFolder);
  const child = spawn(process.execPath, [...MAIN, 'serve'], {
    env: {
      PATH: process.env['PATH'],
      SHARDWAY_LISTEN: '127.0.0.1:0',
      SHARDWAY_ADMIN_LISTEN: '127.0.0.1:0',
      SHARDWAY_NETWORK_LISTEN: 'off',
      SHARDWAY_DATA: data,
      SHARDWAY_LOG_LEVEL: 'warn',
      ...(tls === undefined ? {} : { SHARDWAY_TLS_CERT: tls.cert, SHARDWAY_TLS_KEY: tls.key }),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-1_000_000)));
  const started = await bannerOf(child, () => log);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  return {
    ...started,
    ...(await keysOf(data, options.env)),
    data,
    pid: child.pid as number,
    certificate: tls?.cert,
    log: () => log,
    admin: async (method, path, body) => await askAdmin(data, method, path, body),
    command: async (...args) =>
      await run(process.execPath, [...MAIN, ...args], { env: { SHARDWAY_DATA: data, ...options.env } }),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      const [code] = await exited;
      for (const folder of [own, tlsFolder]) {
        if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      }
      if (code !== 0) throw new Error(`The gateway ended with ${code}:\n${log}`);
    },
  };
}

async function askAdmin(data: string, method: string, path: string, body?: object): Promise<unknown> {
  const { url, token } = JSON.parse(await readFile(join(data, 'admin.json'), 'utf8')) as Record<
    string,
    string
  >;
  const response = await fetch(new URL(path, url), {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.status === 204 ? undefined : await response.json();
}

async function bannerOf(
  child: ChildProcess,
  log: () => string,
): Promise<{ endpoint: string; adminUrl: string; networkUrl: string | undefined }> {
  let endpoint = '';
  let networkUrl: string | undefined;
  if (child.stdout === null) throw new Error('no standard output');
  for await (const line of createInterface({ input: child.stdout })) {
    endpoint = /serves S3 at (\S+)/.exec(line)?.[1] ?? endpoint;
    networkUrl = /^Network\s+(http\S+)/.exec(line)?.[1] ?? networkUrl;
    const adminUrl = /^Admin\s+(\S+)/.exec(line)?.[1];
    if (adminUrl !== undefined && endpoint !== '') {
      child.stdout.resume();
      return { endpoint, adminUrl, networkUrl };
    }
  }
  throw new Error(`The gateway did not start:\n${log()}`);
}

async function keysOf(
  data: string,
  env: Record<string, string> = {},
): Promise<{ accessKey: string; secretKey: string }> {
  const accessKey = env['SHARDWAY_ROOT_ACCESS_KEY'];
  const secretKey = env['SHARDWAY_ROOT_SECRET_KEY'];
  if (accessKey !== undefined && secretKey !== undefined) return { accessKey, secretKey };
  return JSON.parse(await readFile(join(data, 'root-credentials.json'), 'utf8')) as {
    accessKey: string;
    secretKey: string;
  };
}
