import { expect, test } from 'vitest';
import { LIBRARY_MEMORY_MAX_BYTES, Library } from '../../erasure/library.ts';

const cell = 512 * 1024;

function reconstructFirst(library: Library): number | undefined {
  let first: number | undefined;
  library.code(
    2,
    [false, true, true],
    cell,
    (stripe) => stripe.fill(5),
    (stripe) => {
      first = stripe[0];
    },
  );
  return first;
}

test('an instance that grew beyond its bound is replaced', () => {
  const library = new Library();
  expect(reconstructFirst(library)).toBe(5);
  expect(library.memoryBytes).toBeGreaterThan(0);
  library.code(
    1,
    [false, true],
    LIBRARY_MEMORY_MAX_BYTES / 2,
    () => undefined,
    () => undefined,
  );
  expect(library.memoryBytes).toBe(0);
  expect(reconstructFirst(library)).toBe(5);
});

test('an instance that a caller broke is not used again', () => {
  const library = new Library();
  expect(reconstructFirst(library)).toBe(5);
  const broken = () =>
    library.code(
      2,
      [true, true, false],
      cell,
      () => {
        throw new Error('broken');
      },
      () => undefined,
    );
  expect(broken).toThrow('broken');
  expect(library.memoryBytes).toBe(0);
  expect(reconstructFirst(library)).toBe(5);
});

test('what the library refuses is an error', () => {
  const code = () =>
    new Library().code(
      2,
      [true, false, false],
      4,
      () => undefined,
      () => undefined,
    );
  expect(code).toThrow('reed-solomon-erasure returned');
});
