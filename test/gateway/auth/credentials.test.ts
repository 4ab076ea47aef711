/** The store of access keys, on real files. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { accountAuthorizer } from '../../../gateway/auth/authorizer.ts';
import { openCredentialStore } from '../../../gateway/auth/credentials.ts';
import type { ManagedCredentialStore, Sealer } from '../../../gateway/auth/credentials.ts';
import { CredentialError, generateRootCredential, refuseWeakSecret } from '../../../gateway/auth/secrets.ts';

/** AES-256-GCM with the context as associated data. */
function sealerWith(key: Buffer): Sealer {
  return {
    seal(text, context) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(text), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
    },
    open(sealed, context) {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(12, 28));
      return Promise.resolve(decipher.update(bytes.subarray(28), undefined, 'utf8') + decipher.final('utf8'));
    },
  };
}

const account = { owner: 'owner-id', displayName: 'account' };
const root = generateRootCredential();
const sealer = sealerWith(randomBytes(32));
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credentials-'));
  path = join(folder, 'credentials.json');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function openStore(
  changes: { sealer?: Sealer; path?: string; root?: typeof root } = {},
): Promise<ManagedCredentialStore> {
  return openCredentialStore({ root, account, path, sealer, clock: { now: () => 1234 }, ...changes });
}

describe('access keys', () => {
  test('the root credential is there without a file', async () => {
    const store = await openStore();
    expect(await store.find(root.accessKey)).toEqual({ ...root, ...account });
    expect(await store.find('AKIAUNKNOWN')).toBeUndefined();
    expect(store.list()).toEqual([
      { accessKey: root.accessKey, displayName: 'account', created: undefined, enabled: true, root: true },
    ]);
  });

  test('a created key is found, also after a restart', async () => {
    const pair = await (await openStore()).create('backup');
    const store = await openStore();
    expect(await store.find(pair.accessKey)).toEqual({ ...pair, ...account });
    expect(store.list()[1]).toEqual({
      accessKey: pair.accessKey,
      displayName: 'backup',
      created: 1234,
      enabled: true,
      root: false,
    });
  });

  test('security: what another process creates, disables and removes counts here soon, and is not undone from here', async () => {
    const [one, two] = [await openStore(), await openStore()];
    const pair = await one.create('one');
    const soon = async (isThere: boolean): Promise<void> => {
      while (((await two.find(pair.accessKey)) !== undefined) !== isThere) await sleep(20);
    };
    await soon(true);
    await one.setEnabled(pair.accessKey, false);
    await soon(false);
    await one.setEnabled(pair.accessKey, true);
    await soon(true);
    // The second knows nothing yet of what the first does here.
    await one.remove(pair.accessKey);
    const other = await two.create('two');
    await one.refresh();
    expect(one.list().map(({ accessKey }) => accessKey)).toEqual([root.accessKey, other.accessKey]);
    expect(await two.find(pair.accessKey)).toBeUndefined();
  });

  test('security: a file that cannot be read any more lets nobody in but root', async () => {
    const store = await openStore();
    const pair = await store.create('one');
    await writeFile(path, 'no JSON');
    await expect(store.refresh()).rejects.toMatchObject({ kind: 'UnreadableFile' });
    await expect(store.find(pair.accessKey)).rejects.toMatchObject({ kind: 'UnreadableFile' });
    expect(await store.find(root.accessKey)).toBeDefined();
  });

  test('security: a disabled key is not found, nor a removed one, also after a restart', async () => {
    const store = await openStore();
    const [one, two] = [await store.create('one'), await store.create('two')];
    expect(await store.setEnabled(one.accessKey, false)).toBe(true);
    expect(await store.remove(two.accessKey)).toBe(true);
    for (const each of [store, await openStore()]) {
      expect(await each.find(one.accessKey)).toBeUndefined();
      expect(await each.find(two.accessKey)).toBeUndefined();
      expect(each.list().map((key) => key.enabled)).toEqual([true, false]);
    }
    expect(await store.setEnabled(one.accessKey, true)).toBe(true);
    expect((await store.find(one.accessKey))?.secretKey).toBe(one.secretKey);
    expect(await store.remove(two.accessKey)).toBe(false);
    expect(await store.setEnabled('AKIAUNKNOWN', true)).toBe(false);
  });

  test('changes at the same time are all kept', async () => {
    const store = await openStore();
    const pairs = await Promise.all(Array.from({ length: 10 }, (_, n) => store.create(`key ${n}`)));
    await Promise.all(pairs.slice(0, 5).map((pair) => store.remove(pair.accessKey)));
    const reopened = await openStore();
    expect(reopened.list().map((key) => key.displayName)).toEqual([
      'account',
      'key 5',
      'key 6',
      'key 7',
      'key 8',
      'key 9',
    ]);
  });

  test('the root credential is neither removed nor disabled', async () => {
    const store = await openStore();
    await expect(store.remove(root.accessKey)).rejects.toMatchObject({ kind: 'RootCredential' });
    await expect(store.setEnabled(root.accessKey, false)).rejects.toMatchObject({ kind: 'RootCredential' });
  });

  test.each(['', '  ', 'a\nb', 'x'.repeat(129), '\u2028'])('the name %j is refused', async (name) => {
    await expect((await openStore()).create(name)).rejects.toMatchObject({ kind: 'InvalidName' });
  });

  test('a change that cannot be written does not count, and the next one works', async () => {
    const missing = join(folder, 'later', 'credentials.json');
    const store = await openStore({ path: missing });
    await expect(store.create('lost')).rejects.toThrow('ENOENT');
    expect(store.list().length).toBe(1);
    await mkdir(join(folder, 'later'));
    await store.create('kept');
    expect((await openStore({ path: missing })).list().map((key) => key.displayName)).toEqual([
      'account',
      'kept',
    ]);
  });
});

