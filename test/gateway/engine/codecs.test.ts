import { describe, expect, test } from 'vitest';
import { completedCodec, partCodec } from '../../../gateway/engine/codecs.ts';
import type { WriteResult } from '../../../gateway/engine/types.ts';
import { defineRecord } from '../../../gateway/metadata/records.ts';

const PART = {
  owner: 'ab'.repeat(16),
  summary: { number: 3, size: 10, etag: 'cd'.repeat(16), lastModified: 1_700_000_000_000 },
  segments: [],
};
const COMPLETED = { bucket: 'ef'.repeat(8), key: 'k', version: Buffer.from('version') };
const LEVELS: { survives: WriteResult['survives'] }[] = [
  { survives: ['region', 'site', 'operator'] },
  { survives: ['operator'] },
  { survives: [] },
  { survives: undefined },
];

/** A record as version 1 wrote it: the last value of its row is whether sites and operators are survived. */
function inVersion1(name: string, record: Uint8Array, kept: boolean): Uint8Array {
  const row = defineRecord<unknown[]>({ name, version: 2 }).decode(record);
  return defineRecord<unknown[]>({ name, version: 1 }).encode([...row.slice(0, -1), kept]);
}

describe('which levels are survived', () => {
  test.each(LEVELS)('comes back with a part and with a completed upload: %j', ({ survives }) => {
    expect(partCodec.decode(partCodec.encode({ part: PART, survives }))).toEqual({ part: PART, survives });
    const completed = { ...COMPLETED, survives };
    expect(completedCodec.decode(completedCodec.encode(completed))).toEqual(completed);
  });

  test.each([
    [true, ['site', 'operator']],
    [false, []],
  ])('is read from version 1, where it was %s', (kept, survives) => {
    const part = inVersion1('part', partCodec.encode({ part: PART, survives: [] }), kept);
    expect(partCodec.decode(part)).toEqual({ part: PART, survives });
    const completed = completedCodec.encode({ ...COMPLETED, survives: [] });
    expect(completedCodec.decode(inVersion1('completed upload', completed, kept))).toEqual({
      ...COMPLETED,
      survives,
    });
  });
});
