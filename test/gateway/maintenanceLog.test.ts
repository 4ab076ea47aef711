import { expect, test } from 'vitest';
import { brief } from '../../gateway/maintenanceLog.ts';

test('long lists of a report are cut to their count and first entries', () => {
  const failed = Array.from({ length: 101 }, (_, index) => ({ id: String(index), reason: 'x' }));
  expect(brief({ examined: 101, failed, chunks: { unreadable: ['a'] } })).toEqual({
    examined: 101,
    failed: { count: 101, first: failed.slice(0, 5) },
    chunks: { unreadable: ['a'] },
  });
});
