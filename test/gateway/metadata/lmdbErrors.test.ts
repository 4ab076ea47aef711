import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { commitFailure, failsStop, openFailure, readFailure } from '../../../gateway/metadata/lmdbErrors.ts';

/** As lmdb-js rejects: a general error whose `commitError` rejects with the code. */
function rejection(code: number): Error {
  const commitError = Promise.reject(Object.assign(new Error(`code ${code}`), { code }));
  return Object.assign(new Error('Commit failed'), { commitError });
}

test.each([
  { what: 'ENOSPC', code: 28, unchanged: true, kind: 'Full', stops: false },
  { what: 'EDQUOT', code: 122, unchanged: true, kind: 'Full', stops: false },
  { what: 'MDB_MAP_FULL', code: -30_792, unchanged: true, kind: 'Full', stops: false },
  { what: 'ENOMEM', code: 12, unchanged: true, kind: 'Unavailable', stops: false },
  { what: 'EIO with room on the disk', code: 5, unchanged: true, kind: 'Unknown', stops: true },
  { what: 'ENOSPC after the meta page was begun', code: 28, unchanged: false, kind: 'Unknown', stops: true },
])('a commit that failed with $what is $kind', async ({ code, unchanged, kind, stops }) => {
  const failure = await commitFailure(rejection(code), { directory: tmpdir(), unchanged });
  expect(failure.kind).toBe(kind);
  expect(failure.message).toContain(`code ${code}`);
  expect(failsStop(failure)).toBe(stops);
});

test('an error without a commitError is judged itself', async () => {
  const error = Object.assign(new Error('MDB_MAP_FULL'), { code: -30_792 });
  expect((await commitFailure(error, { directory: tmpdir(), unchanged: true })).kind).toBe('Full');
});

test('format errors of an open or a read are Corrupt, others Unavailable', () => {
  const of = (code: number): Error => Object.assign(new Error('x'), { code });
  expect(openFailure(of(-30_793), '/d').kind).toBe('Corrupt');
  expect(openFailure(of(13), '/d').kind).toBe('Unavailable');
  expect(openFailure(of(28), '/d').kind).toBe('Full');
  expect(readFailure(of(-30_796)).kind).toBe('Corrupt');
  expect(readFailure(of(5)).kind).toBe('Unavailable');
});
