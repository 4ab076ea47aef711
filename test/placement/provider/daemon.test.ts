import { createHasher, LEAF_BYTES } from '#erasure';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createIdentity } from '../../../placement/network/identity.ts';
import { issueGrant, useGrant } from '../../../placement/network/issueGrant.ts';
import { denialStatementSchema, proofStatementSchema } from '../../../placement/network/messages.ts';
import { openStatement } from '../../../placement/network/signed.ts';
import {
  decodeSigned,
  helloStatementSchema,
  receiptSchema,
  shardPageSchema,
  spaceSchema,
} from '../../../placement/provider/wire.ts';
import { faulty } from '../../../placement/transports/faults.ts';
import { systemClock } from '#placement';
import { filesIn } from '../directories.ts';
import { sampleBytes } from '../shards.ts';
import { call, newSetting, put, putOf, shown, type Answer, type Setting } from './support.ts';

const hasher = createHasher();
const NONCE = '5a'.repeat(32);

let setting: Setting;
beforeEach(async () => {
  setting = await newSetting();
});
afterEach(() => setting.dispose());

function ask(method: string, path: string, grant?: { text: string }, body?: Uint8Array): Promise<Answer> {
  return call(setting.provider.endpoint, method, path, grant ? shown(grant) : {}, body);
}

function kindOf({ text }: Answer): string {
  return (JSON.parse(text) as { kind: string }).kind;
}

function signedIn(answer: Answer): unknown {
  return decodeSigned(String(answer.headers['shardway-signed']));
}

/** Files of shards, and of shards on their way. */
async function stored(): Promise<string[]> {
  return (await filesIn(setting.shards)).filter((path) => path !== 'provider.json');
}

describe('hello', () => {
  test('names the provider and its session, and signs a nonce', async () => {
    const answer = await ask('GET', `/v1/hello?nonce=${NONCE}`);
    const { value, publicKey } = openStatement(signedIn(answer), 'hello', helloStatementSchema);
    expect(value).toEqual({ nonce: NONCE, session: setting.hello.session });
    expect(publicKey).toBe(setting.provider.identity.publicKey);
    expect(setting.hello.provider).toBe(setting.provider.id);
  });

  test.each(['', '?nonce=', '?nonce=xyz'])('answers without a signature, or refuses: %s', async (query) => {
    const answer = await ask('GET', `/v1/hello${query}`);
    expect([answer.status, answer.headers['shardway-signed']]).toEqual([query === '' ? 200 : 400, undefined]);
  });
});

