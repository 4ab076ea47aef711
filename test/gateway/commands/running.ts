/** Commands run in this process, as the command line runs them. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { Registry } from 'prom-client';
import { onTestFinished, vi } from 'vitest';
import type { NetworkOperator } from '#placement';
import { publishAddress } from '../../../gateway/admin/address.ts';
import { createAdminServer } from '../../../gateway/admin/server.ts';
import type { GatewayStatus, Operator } from '../../../gateway/admin/types.ts';
import { auditCommands } from '../../../gateway/commands/audit.ts';
import { gatewayCommands } from '../../../gateway/commands/gateway.ts';
import { keyCommands } from '../../../gateway/commands/keys.ts';
import { networkCommands } from '../../../gateway/commands/network.ts';
import { partyCommands } from '../../../gateway/commands/parties.ts';

export interface Ran {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** @throws what the command throws */
export async function runCommand(...args: string[]): Promise<Ran> {
  const [out, err] = [written('stdout'), written('stderr')];
  let code: number | undefined;
  try {
    await program((value) => (code = value)).parseAsync(['node', 'shardway', ...args]);
  } finally {
    out.spy.mockRestore();
    err.spy.mockRestore();
  }
  return { code, stdout: out.text(), stderr: err.text() };
}

function written(stream: 'stdout' | 'stderr') {
  let text = '';
  const spy = vi.spyOn(process[stream], 'write').mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  return { spy, text: () => text };
}

function program(done: (code: number) => void): Command {
  const root = new Command('shardway').exitOverride();
  gatewayCommands(root, done);
  networkCommands(root, done);
  partyCommands(root, done);
  auditCommands(root, done);
  keyCommands(root.command('key'), done);
  return root;
}

/** The admin listener of a gateway with this network. @returns the data folder that commands find it by */
export async function adminOf(network: NetworkOperator): Promise<string> {
  const operator: Operator = {
    ready: () => true,
    network: () => network,
    status: async () =>
      ({
        version: '1',
        providers: [],
        metadataDurability: { state: 'strong', reasons: [], reachable: true },
        awaitingReclaim: { bodies: 0, chunks: 0, countedMax: 1 },
      }) as unknown as GatewayStatus,
    jobs: {},
    keys: {
      list: () => [],
      create: () => Promise.reject(new Error('not asked for here')),
      remove: async () => false,
      setEnabled: async () => false,
    },
  };
  const token = 'the token of this test';
  const server = createAdminServer({ operator, registry: new Registry(), token });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const data = await mkdtemp(join(tmpdir(), 'shardway-commands-'));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await publishAddress(data, { url, token, pid: process.pid });
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await rm(data, { recursive: true });
  });
  return data;
}
