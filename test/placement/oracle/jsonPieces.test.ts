import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonPieces } from '../../../placement/oracle/jsonPieces.ts';

const joined = (value: unknown): string => [...jsonPieces(value)].join('');

test('are together the text of JSON.stringify', () => {
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'large', withCrossShrink: true },
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.double(),
        fc.boolean(),
        fc.constantFrom(null, undefined, -0, new Date(0), [], {}),
      ),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit: 'binary' }), tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const record = { kind: 'any', value };
      expect(joined(record)).toBe(JSON.stringify(record));
    }),
    { numRuns: 1_000 },
  );
});

test('are no longer than one verdict or one task, however many there are', () => {
  const task = { provider: 'p', targets: [{ chunk: 'c', index: 1 }] };
  const record = {
    assignments: Array.from({ length: 3 }, () => ({
      tasks: Array.from({ length: 1_000 }, () => ({ ...task })),
    })),
  };
  const pieces = [...jsonPieces(record)];
  expect(pieces.join('')).toBe(JSON.stringify(record));
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(JSON.stringify(task).length);
});

test('what JSON does not know is an error', () => {
  expect(() => joined({ amount: 1n })).toThrow(TypeError);
  expect(() => joined(undefined)).toThrow(TypeError);
});