describe('put', () => {
  test.each([1, LEAF_BYTES, 256 * 1024, 256 * 1024 + 1, 3_000_000])(
    'stores %i bytes and signs a receipt of the root it computed',
    async (length) => {
      const bytes = sampleBytes(length);
      const { shard, stored, body, root } = putOf(bytes);
      const grant = setting.grant({ op: 'put', shard: stored, size: length });
      const answer = await ask('PUT', `/v1/shards/${stored}`, grant, body);
      expect(answer.status).toBe(201);
      const { value, signer } = openStatement(signedIn(answer), 'receipt', receiptSchema);
      expect(signer).toBe(setting.provider.id);
      expect(value).toMatchObject({ shard: stored, root, length, nonce: grant.nonce, provider: signer });
      const count = Math.ceil(length / LEAF_BYTES);
      const got = await ask(
        'GET',
        `/v1/shards/${stored}?first=0&count=${count}`,
        setting.grant({ op: 'get', shard: stored, size: count }),
      );
      expect(Buffer.compare(got.bytes, bytes)).toBe(0);
      expect(got.headers['shardway-proof-bytes']).toBe('0');
      expect(shard.index).toBe(2);
    },
  );

  test('of a shard that is there answers 200, and of another one under its name 409', async () => {
    const bytes = sampleBytes(70_000);
    const { stored, body } = await put(setting, bytes);
    const again = setting.grant({ op: 'put', shard: stored, size: 70_000 });
    expect((await ask('PUT', `/v1/shards/${stored}`, again, body)).status).toBe(200);
    const other = putOf(sampleBytes(70_000, 2));
    const grant = setting.grant({ op: 'put', shard: stored, size: 70_000 });
    const answer = await ask('PUT', `/v1/shards/${stored}`, grant, other.body);
    expect([answer.status, kindOf(answer)]).toEqual([409, 'Conflict']);
  });

  test.each([100, 900_000])(
    'with a wrong root is answered with 422 and nothing is stored: %i bytes',
    async (length) => {
      const { stored: name, body } = putOf(sampleBytes(length));
      for (const at of [0, length >> 1, length - 1, length, body.length - 1]) {
        const wrong = Buffer.from(body);
        wrong[at]! ^= 4;
        const grant = setting.grant({ op: 'put', shard: name, size: length });
        const answer = await ask('PUT', `/v1/shards/${name}`, grant, wrong);
        expect([answer.status, kindOf(answer)]).toEqual([422, 'Corrupt']);
      }
      expect(await stored()).toEqual([]);
    },
  );

  test('of a body that ends before its root is answered with 422', async () => {
    const { stored: name, body } = putOf(sampleBytes(5000));
    for (const length of [0, 31, 4000, 5031]) {
      const grant = setting.grant({ op: 'put', shard: name, size: 5000 });
      const answer = await ask('PUT', `/v1/shards/${name}`, grant, body.subarray(0, length));
      expect([answer.status, kindOf(answer)]).toEqual([422, 'Corrupt']);
    }
    expect(await stored()).toEqual([]);
  });

  test('of no bytes at all is no shard', async () => {
    const { stored: name, body } = putOf(new Uint8Array(0));
    const answer = await ask('PUT', `/v1/shards/${name}`, setting.grant({ op: 'put', shard: name }), body);
    expect([answer.status, kindOf(answer)]).toEqual([400, 'Source']);
    expect(await stored()).toEqual([]);
  });
});

describe('proof', () => {
  test('is signed for the challenge and leads to the root', async () => {
    const bytes = sampleBytes(5 * LEAF_BYTES + 7);
    const { shard, stored: name, root } = await put(setting, bytes);
    const grant = setting.grant({ op: 'prove', shard: name });
    const answer = await ask('GET', `/v1/shards/${name}/proof?leaf=5&nonce=${NONCE}`, grant);
    const { value, signer } = openStatement(signedIn(answer), 'proof', proofStatementSchema);
    expect(value).toMatchObject({ provider: signer, ...shard, leaf: 5, nonce: NONCE });
    expect(value.leafHash).toBe(Buffer.from(hasher.hash(answer.bytes)).toString('hex'));
    const path = Buffer.from(value.path, 'base64url');
    expect(hasher.verify(Buffer.from(root, 'hex'), bytes.length, 5, answer.bytes, path)).toBe(true);
  });

  test('is asked for by a monitor with its own signature', async () => {
    const { stored: name } = await put(setting, sampleBytes(100));
    const monitor = createIdentity();
    const { text, nonce } = issueGrant(setting.gateway.identity, {
      op: 'prove',
      holder: monitor.id,
      provider: setting.provider.id,
      shard: name,
      size: 0,
      expires: setting.hello.time + 60_000,
    });
    const path = `/v1/shards/${name}/proof?leaf=0&nonce=${NONCE}`;
    const bare = await ask('GET', path, { text });
    expect([bare.status, kindOf(bare)]).toEqual([401, 'Refused']);
    const headers = {
      ...shown({ text }),
      'shardway-holder': useGrant(monitor, nonce, setting.hello.session),
    };
    expect((await call(setting.provider.endpoint, 'GET', path, headers)).status).toBe(200);
  });

  test('of a shard that is not there is a signed denial', async () => {
    const { shard, stored: name } = putOf(sampleBytes(10));
    const grant = setting.grant({ op: 'prove', shard: name });
    const answer = await ask('GET', `/v1/shards/${name}/proof?leaf=3&nonce=${NONCE}`, grant);
    expect([answer.status, kindOf(answer)]).toEqual([404, 'NotFound']);
    const { value, signer } = openStatement(signedIn(answer), 'denial', denialStatementSchema);
    expect(value).toEqual({ provider: signer, ...shard, leaf: 3, nonce: NONCE, reason: 'NotFound' });
  });

  test('of a leaf that the shard does not have is a signed denial of that leaf', async () => {
    const { stored: name } = await put(setting, sampleBytes(LEAF_BYTES));
    const grant = setting.grant({ op: 'prove', shard: name });
    const answer = await ask('GET', `/v1/shards/${name}/proof?leaf=1&nonce=${NONCE}`, grant);
    expect([answer.status, kindOf(answer)]).toEqual([410, 'Corrupt']);
    const { value } = openStatement(signedIn(answer), 'denial', denialStatementSchema);
    expect([value.leaf, value.reason]).toEqual([1, 'Corrupt']);
  });

  test('is of what lies on the disk: a torn file is denied', async () => {
    const { stored: name } = await put(setting, sampleBytes(50_000));
    const { truncate } = await import('node:fs/promises');
    await truncate(`${setting.shards}/shards/${name.slice(0, 2)}/${name}`, 20_000);
    const grant = setting.grant({ op: 'prove', shard: name });
    const answer = await ask('GET', `/v1/shards/${name}/proof?leaf=0&nonce=${NONCE}`, grant);
    expect([answer.status, kindOf(answer)]).toEqual([410, 'Corrupt']);
    const { value } = openStatement(signedIn(answer), 'denial', denialStatementSchema);
    expect(value.reason).toBe('Corrupt');
  });
});

