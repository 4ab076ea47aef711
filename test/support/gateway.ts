import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { createChunkStore, defaultProviderList, openProviders, systemClock, systemRandom } from '#placement';
import { accountAuthorizer } from '../../gateway/auth/authorizer.ts';
import { createAuthenticator } from '../../gateway/auth/sigv4.ts';
import { openKeyring } from '../../gateway/engine/keyring.ts';
import { openObjectStore } from '../../gateway/engine/store.ts';
import { createHttpServer } from '../../gateway/http/server.ts';
import { openKeyValueStore } from '../../gateway/metadata/open.ts';
import { createS3Handler } from '../../gateway/s3/dispatch.ts';
import type { Log } from '../../gateway/s3/wire.ts';
import { makeCertificate } from './programs.ts';

export interface GatewayOptions {
  readonly protocol?: 'http' | 'https';
}

/** A gateway in this process, on a free loopback port, with six local providers in a folder of its own. */
export interface Gateway {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly client: S3Client;
  stop(): Promise<void>;
}

const REGION = 'us-east-1';
const PROFILE = { data: 4, parity: 2 };

export async function startGateway({ protocol = 'http' }: GatewayOptions = {}): Promise<Gateway> {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-'));
  const tls = protocol === 'https' ? await certificate(folder) : undefined;
  const credentials = { accessKeyId: 'TESTKEY', secretAccessKey: randomBytes(20).toString('hex') };
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = credentials;
  const credential = { accessKey, secretKey, owner: 'test-owner', displayName: 'test' };

  const kv = await openKeyValueStore('memory', folder);
  const providers = await openProviders({
    entries: defaultProviderList(join(folder, 'providers'), PROFILE.data + PROFILE.parity),
    known: [],
    clock: systemClock,
  });
  const chunks = createChunkStore({ providers, clock: systemClock, random: systemRandom });
  const engine = await openObjectStore({
    kv,
    chunks,
    keyring: await openKeyring(folder),
    clock: systemClock,
    random: systemRandom,
    region: REGION,
    profile: PROFILE,
  });
  const server = createHttpServer({
    handle: createS3Handler({
      store: engine.store,
      authenticator: createAuthenticator({
        credentials: { find: async (key) => (key === accessKey ? credential : undefined) },
        region: REGION,
        clock: systemClock,
        service: 's3',
      }),
      authorizer: accountAuthorizer(credential.owner),
      region: REGION,
      domain: undefined,
      log,
    }),
    log,
    uploadMemory: 64 * 1024 * 1024,
    ...(tls && { tls }),
  });
  const { port } = await server.listen(0, '127.0.0.1');
  const endpoint = `${protocol}://127.0.0.1:${port}`;
  const client = new S3Client({
    endpoint,
    region: REGION,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    ...(tls && { requestHandler: { httpsAgent: new https.Agent({ ca: tls.cert }) } }),
  });
  return {
    endpoint,
    credentials,
    client,
    async stop() {
      client.destroy();
      await server.drain(0);
      await engine.close();
      await chunks.close();
      await providers.close();
      await kv.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function certificate(folder: string): Promise<{ cert: Buffer; key: Buffer }> {
  const { cert, key } = makeCertificate(folder);
  return { cert: await readFile(cert), key: await readFile(key) };
}

/** Requests are not logged; what goes wrong inside shows with the test. */
const log: Log = {
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => {
    process.stderr.write(`${message} ${JSON.stringify(fields, errorText)}\n`);
  },
};

function errorText(_name: string, value: unknown): unknown {
  return value instanceof Error ? value.stack : value;
}
