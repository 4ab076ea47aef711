import { createHasher, LEAF_BYTES } from '#erasure';
import { TransportError, type ShardName, type ShardSource, type ShardTransport } from '#placement';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cellsOf, newChunkId, sampleBytes, sealOf, wholeOf } from './shards.ts';

export interface TransportUnderTest {
  readonly transport: ShardTransport;
  /** Closes the transport and removes its storage. */
  dispose(): Promise<void>;
}

const hasher = createHasher();

/** What every ShardTransport must do. @param make an empty provider */
export function shardTransportContract(name: string, make: () => Promise<TransportUnderTest>): void {
  describe(`${name} is a ShardTransport`, () => {
    let made: TransportUnderTest;
    let transport: ShardTransport;
    beforeEach(async () => {
      made = await make();
      transport = made.transport;
    });
    afterEach(() => made.dispose());

    readingTests(() => transport);
    writingTests(() => transport);
    listingTests(() => transport);
  });
}

function newName(index = 0): ShardName {
  return { chunk: newChunkId(), index };
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'success',
    (error: unknown) =>
      error instanceof TransportError ? error.kind : `not a TransportError: ${String(error)}`,
  );
}

function readingTests(transport: () => ShardTransport): void {
  const lengths = [1, 1000, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 7 * LEAF_BYTES + 5, 700_000];

  test.each(lengths)('gives back every leaf of %i bytes with a proof that verifies', async (length) => {
    const bytes = sampleBytes(length);
    const { root } = sealOf(bytes);
    for (const source of [cellsOf(bytes), wholeOf(bytes)]) {
      const name = newName(3);
      await transport().put(name, source);
      const width = Math.ceil(length / LEAF_BYTES);
      const ranges = [
        [0, width],
        [0, 1],
        [width - 1, 1],
        [width >> 1, width - (width >> 1)],
      ] as const;
      for (const [first, count] of ranges) {
        const slice = await transport().get(name, first, count);
        expect(slice.first).toBe(first);
        const expected = bytes.subarray(first * LEAF_BYTES, (first + count) * LEAF_BYTES);
        expect(Buffer.compare(slice.bytes, expected)).toBe(0);
        expect(hasher.verify(root, length, first, slice.bytes, slice.proof)).toBe(true);
      }
    }
  });

  test('proves one leaf', async () => {
    const bytes = sampleBytes(5 * LEAF_BYTES + 1);
    const name = newName();
    await transport().put(name, cellsOf(bytes));
    const { first, bytes: leaf, proof } = await transport().prove(name, 5);
    expect([first, leaf.length]).toEqual([5, 1]);
    expect(hasher.verify(sealOf(bytes).root, bytes.length, 5, leaf, proof)).toBe(true);
  });

  test('a shard that is not there is NotFound', async () => {
    expect(await failure(transport().get(newName(), 0, 1))).toBe('NotFound');
    expect(await failure(transport().prove(newName(), 0))).toBe('NotFound');
  });

  test('a range outside the shard is Corrupt: its reader believes in a longer one', async () => {
    const name = newName();
    await transport().put(name, cellsOf(sampleBytes(LEAF_BYTES + 1)));
    expect(await failure(transport().get(name, 1, 2))).toBe('Corrupt');
    expect(await failure(transport().prove(name, 2))).toBe('Corrupt');
  });

  test('an aborted call is Aborted', async () => {
    const name = newName();
    await transport().put(name, cellsOf(sampleBytes(10)));
    const signal = AbortSignal.abort();
    expect(await failure(transport().get(name, 0, 1, signal))).toBe('Aborted');
    expect(await failure(transport().prove(name, 0, signal))).toBe('Aborted');
    expect(await failure(transport().list(undefined, 1, signal))).toBe('Aborted');
    expect(await failure(transport().delete(name, signal))).toBe('Aborted');
    expect(await failure(transport().put(newName(), cellsOf(sampleBytes(10)), signal))).toBe('Aborted');
    expect(await transport().list(undefined, 10)).toHaveLength(1);
  });
}