describe('the other routes', () => {
  test('list, delete and space', async () => {
    const made = [await put(setting, sampleBytes(100)), await put(setting, sampleBytes(20_000))];
    const rows = async (query: string) =>
      shardPageSchema.parse(
        JSON.parse((await ask('GET', `/v1/shards?${query}`, setting.grant({ op: 'list' }))).text),
      );
    const names = made.map(({ stored }) => stored).sort();
    expect((await rows('limit=10')).map(([name]) => name)).toEqual(names);
    expect((await rows(`limit=10&after=${names[0]}`)).map(([name]) => name)).toEqual(names.slice(1));
    for (const { stored: name } of [...made, ...made]) {
      const grant = setting.grant({ op: 'delete', shard: name });
      expect((await ask('DELETE', `/v1/shards/${name}`, grant)).status).toBe(204);
    }
    expect(await rows('limit=10')).toEqual([]);
    const space = await ask('GET', '/v1/space', setting.grant({ op: 'space' }));
    expect(spaceSchema.parse(JSON.parse(space.text))).toEqual({
      capacity: 64 * 1024 * 1024,
      free: 64 * 1024 * 1024,
    });
  });

  test('a read takes no more leaves than its grant', async () => {
    const { stored: name } = await put(setting, sampleBytes(3 * LEAF_BYTES));
    const grant = setting.grant({ op: 'get', shard: name, size: 2 });
    const answer = await ask('GET', `/v1/shards/${name}?first=0&count=3`, grant);
    expect([answer.status, kindOf(answer)]).toEqual([401, 'Refused']);
    const two = await ask('GET', `/v1/shards/${name}?first=1&count=2`, grant);
    expect(two.bytes.length - Number(two.headers['shardway-proof-bytes'])).toBe(2 * LEAF_BYTES);
  });

  test.each([
    ['GET', '/v1/nothing'],
    ['GET', '/'],
    ['GET', '/v1/shards/../../etc/passwd'],
    ['GET', '/v1/shards/..%2f..%2fidentity.pem?first=0&count=1'],
    ['POST', `/v1/shards/${'0'.repeat(32)}.0`],
    ['PUT', `/v1/shards/${'0'.repeat(32)}.0/proof`],
    ['GET', `/v1/shards/${'0'.repeat(32)}.0?first=-1&count=1`],
    ['GET', `/v1/shards/${'0'.repeat(32)}.0?first=0&count=99999999`],
    ['GET', '/v1/shards?limit=100000'],
  ])('%s %s is refused', async (method, path) => {
    const answer = await ask(method, path);
    expect([answer.status, kindOf(answer)]).toEqual([400, 'Refused']);
  });

  test('every operation needs a grant', async () => {
    const { stored: name, body } = await put(setting, sampleBytes(100));
    const asked = [
      ask('PUT', `/v1/shards/${name}`, undefined, body),
      ask('GET', `/v1/shards/${name}?first=0&count=1`),
      ask('GET', `/v1/shards/${name}/proof?leaf=0&nonce=${NONCE}`),
      ask('DELETE', `/v1/shards/${name}`),
      ask('GET', '/v1/shards?limit=1'),
      ask('GET', '/v1/space'),
    ];
    for (const answer of await Promise.all(asked)) {
      expect([answer.status, kindOf(answer)]).toEqual([401, 'Refused']);
    }
  });
});

