import { randomInt } from 'node:crypto';
import { announce, contentOf } from './content.ts';
import type { Task } from './types.ts';
import { each, expectSame } from './work.ts';
import type { Work } from './work.ts';

const RANGE_BYTES = 2 ** 20;

/** One upload whose parts, all the same data, go out over several connections. */
export function largeUpload({ key, bytes, partBytes }: Task & { kind: 'large' }): Work {
  announce(partBytes);
  const body = contentOf(0, partBytes);
  const etags: string[] = [];
  let uploadId = '';
  const numbers = Array.from({ length: Math.ceil(bytes / partBytes) }, (_, at) => at + 1);
  return {
    ...each(numbers, async (client, number) => {
      const part = body.subarray(0, Math.min(partBytes, bytes - (number - 1) * partBytes));
      etags[number - 1] = await client.putPart(key, uploadId, number, part);
      return { bytes: part.length };
    }),
    begin: async (client) => void (uploadId = await client.startUpload(key)),
    finish: async (client) => client.completeUpload(key, uploadId, etags),
  };
}

/** Ranges anywhere, most of them across no more than two parts, compared byte by byte; then the whole object, counted. */
export function largeReads({ key, bytes, partBytes, ranges }: Task & { kind: 'readLarge' }): Work {
  announce(partBytes);
  const body = contentOf(0, partBytes);
  const length = Math.min(RANGE_BYTES, bytes);
  const numbers = Array.from({ length: ranges + 1 }, (_, at) => at);
  return each(numbers, async (client, number) => {
    if (number === ranges) {
      await client.get(key, bytes);
      return { bytes };
    }
    const first = randomInt(bytes - length + 1);
    const read = await client.range(key, first, first + length - 1, true);
    const start = first % partBytes;
    const expected = Buffer.concat([body.subarray(start), body]).subarray(0, length);
    expectSame(read, expected, `${key} from byte ${first}`);
    return { bytes: length };
  });
}
