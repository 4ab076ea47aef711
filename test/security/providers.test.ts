/** What a provider may put in the place of its shards: up to m of them change nothing, more are a clean refusal, and none stops the gateway. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import type { Gateway } from '../support/gateway.ts';
import { attacker } from './wire.ts';
import type { Attacker } from './wire.ts';

const PARITY = 2;
const MKFIFO = 'mkfifo';
const root = mkdtempSync(join(tmpdir(), 'shardway-providers-'));
const folders = Array.from({ length: 6 }, (_, at) => join(root, `p${at}`));

let gateway: Gateway;
let client: Attacker;
beforeAll(async () => {
  gateway = await startGateway({
    env: { SHARDWAY_PROVIDERS: folders.join(','), SHARDWAY_LOG_LEVEL: 'silent' },
  });
  const { accessKeyId, secretAccessKey } = gateway.credentials;
  client = attacker(gateway.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey });
  await client.put('/providers', '');
});
afterAll(async () => {
  await gateway.stop();
  rmSync(root, { recursive: true, force: true });
});

function shards(folder: string): string[] {
  const top = join(folder, 'shards');
  return readdirSync(top).flatMap((name) =>
    readdirSync(join(top, name)).map((file) => join(top, name, file)),
  );
}

/** Stores a body and tells which file each provider made for it. */
async function stored(key: string, body: Buffer): Promise<string[]> {
  const before = new Set(folders.flatMap(shards));
  expect((await client.put(key, body)).status).toBe(200);
  const made = (): string[] => folders.flatMap(shards).filter((file) => !before.has(file));
  while (made().length < folders.length) await new Promise((resolve) => setTimeout(resolve, 5));
  return made();
}

const instead =
  (make: (file: string) => void) =>
  (file: string): void => {
    rmSync(file);
    make(file);
  };

const ATTACKS: Record<string, (file: string) => void> = {
  nothing: (file) => rmSync(file),
  'an empty file': (file) => writeFileSync(file, ''),
  'a cut file': (file) => truncateSync(file, 100),
  'a longer file': (file) => writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(100)])),
  'wrong bytes': (file) => {
    const bytes = readFileSync(file);
    bytes[10]! ^= 1;
    writeFileSync(file, bytes);
  },
  'a file of 1 TiB': (file) => truncateSync(file, 2 ** 40),
  'a FIFO': instead((file) => execFileSync(MKFIFO, [file])),
  'a directory': instead((file) => mkdirSync(file)),
  'a link to itself': instead((file) => symlinkSync(file, file)),
  'a link to endless zeros': instead((file) => symlinkSync('/dev/zero', file)),
  'a file that may not be read': (file) => chmodSync(file, 0),
};

describe.each([
  ['small', 2000],
  ['large', 1_500_000],
])('a %s object', (size, length) => {
  test.each(Object.entries(ATTACKS))(
    '%s in place of up to m shards: the right bytes',
    async (name, attack) => {
      const key = `/providers/${size}-${name.replaceAll(' ', '-')}`;
      const body = Buffer.alloc(length, `${size} ${name} `);
      const files = await stored(key, body);
      files.slice(0, PARITY).forEach(attack);
      expect((await client.get(key)).body === body.toString('latin1')).toBe(true);
      // More than m: nothing, rather than wrong bytes. Root reads what may not be read.
      files.slice(PARITY, PARITY + 1).forEach(attack);
      const beyond = await client.get(key);
      const isRight = beyond.body === body.toString('latin1');
      expect(['200 right', '503 ServiceUnavailable']).toContain(
        `${beyond.status} ${isRight ? 'right' : beyond.code}`,
      );
      expect((await client.put(`${key}-after`, 'fine')).status).toBe(200);
      expect((await client.get(`${key}-after`)).body).toBe('fine');
    },
  );
});

test('a folder that somebody removed is made again', async () => {
  for (const name of ['tmp', 'shards']) {
    for (const folder of folders.slice(0, PARITY)) rmSync(join(folder, name), { recursive: true });
    let status = 0;
    for (let attempt = 0; status !== 200 && attempt < 200; attempt++) {
      ({ status } = await client.put('/providers/healed', name));
      if (status !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(status).toBe(200);
    expect((await client.get('/providers/healed')).body).toBe(name);
  }
});