describe('capacity', () => {
  test('is not exceeded, by shards at once neither, and counts what is there after a restart', async () => {
    await setting.dispose();
    setting = await newSetting({ capacity: 1_000_000 });
    const space = async () => {
      const { text } = await ask('GET', '/v1/space', setting.grant({ op: 'space' }));
      return spaceSchema.parse(JSON.parse(text)).free;
    };
    const results = await Promise.allSettled([1, 2, 3, 4].map(() => put(setting, sampleBytes(300_000))));
    expect(results.map(({ status }) => status).sort()).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
    const refused = results.find((result) => result.status === 'rejected');
    expect(String(refused?.reason)).toMatch(/507.*NoSpace/);
    const free = await space();
    expect(free).toBeLessThan(100_000);
    setting = await setting.restart();
    expect(await space()).toBe(free);
    const { stored: name } = results.find((result) => result.status === 'fulfilled')!.value;
    await ask('DELETE', `/v1/shards/${name}`, setting.grant({ op: 'delete', shard: name }));
    expect(await space()).toBeGreaterThan(free + 300_000);
  });

  test('is not exceeded by a body that does not tell its length', async () => {
    await setting.dispose();
    setting = await newSetting({ capacity: 1_000_000 });
    const streamed = (bytes: Uint8Array) => {
      const { stored: name, body } = putOf(bytes);
      const headers = shown(setting.grant({ op: 'put', shard: name, size: 1024 ** 3 }));
      const chunked = { ...headers, 'transfer-encoding': 'chunked' };
      return call(setting.provider.endpoint, 'PUT', `/v1/shards/${name}`, chunked, body);
    };
    expect((await streamed(sampleBytes(600_000))).status).toBe(201);
    const answer = await streamed(sampleBytes(600_000, 2));
    expect([answer.status, kindOf(answer)]).toEqual([507, 'NoSpace']);
    expect(await stored()).toHaveLength(1);
    expect((await streamed(sampleBytes(300_000, 3))).status).toBe(201);
  });

  test('a put that failed takes none of it', async () => {
    await setting.dispose();
    const rules = [{ operations: ['put'], fault: { kind: 'fail', error: 'Unavailable' }, nth: [1] }] as const;
    setting = await newSetting({
      decorate: (transport) => faulty(transport, { seed: 1, rules }, systemClock),
      capacity: 1_000_000,
    });
    await expect(put(setting, sampleBytes(900_000))).rejects.toThrow(/503.*Unavailable/);
    await put(setting, sampleBytes(900_000));
    expect(setting.events.map(({ kind }) => kind)).toContain('storage-failed');
  });
});

test('after a restart a grant of the old session is refused, and the shards are still served', async () => {
  const bytes = sampleBytes(40_000);
  const { stored: name } = await put(setting, bytes);
  const old = setting.grant({ op: 'get', shard: name, size: 3 });
  const { id } = setting.provider;
  setting = await setting.restart();
  expect(setting.provider.id).toBe(id);
  const path = `/v1/shards/${name}?first=0&count=3`;
  const refused = await ask('GET', path, old);
  expect([refused.status, kindOf(refused)]).toEqual([401, 'Refused']);
  const got = await ask('GET', path, setting.grant({ op: 'get', shard: name, size: 3 }));
  expect(Buffer.compare(got.bytes, bytes)).toBe(0);
});
