/** A slow, obvious store, and random histories that a real one must agree with. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bytes, Commit, Entry, Range } from '../../../gateway/metadata/types.ts';
import type { StoreUnderTest } from './keyValueStoreContract.ts';

class NaiveStore {
  /** Keyed by hex, whose order is that of the bytes. */
  readonly #entries = new Map<string, string>();

  get(key: Bytes): string | undefined {
    return this.#entries.get(hex(key));
  }

  scan({ from, to, limit, reverse }: Range): [string, string][] {
    const within = [...this.#entries].filter(([key]) => key >= hex(from) && key < hex(to));
    within.sort(([a], [b]) => (a < b ? -1 : 1));
    if (reverse) within.reverse();
    return within.slice(0, limit);
  }

  commit({ checks = [], puts = [], deletes = [] }: Commit): boolean {
    const holds = checks.every(
      ({ key, value }) => this.get(key) === (value === null ? undefined : hex(value)),
    );
    if (!holds) return false;
    for (const [key, value] of puts) this.#entries.set(hex(key), hex(value));
    for (const key of deletes) this.#entries.delete(hex(key));
    return true;
  }
}

type Step =
  | { readonly kind: 'commit'; readonly commit: Commit }
  | { readonly kind: 'together'; readonly commits: readonly Commit[] }
  | { readonly kind: 'scan'; readonly range: Range }
  | { readonly kind: 'reopen' };

const hex = (value: Bytes): string => Buffer.from(value).toString('hex');
const shown = (entries: readonly Entry[]): [string, string][] =>
  entries.map(([key, value]) => [hex(key), hex(value)]);

/** Few and short keys, so that histories meet the same ones again. */
function steps(): fc.Arbitrary<Step[]> {
  const byte = fc.constantFrom(0, 1, 0x61, 0x7f, 0x80, 0xfe, 0xff);
  const of = (min: number, max: number): fc.Arbitrary<Bytes> =>
    fc.array(byte, { minLength: min, maxLength: max }).map((list) => Uint8Array.from(list));
  const key = of(1, 3);
  const value = of(0, 1);
  const commit = fc
    .record({
      checks: fc.array(fc.record({ key, value: fc.option(value) }), { maxLength: 2 }),
      puts: fc.array(fc.tuple(key, value), { maxLength: 4 }),
      deletes: fc.array(key, { maxLength: 3 }),
    })
    .map(({ checks, puts, deletes }) => {
      const put = new Set(puts.map(([each]) => hex(each)));
      return { checks, puts, deletes: deletes.filter((each) => !put.has(hex(each))) };
    });
  const range = fc.record({ from: of(0, 3), to: of(0, 3), limit: fc.nat(6), reverse: fc.boolean() });
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: commit.map((each): Step => ({ kind: 'commit', commit: each })) },
      {
        weight: 3,
        arbitrary: fc
          .array(commit, { minLength: 2, maxLength: 5 })
          .map((commits): Step => ({ kind: 'together', commits })),
      },
      { weight: 5, arbitrary: range.map((each): Step => ({ kind: 'scan', range: each })) },
      { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reopen' }) },
    ),
    { minLength: 1, maxLength: 25 },
  );
}

export function describeModel(current: () => StoreUnderTest): void {
  const everything: Range = { from: new Uint8Array(0), to: new Uint8Array(5).fill(0xff), limit: 100_000 };

  test('random histories agree with a naive store', { timeout: 120_000 }, async () => {
    const under = current();
    /** The store's answer and the model's. */
    const take = async (model: NaiveStore, step: Step): Promise<[unknown, unknown]> => {
      switch (step.kind) {
        case 'commit':
          return [await under.store.commit(0, step.commit), model.commit(step.commit)];
        case 'together': {
          // Started in one turn, so that they share a batch; their order is that of the calls.
          const answers = await Promise.all(step.commits.map((commit) => under.store.commit(0, commit)));
          return [answers, step.commits.map((commit) => model.commit(commit))];
        }
        case 'scan':
          return [shown(await under.store.scan(0, step.range)), model.scan(step.range)];
        case 'reopen':
          return [await under.reopen?.(), undefined];
      }
    };
    const property = fc.asyncProperty(steps(), async (history) => {
      const leftovers = await under.store.scan(0, everything);
      await under.store.commit(0, { deletes: leftovers.map(([key]) => key) });
      const model = new NaiveStore();
      for (const step of history) {
        const [answer, expected] = await take(model, step);
        expect(answer).toEqual(expected);
      }
      expect(shown(await under.store.scan(0, everything))).toEqual(model.scan(everything));
    });
    await fc.assert(property, { numRuns: 60 });
  });
}
