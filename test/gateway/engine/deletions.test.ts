import { describe, expect, test } from 'vitest';
import type { ChunkRecord } from '#placement';
import { Deletions } from '../../../gateway/engine/deletions.ts';
import { ManualClock } from '../../placement/manualClock.ts';

const record = (id: number): ChunkRecord => ({
  id: id.toString(16).padStart(32, '0'),
  profile: { data: 2, parity: 1 },
  length: 1,
  cell: 1,
  generation: 1,
  shards: [],
});

/** Ends when it is told to. */
class Chunks {
  readonly asked: string[] = [];
  readonly #open = new Map<string, PromiseWithResolvers<void>>();
  hanging = new Set<string>();

  async delete({ id }: ChunkRecord): Promise<void> {
    this.asked.push(id);
    if (!this.hanging.has(id)) return;
    const open = Promise.withResolvers<void>();
    this.#open.set(id, open);
    await open.promise;
  }

  end(id: string, error?: Error): void {
    const open = this.#open.get(id)!;
    if (error) open.reject(error);
    else open.resolve();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function opened(): { chunks: Chunks; clock: ManualClock; deletions: Deletions } {
  const chunks = new Chunks();
  const clock = new ManualClock();
  return { chunks, clock, deletions: new Deletions(chunks, clock) };
}

describe('deletions', () => {
  test('one that hangs is left to itself, and those behind it are deleted', async () => {
    const { chunks, clock, deletions } = opened();
    const [slow, quick] = [record(1), record(2)];
    chunks.hanging.add(slow.id);
    const first = deletions.delete(slow);
    await settled();
    clock.advance(1000);
    expect(await first).toBe(false);
    expect(await deletions.delete(quick)).toBe(true);
    // Not asked again while it goes on, and told once it has ended.
    expect(await deletions.delete(slow)).toBe(false);
    chunks.end(slow.id);
    await settled();
    expect(await deletions.delete(slow)).toBe(true);
    expect(chunks.asked).toEqual([slow.id, quick.id]);
  });

  test('what has failed is tried again later and later, or at once when somebody asks', async () => {
    const { chunks, clock, deletions } = opened();
    const one = record(1);
    chunks.hanging.add(one.id);
    const failing = async (): Promise<boolean> => {
      const work = deletions.delete(one);
      await settled();
      chunks.end(one.id, new Error('injected'));
      return await work;
    };
    expect(await failing()).toBe(false);
    expect(await deletions.delete(one)).toBe(false);
    expect(chunks.asked).toHaveLength(1);
    clock.advance(30_000);
    expect(await failing()).toBe(false);
    clock.advance(30_000);
    expect(await deletions.delete(one)).toBe(false);
    expect(chunks.asked).toHaveLength(2);
    deletions.retryAll();
    chunks.hanging.delete(one.id);
    expect(await deletions.delete(one)).toBe(true);
  });
});
