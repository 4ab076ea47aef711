import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { createSecureContext } from 'node:tls';
import { ConfigError, settingError } from './config.ts';
import type { Address, Config } from './config.ts';

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program',
  EADDRNOTAVAIL: 'is not an address of this machine',
  ENOTFOUND: 'is not an address of this machine: its name does not resolve',
  EACCES: 'may not be listened on by this user',
};

type ListenSetting = 'listen' | 'adminListen' | 'networkListen';

/** @throws ConfigError naming the setting, when the address cannot be listened on */
export async function listening<T>(
  setting: ListenSetting,
  { host, port }: Address,
  listen: () => Promise<T>,
): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const why = LISTEN_ERRORS[(error as NodeJS.ErrnoException).code ?? ''];
    if (why === undefined) throw error;
    throw settingError(setting, `${host}:${port} ${why}`, error);
  }
}

/** Before anything is made that only a first start makes and tells of. @throws ConfigError as `listening` */
export async function assertFree(
  wanted: Readonly<Partial<Record<ListenSetting, Address | undefined>>>,
): Promise<void> {
  const servers: NetServer[] = [];
  try {
    for (const [setting, address] of Object.entries(wanted)) {
      if (address === undefined) continue;
      const server = createServer();
      servers.push(server);
      await listening(setting as ListenSetting, address, async () => {
        // Bound by this process itself, should it be one of several.
        server.listen({ ...address, exclusive: true });
        await once(server, 'listening');
      });
    }
  } finally {
    // Not before all were bound: two settings may ask for the same.
    await Promise.all(servers.map(async (server) => await new Promise((resolve) => server.close(resolve))));
  }
}

/** Certificate chain and key in PEM. @throws ConfigError when they cannot be read or do not go together */
export async function readTls(tls: Config['tls']): Promise<{ cert: string; key: string } | undefined> {
  if (tls === undefined) return undefined;
  const pair = { cert: await readPem(tls.certFile), key: await readPem(tls.keyFile) };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new ConfigError(
      `${tls.certFile} and ${tls.keyFile} are not a PEM certificate and its private key: ${(error as Error).message}`,
      { cause: error },
    );
  }
  return pair;
}

/** Text of a PEM file. @throws ConfigError naming it */
async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`The TLS file ${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

export async function listen(server: Server, address: Address): Promise<AddressInfo> {
  return await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => resolve(server.address() as AddressInfo));
  });
}

export async function close(server: Server): Promise<void> {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}

/** A URL that works from this machine, whatever the address listened on. */
export function urlOf(scheme: string, { host }: Address, { port }: AddressInfo): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
