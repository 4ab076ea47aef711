import { createHasher, LEAF_BYTES } from '#erasure';
import { systemClock, TransportError, type ShardSource } from '#placement';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AddressRules } from '../../../placement/network/addressRules.ts';
import { HttpProvider } from '../../../placement/transports/httpProvider.ts';
import { filesIn } from '../directories.ts';
import { newSetting, type Setting } from '../provider/support.ts';
import { cellsOf, newChunkId, sampleBytes, sealOf, wholeOf } from '../shards.ts';
import { shardTransportContract } from '../shardTransportContract.ts';

const ANYWHERE: AddressRules = { allowPrivate: true, listeners: () => [] };

function providerOf({ gateway, provider }: Setting): HttpProvider {
  const { id, endpoint, identity } = provider;
  return new HttpProvider({
    endpoint,
    provider: { id, publicKey: identity.publicKey },
    gateway: gateway.identity,
    clock: systemClock,
    addresses: ANYWHERE,
  });
}

shardTransportContract('a provider’s daemon', async () => {
  const setting = await newSetting();
  const transport = providerOf(setting);
  return {
    transport,
    dispose: async () => {
      await transport.close();
      await setting.dispose();
    },
  };
});

let setting: Setting;
let provider: HttpProvider;
beforeEach(async () => {
  setting = await newSetting();
  provider = providerOf(setting);
});
afterEach(async () => {
  await provider.close();
  await setting.dispose();
});

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'success',
    (error: unknown) => (error instanceof TransportError ? error.kind : String(error)),
  );
}

/** Files of shards, and of shards on their way. */
async function stored(): Promise<string[]> {
  return (await filesIn(setting.shards)).filter((path) => path !== 'provider.json');
}

test('a long shard in cells of many sizes arrives whole', async () => {
  const bytes = sampleBytes(5_000_001);
  async function* cells(): AsyncGenerator<Uint8Array, undefined> {
    const memory = new Uint8Array(400_000);
    let at = 0;
    for (const size of [1, 65_535, 65_536, 65_537, 262_144, 262_145, 400_000]) {
      memory.set(bytes.subarray(at, at + size));
      yield memory.subarray(0, size);
      memory.fill(0xee);
      at += size;
    }
    for (; at < bytes.length; at += 300_000) {
      const piece = bytes.subarray(at, at + 300_000);
      memory.set(piece);
      yield memory.subarray(0, piece.length);
      memory.fill(0xee);
    }
  }
  const name = { chunk: newChunkId(), index: 0 };
  const seal = sealOf(bytes);
  await provider.put(name, { cells: cells(), seal: () => seal });
  const leaves = Math.ceil(bytes.length / LEAF_BYTES);
  const slice = await provider.get(name, 0, leaves);
  expect(Buffer.compare(slice.bytes, bytes)).toBe(0);
  expect(createHasher().verify(seal.root, bytes.length, 0, slice.bytes, slice.proof)).toBe(true);
});

test('a whole shard longer than a piece arrives whole', async () => {
  const bytes = sampleBytes(1_000_001);
  const name = { chunk: newChunkId(), index: 0 };
  await provider.put(name, wholeOf(bytes));
  expect(Buffer.compare((await provider.get(name, 0, 62)).bytes, bytes)).toBe(0);
});

test('a provider without room is NoSpace, and takes what fits', async () => {
  setting = await setting.restart({ capacity: 500_000 });
  provider.moveTo(setting.provider.endpoint);
  const put = (source: ShardSource): Promise<string> =>
    failure(provider.put({ chunk: newChunkId(), index: 0 }, source));
  expect(await put(cellsOf(sampleBytes(600_000)))).toBe('NoSpace');
  expect(await put(wholeOf(sampleBytes(600_000)))).toBe('NoSpace');
  expect(await put(cellsOf(sampleBytes(100_000)))).toBe('success');
});

test('a seal that is not of its bytes leaves nothing', async () => {
  const name = { chunk: newChunkId(), index: 0 };
  const wrong = sealOf(sampleBytes(100_000, 2));
  expect(await failure(provider.put(name, { ...cellsOf(sampleBytes(100_000)), seal: () => wrong }))).toBe(
    'Corrupt',
  );
  const shorter = sealOf(sampleBytes(99_999));
  expect(await failure(provider.put(name, { ...cellsOf(sampleBytes(100_000)), seal: () => shorter }))).toBe(
    'Source',
  );
  expect(await stored()).toEqual([]);
});

test('an abort in the middle of a put leaves nothing, and its connection is of no harm to the next', async () => {
  for (let round = 0; round < 5; round++) {
    const abort = new AbortController();
    let cells = 0;
    const source = cellsOf(sampleBytes(2_000_000), 200_000);
    async function* stopping(): AsyncGenerator<Uint8Array, undefined> {
      for await (const cell of source.cells) {
        if (++cells === 2 + round) abort.abort();
        yield cell;
      }
    }
    const put = provider.put(
      { chunk: newChunkId(), index: 0 },
      { cells: stopping(), seal: () => source.seal() },
      abort.signal,
    );
    expect(await failure(put)).toBe('Aborted');
  }
  const name = { chunk: newChunkId(), index: 0 };
  await provider.put(name, cellsOf(sampleBytes(1000)));
  expect((await provider.list(undefined, 10)).map(({ chunk }) => chunk)).toEqual([name.chunk]);
});

test('goes on with a provider that is started anew and at another port', async () => {
  const name = { chunk: newChunkId(), index: 0 };
  await provider.put(name, wholeOf(sampleBytes(100)));
  setting = await setting.restart();
  expect(await failure(provider.get(name, 0, 1))).toBe('Unavailable');
  provider.moveTo(setting.provider.endpoint);
  expect((await provider.get(name, 0, 1)).bytes).toHaveLength(100);
});

test('another gateway is refused', async () => {
  const other = await newSetting();
  const { id, identity, endpoint } = setting.provider;
  const stranger = new HttpProvider({
    endpoint,
    provider: { id, publicKey: identity.publicKey },
    gateway: other.gateway.identity,
    clock: systemClock,
    addresses: ANYWHERE,
  });
  expect(await failure(stranger.space())).toBe('Unavailable');
  await stranger.close();
  await other.dispose();
});
