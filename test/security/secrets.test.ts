/** What lies in the files and the log of a gateway that was killed in mid-work, and what it takes to start on them again. */
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../support/server.ts';
import type { Server } from '../support/server.ts';
import { attacker, presign, send, sign } from './wire.ts';

const KEY_NAME = 'telltale-name-of-a-key';
const BODY = 'telltale words of a body ';
const METADATA = 'telltale-metadata';

let data: string;
let server: Server;
let signatures: string[];
beforeAll(async () => {
  data = join(await mkdtemp(join(tmpdir(), 'shardway-secrets-')), 'data');
  server = await startServer({ data, env: { SHARDWAY_LOG_LEVEL: 'trace' } });
  const { endpoint } = server;
  const client = attacker(endpoint, server);
  await client.put('/secrets', '');
  for (const [name, size] of [
    ['small', 1],
    ['large', 100_000],
  ] as const) {
    const reply = await client.put(`/secrets/${KEY_NAME}-${name}`, BODY.repeat(size), [
      ['x-amz-meta-a', METADATA],
    ]);
    if (reply.status !== 200) throw new Error(`a PUT was answered ${reply.status}`);
  }
  const link = presign(endpoint, server, { method: 'GET', path: `/secrets/${KEY_NAME}-small` });
  if ((await send(endpoint, link)).body !== BODY) throw new Error('the presigned link does not work');
  const wrong = sign(endpoint, server, { method: 'GET', path: '/secrets', signature: 'a'.repeat(64) });
  await send(endpoint, wrong.head);
  signatures = [/X-Amz-Signature=(\w+)/.exec(link)![1]!, 'a'.repeat(64)];
  await server.kill();
}, 60_000);
afterAll(() => rmSync(join(data, '..'), { recursive: true, force: true }));

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('no provider holds a body, a key’s name or metadata in clear, in contents or in names', () => {
  const files = filesBelow(join(data, 'providers'));
  expect(files.length).toBeGreaterThanOrEqual(12);
  for (const file of files) {
    const text = `${file}\n${readFileSync(file, 'latin1')}`;
    for (const secret of [KEY_NAME, BODY.slice(0, 12), METADATA]) expect(text.includes(secret)).toBe(false);
  }
});

test('files with secrets are the owner’s alone', () => {
  const secret = ['root-credentials.json', 'account.json', 'admin.json', join('keys', 'master.json')];
  for (const file of secret) expect(statSync(join(data, file)).mode & 0o077).toBe(0);
  for (const folder of ['.', 'keys', 'metadata']) expect(statSync(join(data, folder)).mode & 0o077).toBe(0);
});

test('the log has the requests, and neither secret nor signature', () => {
  const log = server.log();
  expect(log).toContain('"operation":"PutObject"');
  const { token } = JSON.parse(readFileSync(join(data, 'admin.json'), 'utf8')) as { token: string };
  for (const secret of [server.secretKey, token, ...signatures]) expect(log.includes(secret)).toBe(false);
});

test.each([
  ['root-credentials.json', '{', /root-credentials\.json is not JSON/],
  ['account.json', '{"owner":"somebody else"}', /account\.json does not belong to the data/],
  [join('keys', 'master.json'), undefined, /master\.json is missing/],
])('%s damaged or lost: refuses to start, and starts when it is back', async (name, text, reason) => {
  const file = join(data, name);
  const before = readFileSync(file);
  if (text === undefined) rmSync(file);
  else writeFileSync(file, text);
  await expect(startServer({ data })).rejects.toThrow(reason);
  writeFileSync(file, before, { mode: 0o600 });
  const again = await startServer({ data });
  const client = attacker(again.endpoint, again);
  expect((await client.get(`/secrets/${KEY_NAME}-small`)).body).toBe(BODY);
  await again.stop();
});

test('a second gateway on the same data is refused', async () => {
  const first = await startServer({ data });
  await expect(startServer({ data })).rejects.toThrow(/in use by another gateway/);
  await first.stop();
});
