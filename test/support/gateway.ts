import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { startGateway as start } from '../../gateway/app.ts';
import { readConfig } from '../../gateway/config.ts';
import { makeCertificate } from './programs.ts';

export interface GatewayOptions {
  readonly protocol?: 'http' | 'https';
  /** Further settings, as the environment gives them. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A whole gateway in this process: free loopback ports, metadata in memory, six local providers in a folder of its own. */
export interface Gateway {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** The AWS SDK's, path style, without retries. */
  readonly client: S3Client;
  stop(): Promise<void>;
}

export async function startGateway({ protocol = 'http', env = {} }: GatewayOptions = {}): Promise<Gateway> {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-'));
  const credentials = { accessKeyId: 'TESTKEY', secretAccessKey: randomBytes(20).toString('hex') };
  const tls = protocol === 'https' ? makeCertificate(folder) : undefined;
  const config = readConfig(
    {},
    {
      SHARDWAY_LISTEN: '127.0.0.1:0',
      SHARDWAY_ADMIN_LISTEN: '127.0.0.1:0',
      SHARDWAY_NETWORK_LISTEN: 'off',
      SHARDWAY_DATA: join(folder, 'data'),
      SHARDWAY_METADATA: 'memory',
      SHARDWAY_LOG_LEVEL: 'error',
      SHARDWAY_ROOT_ACCESS_KEY: credentials.accessKeyId,
      SHARDWAY_ROOT_SECRET_KEY: credentials.secretAccessKey,
      SHARDWAY_TLS_CERT: tls?.cert,
      SHARDWAY_TLS_KEY: tls?.key,
      ...env,
    },
  );
  const gateway = await start(config, 'test');
  const { endpoint } = gateway.summary;
  const ca = tls && (await readFile(tls.cert));
  const client = new S3Client({
    endpoint,
    region: config.region,
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    ...(ca && { requestHandler: { httpsAgent: new https.Agent({ ca }) } }),
  });
  return {
    endpoint,
    credentials,
    client,
    async stop() {
      client.destroy();
      await gateway.stop(0);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