function writingTests(transport: () => ShardTransport): void {
  test('the same shard again is success, another one Conflict, and the first stays', async () => {
    const name = newName();
    const bytes = sampleBytes(40_000, 1);
    await transport().put(name, cellsOf(bytes));
    await transport().put(name, wholeOf(bytes));
    expect(await failure(transport().put(name, cellsOf(sampleBytes(40_000, 2))))).toBe('Conflict');
    expect(Buffer.compare((await transport().get(name, 0, 3)).bytes, bytes)).toBe(0);
  });

  test.each([
    ['cells', cellsOf, cellsOf],
    ['whole', wholeOf, wholeOf],
    ['cells and whole', cellsOf, wholeOf],
    ['whole and cells', wholeOf, cellsOf],
  ])('of two different shards put at once under one name exactly one wins: %s', async (_, ...sources) => {
    const name = newName();
    const both = [sampleBytes(30_000, 1), sampleBytes(30_000, 2)] as const;
    const outcomes = await Promise.all(
      both.map((bytes, which) => failure(transport().put(name, sources[which]!(bytes)))),
    );
    expect([...outcomes].sort()).toEqual(['Conflict', 'success']);
    const winner = both[outcomes.indexOf('success')]!;
    expect(Buffer.compare((await transport().get(name, 0, 2)).bytes, winner)).toBe(0);
  });

  test('many puts at once all become durable', async () => {
    const names = Array.from({ length: 40 }, (_, index) => newName(index % 6));
    await Promise.all(names.map((name, seed) => transport().put(name, wholeOf(sampleBytes(2000, seed)))));
    for (const [seed, name] of names.entries()) {
      expect(Buffer.compare((await transport().get(name, 0, 1)).bytes, sampleBytes(2000, seed))).toBe(0);
    }
  });

  test('a source that fails leaves nothing behind', async () => {
    async function* cells(): AsyncGenerator<Uint8Array, undefined> {
      yield sampleBytes(50_000);
      throw new Error('broken source');
    }
    const name = newName();
    const source: ShardSource = { cells: cells(), seal: () => sealOf(sampleBytes(50_000)) };
    expect(await failure(transport().put(name, source))).toBe('Source');
    expect(await failure(transport().get(name, 0, 1))).toBe('NotFound');
    expect(await transport().list(undefined, 10)).toEqual([]);
  });

  test('an abort while the source gives nothing ends the put and leaves nothing behind', async () => {
    const abort = new AbortController();
    async function* cells(): AsyncGenerator<Uint8Array, undefined> {
      yield sampleBytes(50_000);
      queueMicrotask(() => abort.abort());
      await new Promise(() => undefined);
    }
    const source: ShardSource = { cells: cells(), seal: () => sealOf(sampleBytes(50_000)) };
    expect(await failure(transport().put(newName(), source, abort.signal))).toBe('Aborted');
    expect(await transport().list(undefined, 10)).toEqual([]);
  });

  test('delete removes one shard and is idempotent', async () => {
    const chunk = newChunkId();
    await transport().put({ chunk, index: 0 }, cellsOf(sampleBytes(100)));
    await transport().put({ chunk, index: 1 }, cellsOf(sampleBytes(100)));
    await transport().delete({ chunk, index: 0 });
    await transport().delete({ chunk, index: 0 });
    await transport().delete(newName());
    expect(await failure(transport().get({ chunk, index: 0 }, 0, 1))).toBe('NotFound');
    expect((await transport().get({ chunk, index: 1 }, 0, 1)).bytes).toHaveLength(100);
  });

  test('a name that is no shard name is refused', async () => {
    for (const name of [
      { chunk: '../../etc/passwd', index: 0 },
      { chunk: newChunkId(), index: 30 },
      { chunk: newChunkId(), index: -1 },
    ]) {
      await expect(transport().put(name, cellsOf(sampleBytes(1)))).rejects.toThrow(RangeError);
      await expect(transport().get(name, 0, 1)).rejects.toThrow(RangeError);
      await expect(transport().delete(name)).rejects.toThrow(RangeError);
    }
  });
}

function listingTests(transport: () => ShardTransport): void {
  test('lists pages in order of stored name, without omission or duplicate', async () => {
    const prefixes = ['00', '00', '3f', '3f', '3f', 'a0', 'ff'];
    const names = prefixes.flatMap((prefix) => {
      const chunk = newChunkId(prefix);
      return [0, 2, 10].map((index) => ({ chunk, index }));
    });
    await Promise.all(names.map((name, at) => transport().put(name, cellsOf(sampleBytes(100 + at)))));
    const expected = names.map(({ chunk, index }, at) => [`${chunk}.${index}`, 100 + at] as const);
    for (const limit of [1, 4, 1000]) {
      const listed: (readonly [string, number])[] = [];
      let after: string | undefined;
      for (;;) {
        const page = await transport().list(after, limit);
        expect(page.length).toBeLessThanOrEqual(limit);
        if (page.length === 0) break;
        listed.push(...page.map(({ chunk, index, length }) => [`${chunk}.${index}`, length] as const));
        [after] = listed[listed.length - 1]!;
      }
      expect(listed).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)));
    }
  });

  test('tells since when a shard is stored, and how much room there is', async () => {
    const before = Date.now() - 5000;
    await transport().put(newName(), cellsOf(sampleBytes(100)));
    const [stored] = await transport().list(undefined, 1);
    expect(stored!.storedAt).toBeGreaterThan(before);
    expect(stored!.storedAt).toBeLessThan(Date.now() + 5000);
    const { capacity, free } = await transport().space();
    expect(free).toBeGreaterThan(0);
    expect(capacity).toBeGreaterThanOrEqual(free);
  });

  test('a closed transport is Unavailable', async () => {
    await transport().close();
    expect(await failure(transport().put(newName(), cellsOf(sampleBytes(1))))).toBe('Unavailable');
    expect(await failure(transport().get(newName(), 0, 1))).toBe('Unavailable');
  });
}
