import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Starts } from '../../../gateway/http/starts.ts';

/** A clock that starts move on, and turns that the test ends. */
function setUp() {
  let now = 0;
  let later: (() => void)[] = [];
  const begun: number[] = [];
  const starts = new Starts({ now: () => now, later: (call) => later.push(call) });
  return {
    begun,
    ask: (name: number, ms: number) =>
      starts.run(() => {
        begun.push(name);
        now += ms;
      }),
    /** Ms that the turn took; false when there was nothing to do. */
    turn: (): number | false => {
      const calls = later;
      later = [];
      const before = now;
      for (const call of calls) call();
      return calls.length > 0 && now - before;
    },
  };
}

test('one request begins at once', () => {
  const { ask, begun, turn } = setUp();
  ask(1, 50);
  expect(begun).toEqual([1]);
  expect(turn()).toBe(0);
  expect(turn()).toBe(false);
  ask(2, 1);
  expect(begun).toEqual([1, 2]);
});

test('what comes after the time of a turn is spent begins in the next ones, in order', () => {
  const { ask, begun, turn } = setUp();
  for (let name = 0; name < 10; name++) ask(name, 4);
  expect(begun).toEqual([0, 1, 2]);
  turn();
  expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
  // A turn that has begun with those who waited has no time left for who comes in it.
  ask(10, 4);
  expect(begun).toHaveLength(6);
  turn();
  turn();
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  turn();
  expect(turn()).toBe(false);
});

test('every one begins once, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat({ max: 15 }), { maxLength: 30 }), { maxLength: 20 }), (turns) => {
      const { ask, begun, turn } = setUp();
      let name = 0;
      for (const costs of turns) {
        for (const ms of costs) ask(name++, ms);
        const took = turn();
        // The last start of a turn may take longer than what is left of it.
        expect(took === false ? 0 : took).toBeLessThan(10 + 15);
      }
      while (turn() !== false);
      expect(begun).toEqual(Array.from({ length: name }, (_, each) => each));
    }),
  );
});

test('a start may ask for another', () => {
  const begun: string[] = [];
  const later: (() => void)[] = [];
  let now = 0;
  const starts = new Starts({ now: () => now, later: (call) => later.push(call) });
  starts.run(() => (now += 20));
  starts.run(() => {
    begun.push('a');
    starts.run(() => begun.push('b'));
  });
  while (later.length > 0) later.shift()!();
  expect(begun).toEqual(['a', 'b']);
});
