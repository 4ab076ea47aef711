import { LiveWindow, type CallOutcome } from '#placement';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyHistogram } from '../../placement/registry/latencyHistogram.ts';
import { ManualClock } from './manualClock.ts';

type Failure = NonNullable<CallOutcome['failure']>;

function setUp(): {
  clock: ManualClock;
  window: LiveWindow;
  call: (kind: 'read' | 'write', failure?: Failure, latencyMs?: number) => void;
} {
  const clock = new ManualClock(1_000_000);
  const window = new LiveWindow(clock);
  return {
    clock,
    window,
    call: (kind, failure, latencyMs = 10) =>
      window.record(failure ? { kind, latencyMs, failure } : { kind, latencyMs }),
  };
}

describe('the latency histogram', () => {
  test('has every quantile within a fifth of the sorted latencies', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (latencies, share) => {
          const histogram = new LatencyHistogram(1000);
          for (const latency of latencies) histogram.add(latency, 5000);
          const sorted = latencies.toSorted((a, b) => a - b);
          const exact = sorted[Math.ceil(latencies.length * share - 1e-9) - 1]!;
          const quantile = histogram.quantile(share)!;
          expect(quantile).toBeGreaterThan(exact * 0.999);
          expect(quantile).toBeLessThan(exact * 1.2);
        },
      ),
    );
  });

  test('forgets with time', () => {
    const histogram = new LatencyHistogram(1000);
    expect(histogram.quantile(0.95)).toBeUndefined();
    for (let count = 0; count < 100; count++) histogram.add(500, 0);
    expect(histogram.count(0)).toBe(100);
    expect(histogram.count(2000)).toBeCloseTo(25);
    for (let count = 0; count < 100; count++) histogram.add(5, 10_000);
    expect(histogram.quantile(0.95)).toBeLessThan(6);
  });
});

describe('the breaker', () => {
  test('opens after five failures in a row, however rare calls are', () => {
    const { clock, window, call } = setUp();
    for (let count = 0; count < 5; count++) {
      expect(window.isHealthy).toBe(true);
      call('write', 'Unavailable');
      clock.advance(60_000);
    }
    expect(window.isHealthy).toBe(false);
  });

  test('admits one call in a second while it is open', () => {
    const { clock, window, call } = setUp();
    for (let count = 0; count < 4; count++) call('write', 'Unavailable');
    expect(window.admitsWrite()).toBe(false);
    let admitted = 0;
    for (let step = 0; step < 100; step++) {
      clock.advance(100);
      if (window.admitsWrite()) admitted++;
    }
    expect(admitted).toBe(10);
  });

  test('closes after three successful probes, and not for a single one', () => {
    const { clock, window, call } = setUp();
    for (let count = 0; count < 5; count++) call('read', 'Timeout');
    for (let probe = 0; probe < 3; probe++) {
      expect(window.isHealthy).toBe(false);
      expect(window.readRank()).toBe(0);
      clock.advance(1000);
      expect(window.readRank()).toBeGreaterThan(0);
      expect(window.readRank()).toBe(0);
      call('read');
    }
    expect(window.isHealthy).toBe(true);
    expect(window.readRank()).toBeGreaterThan(0);
    expect(window.readRank()).toBeGreaterThan(0);
  });

  test('opens within ten seconds for a provider that flaps', () => {
    const { clock, window, call } = setUp();
    for (let second = 0; second < 10; second++) {
      call('read');
      call('read', 'Unavailable');
      clock.advance(1000);
    }
    expect(window.isHealthy).toBe(false);
  });

  test('stays closed for rare failures, and for those that are not the provider’s', () => {
    const { clock, window, call } = setUp();
    for (let round = 0; round < 200; round++) {
      for (let count = 0; count < 9; count++) call('read');
      call('read', 'Timeout');
      for (const failure of ['Aborted', 'Source', 'Conflict', 'NoSpace'] as const) call('write', failure);
      clock.advance(50);
    }
    expect(window.isHealthy).toBe(true);
    expect(window.writeShare()).toBe(1);
  });

  test('for reads leaves writes alone, and the other way round', () => {
    const { window, call } = setUp();
    for (let count = 0; count < 5; count++) call('read', 'Timeout');
    expect(window.admitsWrite()).toBe(true);
    expect(window.readRank()).toBe(0);
  });
});

describe('the rank', () => {
  test('falls with latency and with failures, and recovers', () => {
    const fast = setUp();
    const slow = setUp();
    const broken = setUp();
    for (let count = 0; count < 50; count++) {
      fast.call('read', undefined, 10);
      slow.call('read', undefined, 500);
      broken.call('read', count % 2 === 0 ? 'NotFound' : undefined, 10);
    }
    expect(slow.window.readRank()).toBeLessThan(fast.window.readRank() / 10);
    expect(broken.window.readRank()).toBeLessThan(fast.window.readRank() / 2);
    expect(broken.window.readRank()).toBeGreaterThan(0);
    slow.clock.advance(300_000);
    for (let count = 0; count < 20; count++) slow.call('read', undefined, 10);
    expect(slow.window.readRank()).toBeCloseTo(fast.window.readRank());
  });

  test('wrong bytes cost new shards, too; lost ones cost reads only, since the provider may be a new one', () => {
    const liar = setUp();
    const empty = setUp();
    for (let count = 0; count < 10; count++) {
      liar.call('read', 'WrongBytes');
      empty.call('read', 'NotFound');
    }
    expect(liar.window.writeShare()).toBeLessThan(0.5);
    expect(empty.window.writeShare()).toBe(1);
    expect(empty.window.admitsWrite() && liar.window.admitsWrite()).toBe(true);
  });
});
