import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BudgetTimeout, MemoryBudget } from '../../../gateway/http/budget.ts';
import type { Reservation } from '../../../gateway/http/budget.ts';
import { ThroughputMeter } from '../../../gateway/http/throughput.ts';

const never = new AbortController().signal;
const LONG_MS = 60_000;

describe('memory budget', () => {
  test('waits its turn: a small request does not overtake a large one', async () => {
    const budget = new MemoryBudget(10);
    const first = await budget.reserve(6, LONG_MS, never);
    const order: string[] = [];
    const large = budget.reserve(8, LONG_MS, never).then((share) => {
      order.push('large');
      return share;
    });
    const small = budget.reserve(1, LONG_MS, never).then((share) => {
      order.push('small');
      return share;
    });
    expect([budget.reserved, budget.waiting]).toEqual([6, 2]);
    first.release();
    (await large).release();
    (await small).release();
    expect(order).toEqual(['large', 'small']);
    expect(budget.reserved).toBe(0);
  });

  test('more than there is takes all there is', async () => {
    const budget = new MemoryBudget(10);
    const all = await budget.reserve(99, LONG_MS, never);
    expect(budget.reserved).toBe(10);
    all.release();
    all.release();
    expect(budget.reserved).toBe(0);
  });

  test('a waiter that gives up lets the next one in', async () => {
    const budget = new MemoryBudget(10);
    const held = await budget.reserve(5, LONG_MS, never);
    const gone = new AbortController();
    const large = budget.reserve(9, LONG_MS, gone.signal);
    const small = budget.reserve(5, LONG_MS, never);
    gone.abort(new Error('gone'));
    await expect(large).rejects.toThrow('gone');
    (await small).release();
    const late = budget.reserve(9, 1, never);
    await expect(late).rejects.toBeInstanceOf(BudgetTimeout);
    held.release();
    expect([budget.reserved, budget.waiting]).toEqual([0, 0]);
    await expect(budget.reserve(1, LONG_MS, AbortSignal.abort(new Error('early')))).rejects.toThrow('early');
  });

  test('any order of reserving, releasing and giving up: never above capacity, nobody forgotten', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('reserve' as const), bytes: fc.integer({ min: 0, max: 12 }) }),
      fc.record({ kind: fc.constantFrom('release' as const, 'abort' as const), at: fc.nat(9) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const budget = new MemoryBudget(10);
        const held: Reservation[] = [];
        const waiting: AbortController[] = [];
        for (const action of steps) {
          if (action.kind === 'reserve') {
            const gone = new AbortController();
            waiting.push(gone);
            const settled = (): void => void waiting.splice(waiting.indexOf(gone), 1);
            budget
              .reserve(action.bytes, LONG_MS, gone.signal)
              .then((share) => (settled(), held.push(share)), settled);
          } else if (action.kind === 'release') held.splice(action.at, 1)[0]?.release();
          else waiting[action.at]?.abort();
          await Promise.resolve();
          expect(budget.reserved).toBeLessThanOrEqual(10);
        }
        for (let rounds = 0; rounds < 200 && (held.length > 0 || waiting.length > 0); rounds += 1) {
          held.pop()?.release();
          await Promise.resolve();
        }
        expect([budget.reserved, budget.waiting, waiting.length]).toEqual([0, 0, 0]);
      }),
    );
  });
});

describe('throughput rule', () => {
  const rule = { bytesPerSecondMin: 1024, windowMs: 60_000 };

  test('a trickle is too slow', () => {
    const meter = new ThroughputMeter(rule);
    for (let second = 0; second < 60; second += 1) {
      meter.waiting(second * 1000);
      meter.received(second * 1000 + 999, 10);
    }
    expect(meter.tooSlow(60_000)).toBe(true);
  });

  test('silence is too slow, also when it lasts', () => {
    const meter = new ThroughputMeter(rule);
    meter.waiting(0);
    expect(meter.tooSlow(60_000)).toBe(true);
    expect(meter.tooSlow(120_000)).toBe(true);
  });

  test('the least rate is enough', () => {
    const meter = new ThroughputMeter(rule);
    meter.waiting(0);
    meter.received(60_000, 60 * 1024);
    expect(meter.tooSlow(60_000)).toBe(false);
  });

  test("the server's own pauses are not the client's", () => {
    const meter = new ThroughputMeter(rule);
    meter.waiting(0);
    meter.received(29_000, 1);
    expect(meter.tooSlow(60_000)).toBe(false);
    // Nothing carries over from one window to the next.
    expect(meter.tooSlow(120_000)).toBe(false);
  });
});
