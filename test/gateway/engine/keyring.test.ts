import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDataKey } from '../../../gateway/engine/encryption.ts';
import { customerKeyEncryption, openKeyring } from '../../../gateway/engine/keyring.ts';

let data: string;
let file: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'shardway-keys-'));
  file = join(data, 'keys', 'master.json');
});
afterEach(() => rmSync(data, { recursive: true }));

const unreadable = (text: string): Error =>
  expect.objectContaining({
    name: 'EngineError',
    kind: 'Unreadable',
    message: expect.stringContaining(text) as string,
  }) as Error;

interface KeyFile {
  format: number;
  keys: { id: string; created: string; key: string }[];
}
const stored = (): KeyFile => JSON.parse(readFileSync(file, 'utf8')) as KeyFile;
const overwrite = (content: unknown): void =>
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));

describe('the key file', () => {
  test('is made once, private, and read again', async () => {
    const first = await openKeyring(data);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(data, 'keys')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(data, 'keys'))).toEqual(['master.json']);
    const key = createDataKey();
    const wrapped = await first.wrap(key, 'body 1');
    const second = await openKeyring(data);
    expect(second.currentKeyId).toBe(first.currentKeyId);
    expect((await second.unwrap(wrapped, 'body 1')).equals(key)).toBe(true);
  });

  test('gateways that start together agree on one key', async () => {
    const rings = await Promise.all(Array.from({ length: 8 }, () => openKeyring(data)));
    expect(new Set(rings.map((ring) => ring.currentKeyId)).size).toBe(1);
    expect(readdirSync(join(data, 'keys'))).toEqual(['master.json']);
  });

  test('is refused when others may read it or replace it', async () => {
    await openKeyring(data);
    for (const mode of [0o640, 0o604, 0o660]) {
      chmodSync(file, mode);
      await expect(openKeyring(data)).rejects.toThrow(unreadable('chmod 600'));
    }
    chmodSync(file, 0o600);
    chmodSync(join(data, 'keys'), 0o770);
    await expect(openKeyring(data)).rejects.toThrow(unreadable('chmod 700'));
    chmodSync(join(data, 'keys'), 0o700);
    await openKeyring(data);
  });

  test('is refused in clear words, and never replaced, when it is malformed', async () => {
    await openKeyring(data);
    const good = stored();
    const [key] = good.keys;
    if (!key) throw new Error('no key');
    const cases: [unknown, string][] = [
      ['', 'no JSON'],
      ['{"format":1,"keys":["SECRET', 'no JSON'],
      ['null', 'format'],
      [{ ...good, format: 2 }, 'format'],
      [{ format: 1 }, 'no key'],
      [{ format: 1, keys: [] }, 'no key'],
      [{ format: 1, keys: [key, null] }, 'key number 2'],
      [{ format: 1, keys: [{ ...key, key: 'AAAA' }] }, 'key number 1'],
      [{ format: 1, keys: [{ ...key, id: '../x' }] }, 'key number 1'],
      [{ format: 1, keys: [key, key] }, 'one id'],
    ];
    for (const [content, reason] of cases) {
      overwrite(content);
      const before = readFileSync(file, 'utf8');
      const error: unknown = await openKeyring(data).catch((caught: unknown) => caught);
      expect(error).toEqual(unreadable(reason));
      expect((error as Error).message).not.toMatch(/SECRET|AAAA/);
      expect(readFileSync(file, 'utf8')).toBe(before);
    }
  });
});

describe('wrapping', () => {
  test('each wrapping differs, hides the key, and opens only in its context', async () => {
    const ring = await openKeyring(data);
    const key = createDataKey();
    const a = await ring.wrap(key, 'body 1');
    const b = await ring.wrap(key, 'body 1');
    expect(Buffer.compare(a.bytes, b.bytes)).not.toBe(0);
    expect(Buffer.from(a.bytes).includes(key)).toBe(false);
    expect((await ring.unwrap(b, 'body 1')).equals(key)).toBe(true);
    await expect(ring.unwrap(a, 'body 2')).rejects.toThrow(unreadable('does not verify'));
  });

  test('altered, cut and foreign wrappings are Unreadable', async () => {
    const ring = await openKeyring(data);
    const { keyId, bytes } = await ring.wrap(createDataKey(), 'c');
    for (let at = 0; at < bytes.length; at++) {
      const altered = Uint8Array.from(bytes);
      altered[at] = (altered[at] as number) ^ 1;
      await expect(ring.unwrap({ keyId, bytes: altered }, 'c')).rejects.toThrow(
        unreadable('does not verify'),
      );
      await expect(ring.unwrap({ keyId, bytes: bytes.subarray(0, at) }, 'c')).rejects.toThrow(
        unreadable('does not verify'),
      );
    }
    await expect(ring.unwrap({ keyId: 'beef', bytes }, 'c')).rejects.toThrow(unreadable('beef'));
  });

  test('a key from another data directory does not unwrap', async () => {
    const ring = await openKeyring(data);
    const other = await openKeyring(join(data, 'other'));
    const wrapped = await other.wrap(createDataKey(), 'c');
    await expect(ring.unwrap(wrapped, 'c')).rejects.toThrow(unreadable('is not in the key file'));
    await expect(ring.unwrap({ ...wrapped, keyId: ring.currentKeyId }, 'c')).rejects.toThrow(
      unreadable('verify'),
    );
  });
});

