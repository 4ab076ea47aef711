import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigError } from '../../../gateway/config.ts';
import { runCommand } from './running.ts';

let data: string;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'shardway-wrong-'));
});
afterAll(() => rm(data, { recursive: true }));

const PARTY = ['--gateway', 'http://127.0.0.1:1'];
const PROVIDER = ['provider', ...PARTY, '--listen', '127.0.0.1:0'];
const HYPERNODE = ['hypernode', ...PARTY];
const TOKEN = `sj_${'a'.repeat(32)}_`;

test.each([
  ['--uses takes', ['tokens', 'create', '--for', 'provider', '--uses', 'many']],
  ['--uses takes', ['tokens', 'create', '--for', 'provider', '--uses', '0']],
  ['--uses takes', ['tokens', 'create', '--for', 'provider', '--uses', '1001']],
  ['--hours takes', ['tokens', 'create', '--for', 'provider', '--hours', '1.5']],
  ['--hours takes', ['tokens', 'create', '--for', 'provider', '--hours', '']],
  ['<token> takes', ['tokens', 'remove', 'nothing']],
  ['<id> takes', ['providers', 'inspect', 'abc']],
  ['<id> takes', ['providers', 'approve', '__proto__']],
  ['<id> takes', ['hypernodes', 'remove', 'a'.repeat(33)]],
  ['<name> takes', ['key', 'create', ' ']],
  ['--from takes', ['ledger', 'export', '--from', 'first']],
  ['--from takes', ['ledger', 'export', '--from', '']],
  ['--to takes', ['ledger', 'export', '--from', '5', '--to', '4']],
  ['--listen takes', ['provider', ...PARTY, '--listen', '9100']],
  [
    '--listen 0.0.0.0:0 takes all',
    ['provider', ...PARTY, '--listen', '0.0.0.0:0', '--network-prefix', '10.0.0.0/24'],
  ],
  ['--listen 192.0.2.1:0 cannot', ['provider', ...PARTY, '--listen', '192.0.2.1:0']],
  ['--gateway takes', ['provider', '--listen', '127.0.0.1:0', '--gateway', 'ftp://x']],
  ['--gateway takes', ['hypernode', '--gateway', 'http://127.0.0.1:1/path']],
  ['--gateway takes', ['hypernode', '--gateway', '127.0.0.1:9002']],
  ['--advertise takes', [...PROVIDER, '--advertise', 'http://x/path']],
  ['--advertise takes', [...PROVIDER, '--advertise', 'x:9100']],
  ['--region takes', [...PROVIDER, '--region', 'no spaces']],
  ['--site takes', [...PROVIDER, '--site', '']],
  ['--operator takes', [...HYPERNODE, '--operator', '-']],
  ['--capacity takes', [...PROVIDER, '--capacity', 'much']],
  ['--capacity takes', [...PROVIDER, '--capacity', '99999999PB']],
  ['--network-prefix takes', [...PROVIDER, '--network-prefix', '10.0.0.0']],
  ['--network-prefix takes', [...HYPERNODE, '--network-prefix', '10.0.0.0/8']],
  ['--location takes', [...HYPERNODE, '--location', '91,0']],
  ['--location takes', [...HYPERNODE, '--location', ',']],
  ['--asn takes', [...HYPERNODE, '--asn', 'AS1']],
  ['--tls-cert and --tls-key', [...PROVIDER, '--tls-cert', 'x.pem']],
  ['TLS file', [...PROVIDER, '--tls-cert', '/no/x.pem', '--tls-key', '/no/y.pem']],
  ['join token', [...PROVIDER, '--token', 'secret']],
  ['join token', [...HYPERNODE, '--token', `${TOKEN}short`]],
])('%s: %j is wrong use', async (message, args) => {
  const asked = runCommand(...args, '--data', data);
  await expect(asked).rejects.toThrow(ConfigError);
  await expect(asked).rejects.toThrow(message);
});

test.each([
  [['tokens', 'create']],
  [['tokens', 'create', '--for', 'gateway']],
  [['providers', 'approve']],
  [['providers', 'remove', 'a'.repeat(32)]],
  [['ledger', 'export', '--format', 'xml']],
  [['repair', '--deep']],
  [['status', 'now']],
  [['hypernode', '--log-level', 'loud', ...PARTY]],
  [['provider', ...PARTY]],
  [[...PROVIDER, '--class', 'tape']],
])('%j is wrong use', async (args) => {
  await expect(runCommand(...args, '--data', data)).rejects.toThrow(CommanderError);
});

test('a wrong token is not repeated', async () => {
  const message = (await runCommand(...HYPERNODE, '--token', 'my-secret', '--data', data).catch(
    String,
  )) as string;
  expect(message).not.toContain('my-secret');
});