describe('security: the file', () => {
  test('is for its owner alone, and holds no secret in clear', async () => {
    await writeFile(`${path}.next`, 'left by a crash', { mode: 0o644 });
    const store = await openStore();
    const pair = await store.create('name');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const text = await readFile(path, 'utf8');
    expect(text).toContain(pair.accessKey);
    expect(text).not.toContain(pair.secretKey);
    expect(text).not.toContain(root.accessKey);
    expect(JSON.stringify(store.list())).not.toContain(pair.secretKey);
  });

  test.each<[string, (text: string, keys: string[]) => string]>([
    ['not JSON', (text) => text.slice(0, -5)],
    ['not an object', () => 'null'],
    ['of another version', (text) => text.replace('"version": 1', '"version": 2')],
    ['without keys', () => '{"version": 1}'],
    ['with an incomplete key', (text) => text.replace('"enabled": true,', '')],
    ['with an altered secret', (text) => text.replace(/"sealed": "..../, '"sealed": "AAAA')],
    [
      'with secrets moved to other keys',
      (text, [one, two]) => text.replace(one!, 'X').replace(two!, one!).replace('X', two!),
    ],
    ['with a key twice', (text, [one, two]) => text.replace(one!, two!)],
  ])('%s, is refused at the start', async (_, change) => {
    const store = await openStore();
    const keys = [await store.create('one'), await store.create('two')].map((pair) => pair.accessKey);
    await writeFile(path, change(await readFile(path, 'utf8'), keys));
    await expect(openStore()).rejects.toMatchObject({ kind: 'UnreadableFile' });
  });

  test('sealed by other keys, is refused at the start', async () => {
    await (await openStore()).create('one');
    await expect(openStore({ sealer: sealerWith(randomBytes(32)) })).rejects.toMatchObject({
      kind: 'UnreadableFile',
    });
  });

  test('that holds the root access key, is refused at the start', async () => {
    const { accessKey } = await (await openStore()).create('one');
    await expect(openStore({ root: { ...root, accessKey } })).rejects.toMatchObject({
      kind: 'UnreadableFile',
    });
  });
});

describe('security: known and empty secrets', () => {
  test('generated ones are random, well-formed and pass', () => {
    const pairs = Array.from({ length: 100 }, generateRootCredential);
    expect(new Set(pairs.map((pair) => pair.secretKey)).size).toBe(100);
    for (const pair of pairs) {
      expect(pair.accessKey).toMatch(/^[A-Z2-7]{20}$/);
      expect(pair.secretKey).toMatch(/^[A-Za-z0-9]{40}$/);
      refuseWeakSecret(pair);
    }
  });

  test.each([
    '',
    'admin',
    'minioadmin',
    'MinioAdmin',
    'password',
    'changeme',
    'shardway',
    'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    'aaaaaaaaaaaaaaaa',
    'abababababababab',
    'short',
    'the-access-key',
  ])('%j is refused with a reason', async (secretKey) => {
    const pair = { accessKey: 'the-access-key', secretKey };
    const refuse = () => {
      refuseWeakSecret(pair);
    };
    expect(refuse).toThrow(CredentialError);
    expect(refuse).toThrow(/^The root credential is refused: [a-z1-9 ]+\. Choose a random secret/);
    await expect(openStore({ root: pair })).rejects.toMatchObject({ kind: 'WeakSecret' });
  });

  test('an empty access key is refused', () => {
    expect(() => {
      refuseWeakSecret({ accessKey: '', secretKey: root.secretKey });
    }).toThrow('access key is empty');
  });
});

test('keys of the account may do everything, others nothing', () => {
  const authorizer = accountAuthorizer('owner-id');
  const principal = { accessKey: 'a', owner: 'owner-id', displayName: 'd' };
  expect(authorizer.allows(principal, 's3:PutObject', 'bucket/key')).toBe(true);
  expect(authorizer.allows({ ...principal, owner: 'other' }, 's3:PutObject', 'bucket/key')).toBe(false);
});
