import { expect, test } from 'vitest';
import { Foreground } from '../../gateway/foreground.ts';

function fed(foreground: Foreground, seconds: number, count: number): Foreground {
  for (let i = 0; i < count; i++) foreground.add(seconds);
  return foreground;
}

test('says nothing before it has seen enough requests', () => {
  const foreground = new Foreground(() => false);
  expect(fed(foreground, 0.01, 19).latency()).toBeUndefined();
  expect(fed(foreground, 0.01, 1).latency()).toBeDefined();
});

test('what is seen beside background work is not what clients are used to', () => {
  let busy = false;
  const foreground = new Foreground(() => busy);
  fed(foreground, 0.01, 200);
  busy = true;
  fed(foreground, 0.5, 200);
  const { p99Ms, baselineMs } = foreground.latency()!;
  expect(p99Ms).toBeGreaterThan(400);
  expect(baselineMs).toBeLessThan(15);
});

test('without background work both move together', () => {
  const foreground = new Foreground(() => false);
  fed(foreground, 0.01, 200);
  fed(foreground, 0.5, 200);
  const { p99Ms, baselineMs } = foreground.latency()!;
  expect(baselineMs).toBe(p99Ms);
});
