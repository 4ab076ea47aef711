import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextPace, Pacer, type ForegroundLatency } from '../../placement/repair/pace.ts';
import type { Clock } from '../../placement/types.ts';

const LIMITS = { bytesPerSecondMin: 1_000, bytesPerSecondMax: 64_000, urgentBytesPerSecond: 8_000 };

/** Sleeping takes the time that it says. */
function virtualClock(): Clock & { time: number } {
  const clock = {
    time: 1e12,
    now: () => clock.time,
    async sleep(ms: number) {
      clock.time += ms;
    },
  };
  return clock;
}

describe('nextPace', () => {
  test('half when clients are slowed, more when they are not, the same in between, always within its limits', () => {
    const pace = fc.double({ min: 1_000, max: 64_000, noNaN: true });
    const foreground = fc.record({
      p99Ms: fc.double({ min: 0, max: 1e4, noNaN: true }),
      baselineMs: fc.double({ min: 0.1, max: 1e3, noNaN: true }),
    });
    fc.assert(
      fc.property(pace, foreground, (now, latency) => {
        const next = nextPace(now, latency, LIMITS);
        expect(next).toBeGreaterThanOrEqual(LIMITS.bytesPerSecondMin);
        expect(next).toBeLessThanOrEqual(LIMITS.bytesPerSecondMax);
        const slowdown = latency.p99Ms / latency.baselineMs;
        let expected = Math.min(64_000, now * 1.25);
        if (slowdown > 1.1) expected = now;
        if (slowdown > 1.2) expected = Math.max(1_000, now / 2);
        expect(next).toBe(expected);
      }),
    );
  });

  test('without clients, or with a baseline that is not measured yet, it goes up', () => {
    expect(nextPace(2_000, undefined, LIMITS)).toBe(2_500);
    expect(nextPace(2_000, { p99Ms: 50, baselineMs: 0 }, LIMITS)).toBe(2_500);
  });

  test('clients whose latency grows with the pace settle within 1.2 times their baseline', () => {
    // One core or disk for both: latency grows with the load that background work adds.
    const latencyAt = (pace: number): ForegroundLatency => ({
      p99Ms: 10 + (pace / 20_000) ** 2 * 10,
      baselineMs: 10,
    });
    let pace = LIMITS.bytesPerSecondMax;
    const seen: number[] = [];
    for (let second = 0; second < 60; second++) {
      pace = nextPace(pace, latencyAt(pace), LIMITS);
      if (second >= 10) seen.push(latencyAt(pace).p99Ms / 10);
    }
    const within = seen.filter((slowdown) => slowdown <= 1.2).length;
    expect(within / seen.length).toBeGreaterThan(0.8);
    expect(Math.max(...seen)).toBeLessThan(1.2 * 1.25 ** 2);
    // And it does not give up on the work either.
    expect(pace).toBeGreaterThan(2 * LIMITS.bytesPerSecondMin);
  });
});

describe('Pacer', () => {
  test('lets no more bytes pass than its pace, which follows the clients', async () => {
    const clock = virtualClock();
    let latency: ForegroundLatency | undefined = { p99Ms: 100, baselineMs: 10 };
    const pacer = new Pacer(clock, LIMITS, () => latency);
    const start = clock.now();
    for (let piece = 0; piece < 40; piece++) await pacer.usual.take(16_000);
    expect(pacer.bytesPerSecond).toBe(1_000);
    // 64, 32, 16 … kB in the first seconds, then 1 kB a second.
    expect(clock.now() - start).toBeGreaterThan(400_000);
    latency = undefined;
    for (let piece = 0; piece < 40; piece++) await pacer.usual.take(16_000);
    expect(pacer.bytesPerSecond).toBe(64_000);
  });

  test('urgent work has its floor, and does not wait for what usual work owes', async () => {
    const clock = virtualClock();
    const pacer = new Pacer(clock, LIMITS, () => ({ p99Ms: 100, baselineMs: 10 }));
    for (let piece = 0; piece < 40; piece++) await pacer.usual.take(16_000);
    void pacer.usual.take(1e9);
    const start = clock.now();
    await pacer.urgent.take(16_000);
    expect(clock.now()).toBe(start);
    await pacer.urgent.take(16_000);
    expect(clock.now() - start).toBe(2_000);
  });

  test('limits that cannot be are refused', () => {
    const clock = virtualClock();
    for (const wrong of [
      { bytesPerSecondMin: 0 },
      { bytesPerSecondMax: Infinity },
      { bytesPerSecondMin: 65_000 },
      { urgentBytesPerSecond: NaN },
    ]) {
      expect(() => new Pacer(clock, { ...LIMITS, ...wrong })).toThrow(RangeError);
    }
  });
});