describe('rotation', () => {
  test('adds a generation that wraps; older ones still unwrap, and rewrapping moves to the new one', async () => {
    const ring = await openKeyring(data);
    const key = createDataKey();
    const old = await ring.wrap(key, 'c');
    const first = ring.currentKeyId;
    const id = await ring.rotate();
    expect(ring.keyIds).toEqual([first, id]);
    expect((await ring.unwrap(old, 'c')).equals(key)).toBe(true);
    const rewrapped = await ring.rewrap(old, 'c');
    expect(rewrapped.keyId).toBe(id);
    expect((await ring.unwrap(rewrapped, 'c')).equals(key)).toBe(true);
    expect(await ring.rewrap(rewrapped, 'c')).toBe(rewrapped);
    const reopened = await openKeyring(data);
    expect(reopened.keyIds).toEqual([first, id]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(data, 'keys'))).toEqual(['master.json']);
  });

  test('a gateway finds a generation that another one added', async () => {
    const [mine, other] = [await openKeyring(data), await openKeyring(data)];
    await other.rotate();
    const key = createDataKey();
    const wrapped = await other.wrap(key, 'c');
    expect((await mine.unwrap(wrapped, 'c')).equals(key)).toBe(true);
    expect(mine.currentKeyId).toBe(other.currentKeyId);
  });

  test('rotations at once lose no generation', async () => {
    const rings = await Promise.all(Array.from({ length: 4 }, () => openKeyring(data)));
    const results = await Promise.allSettled(rings.map((ring) => ring.rotate()));
    const ids = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(ids.length).toBeGreaterThan(0);
    const refusals = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    expect(refusals).toEqual(
      refusals.map(() => expect.objectContaining({ kind: 'OperationAborted' }) as unknown),
    );
    expect(stored().keys.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
  });

  test('one that was cut short says what to do; a lost file is not made anew', async () => {
    const ring = await openKeyring(data);
    writeFileSync(`${file}.new`, '');
    await expect(ring.rotate()).rejects.toMatchObject({
      kind: 'OperationAborted',
      message: expect.stringContaining(`remove ${file}.new`) as string,
    });
    rmSync(`${file}.new`);
    rmSync(file);
    await expect(ring.rotate()).rejects.toThrow(unreadable('restore it'));
    expect(readdirSync(join(data, 'keys'))).toEqual([]);
  });
});

describe('sealed secrets', () => {
  test('open in their context only, under older generations too', async () => {
    const ring = await openKeyring(data);
    const sealed = ring.seal(Buffer.from('secret access key'), 'credential AKIA');
    expect(sealed.includes('secret access key')).toBe(false);
    await ring.rotate();
    const later = await openKeyring(data);
    expect(later.open(sealed, 'credential AKIA').toString()).toBe('secret access key');
    expect(later.open(later.seal(new Uint8Array(0), 'empty'), 'empty').length).toBe(0);
    expect(() => later.open(sealed, 'credential AKIB')).toThrow(unreadable('does not open'));
    for (let length = 0; length < sealed.length; length++) {
      expect(() => later.open(sealed.subarray(0, length), 'credential AKIA')).toThrow(
        unreadable('does not open'),
      );
    }
  });

  test('a wrapped data key does not pass for a secret', async () => {
    const ring = await openKeyring(data);
    const { keyId, bytes } = await ring.wrap(createDataKey(), 'c');
    const disguised = Buffer.concat([Buffer.of(keyId.length), Buffer.from(keyId), bytes]);
    expect(() => ring.open(disguised, 'c')).toThrow(unreadable('does not open'));
  });
});

describe('customer keys', () => {
  test('only the same key unwraps, in the same context', async () => {
    const customer = createDataKey();
    const key = createDataKey();
    const wrapped = await customerKeyEncryption(customer).wrap(key, 'body 1');
    expect(wrapped.keyId).toBe('customer');
    expect(
      (await customerKeyEncryption(Uint8Array.from(customer)).unwrap(wrapped, 'body 1')).equals(key),
    ).toBe(true);
    const denied = { name: 'EngineError', kind: 'AccessDenied' };
    await expect(customerKeyEncryption(createDataKey()).unwrap(wrapped, 'body 1')).rejects.toMatchObject(
      denied,
    );
    await expect(customerKeyEncryption(customer).unwrap(wrapped, 'body 2')).rejects.toMatchObject(denied);
  });

  test('keys of another length, and the gateway’s own wrappings, are refused', async () => {
    expect(() => customerKeyEncryption(new Uint8Array(16))).toThrow(
      expect.objectContaining({ kind: 'InvalidArgument' }) as Error,
    );
    const wrapped = await (await openKeyring(data)).wrap(createDataKey(), 'c');
    await expect(customerKeyEncryption(createDataKey()).unwrap(wrapped, 'c')).rejects.toMatchObject({
      kind: 'Unreadable',
    });
  });
});
