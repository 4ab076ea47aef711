import { describe, expect, test } from 'vitest';
import { asRepair, countOutcome, observed, zeroCounters } from '../../../placement/network/observed.ts';
import type { MovableTransport } from '../../../placement/transports/httpProvider.ts';
import { TransportError, type ShardName, type ShardSource } from '../../../placement/types.ts';

const NAME: ShardName = { chunk: '0'.repeat(32), index: 0 };
const SOURCE = {} as ShardSource;
const SLICE = { first: 0, bytes: new Uint8Array(100), proof: new Uint8Array(32) };

function transport(fields: Partial<MovableTransport>): MovableTransport {
  return {
    get: async () => SLICE,
    prove: async () => SLICE,
    put: async () => undefined,
    ...fields,
  } as MovableTransport;
}

describe('observed transport', () => {
  test('counts writes, reads and their bytes, those for repair apart', async () => {
    const counters = zeroCounters();
    const seen = observed(
      transport({}),
      () => counters,
      () => true,
    );
    await seen.put(NAME, SOURCE);
    await seen.get(NAME, 0, 1);
    await seen.prove(NAME, 0);
    await asRepair(async () => {
      await Promise.resolve();
      await seen.get(NAME, 0, 1);
    });
    expect(counters).toEqual({
      ...zeroCounters(),
      writes: 1,
      reads: 3,
      egressBytes: 200,
      repairEgressBytes: 100,
    });
  });

  test('a refusal for lack of space counts against who says it has room', async () => {
    const counters = zeroCounters();
    let hasRoom = true;
    let kind: 'NoSpace' | 'Unavailable' = 'NoSpace';
    const put = async (): Promise<void> => {
      throw new TransportError(kind, 'no');
    };
    const seen = observed(
      transport({ put }),
      () => counters,
      () => hasRoom,
    );
    await expect(seen.put(NAME, SOURCE)).rejects.toMatchObject({ kind: 'NoSpace' });
    hasRoom = false;
    await expect(seen.put(NAME, SOURCE)).rejects.toMatchObject({ kind: 'NoSpace' });
    hasRoom = true;
    kind = 'Unavailable';
    await expect(seen.put(NAME, SOURCE)).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(counters).toEqual({ ...zeroCounters(), refusedWithSpace: 1 });
  });

  test('wrong bytes are what a reader says', () => {
    const counters = zeroCounters();
    countOutcome(counters, { kind: 'read', latencyMs: 1, failure: 'WrongBytes' });
    countOutcome(counters, { kind: 'read', latencyMs: 1, failure: 'Timeout' });
    expect(counters.wrongReads).toBe(1);
  });
});
