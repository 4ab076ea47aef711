import { PlacementError, TransportError, type ShardTransport } from '#placement';
import { afterEach, describe, expect, test } from 'vitest';
import { sampleBytes } from './shards.ts';
import { openTestStore, proxy, readAll, writeChunk, type TestStore } from './stores.ts';

const bytes = sampleBytes(200_000);
const PROFILE = { data: 4, parity: 2 };
const THREE_SITES = ['a', 'a', 'b', 'b', 'c', 'c'];

let made: TestStore;
afterEach(() => made.dispose());

async function refusal(work: Promise<unknown>): Promise<PlacementError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PlacementError);
  return error as PlacementError;
}

/** The put of one directory's provider replaced. */
const withPut =
  (number: number, put: ShardTransport['put']) =>
  (transport: ShardTransport, directory: number): ShardTransport =>
    directory === number ? proxy(transport, { put }) : transport;

/** Never answers but to an abort. */
const hang: ShardTransport['put'] = (_, __, signal) =>
  new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(new TransportError('Aborted', 'aborted')));
  });

describe('what has to be survived', () => {
  test('is kept, with the shards spread evenly', async () => {
    made = await openTestStore({ sites: [...THREE_SITES, ...THREE_SITES], survive: ['site', 'operator'] });
    for (let round = 0; round < 10; round++) {
      const { record, survives } = await writeChunk(made, bytes, PROFILE);
      expect(survives).toEqual(['site', 'operator']);
      expect(Buffer.from(await readAll(made, record)).equals(bytes)).toBe(true);
    }
  });

  test('is refused before a byte is taken, where the providers do not allow it', async () => {
    made = await openTestStore({ survive: ['region'] });
    const error = await refusal(writeChunk(made, bytes, PROFILE));
    expect(error).toMatchObject({ kind: 'DomainRule', retryable: true });
    expect(error.message).toMatch(/any one region/);
    expect(await made.stored()).toEqual([]);
  });

  test('is refused with as few providers as can be written to, when a site has more than one of them', async () => {
    // Five shards: each that is lost with its site must be the only one there.
    made = await openTestStore({ sites: ['a', 'b', 'c', 'd', 'd'], survive: ['site'] });
    expect((await refusal(writeChunk(made, bytes, PROFILE))).kind).toBe('DomainRule');
    await made.dispose();
    made = await openTestStore({ sites: ['a', 'b', 'c', 'd', 'e'], survive: ['site'] });
    expect((await writeChunk(made, bytes, PROFILE)).survives).toContain('site');
  });

  test('is refused at the end when a replacement broke it, and nothing stays', async () => {
    let failures = 0;
    const fail: ShardTransport['put'] = async () => {
      failures++;
      throw new TransportError('Unavailable', 'no route');
    };
    // The seventh is the only replacement for the sixth, and site a has two already.
    const wrap = withPut(5, fail);
    made = await openTestStore({ sites: [...THREE_SITES, 'a'], survive: ['site'], wrap });
    const outcomes: string[] = [];
    for (let round = 0; round < 8; round++) {
      const before = failures;
      const outcome = await writeChunk(made, bytes, PROFILE).then(
        () => (failures === before ? 'written' : 'written without what is required'),
        (error: PlacementError) => error.kind,
      );
      outcomes.push(outcome);
    }
    expect(new Set(outcomes)).toEqual(new Set(['DomainRule']));
    expect(failures).toBeGreaterThan(0);
    expect(await made.stored()).toEqual([]);
  });

  test('counts shards that are durable only: a late one is waited for', async () => {
    const limits = { commitMs: 200, graceMsMin: 20, patienceMsMin: 20 };
    const wrap = withPut(5, hang);
    made = await openTestStore({ sites: THREE_SITES, survive: ['site'], wrap, limits });
    expect((await refusal(writeChunk(made, bytes, PROFILE))).kind).toBe('DomainRule');
    expect(await made.stored()).toEqual([]);
  });
});

test('where nothing has to be survived, what is survived now is told', async () => {
  const limits = { graceMsMin: 20, patienceMsMin: 20, lateMs: 50 };
  made = await openTestStore({ sites: THREE_SITES, wrap: withPut(5, hang), limits });
  const { needsRepair, survives } = await writeChunk(made, bytes, PROFILE);
  // Five shards are durable: a site with two of them cannot be lost, an operator can.
  expect([needsRepair, survives]).toEqual([true, ['operator']]);
});
