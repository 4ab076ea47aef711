import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { atOnce, inTurns, type Stepwise } from '../../../placement/oracle/stepwise.ts';

function* sum(upTo: number): Stepwise<number> {
  let total = 0;
  for (let each = 1; each <= upTo; each++) {
    total += each;
    yield;
  }
  return total;
}

function* endless(): Stepwise<never> {
  for (;;) yield;
}

test('comes to the same at once and in turns', async () => {
  expect(atOnce(sum(1_000))).toBe(500_500);
  expect(await inTurns(sum(1_000), () => turn())).toBe(500_500);
  expect(await inTurns(sum(0), () => Promise.reject(new Error('not needed')))).toBe(0);
});

test('however long it is, others have their turn, and can end it', async () => {
  let turns = 0;
  const pause = async (): Promise<void> => {
    await turn();
    if (++turns === 3) throw new Error('stopped');
  };
  await expect(inTurns(endless(), pause)).rejects.toThrow('stopped');
});

test('what goes wrong in a step is thrown', async () => {
  function* wrong(): Stepwise<number> {
    yield;
    throw new Error('wrong');
  }
  expect(() => atOnce(wrong())).toThrow('wrong');
  await expect(inTurns(wrong(), () => turn())).rejects.toThrow('wrong');
});
