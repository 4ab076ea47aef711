import { describe, expect, test } from 'vitest';
import { EngineError } from '../../../gateway/engine/types.ts';
import { patient } from '../../../gateway/s3/patient.ts';
import { parseXml } from '../../../gateway/s3/parseXml.ts';
import type { S3Response } from '../../../gateway/s3/types.ts';
import { XML_DECLARATION } from '../../../gateway/s3/xml.ts';

const request = { id: '0123456789ABCDEF', method: 'POST', rawPath: '/b/k' };
const result: S3Response = {
  status: 200,
  headers: [['x-amz-version-id', 'v']],
  body: `${XML_DECLARATION}<Result/>`,
};

async function pieces(response: S3Response): Promise<string[]> {
  const list: string[] = [];
  for await (const piece of response.body as AsyncIterable<Uint8Array>)
    list.push(Buffer.from(piece).toString());
  return list;
}

describe('patient', () => {
  test('work done in time is answered as it is', async () => {
    expect(await patient(request, Promise.resolve(result))).toBe(result);
    await expect(patient(request, Promise.reject(new EngineError('InvalidPart', 'x')))).rejects.toThrow('x');
  });

  test('late work: declaration, spaces, then the document', async () => {
    const work = Promise.withResolvers<S3Response>();
    const response = await patient(request, work.promise, { afterMs: 1, everyMs: 1 });
    expect(response.status).toBe(200);
    const seen: string[] = [];
    for await (const piece of response.body as AsyncIterable<Uint8Array>) {
      seen.push(Buffer.from(piece).toString());
      if (seen.length === 4) work.resolve(result);
    }
    expect(seen[0]).toBe(XML_DECLARATION);
    expect(seen.slice(1, 4)).toEqual([' ', ' ', ' ']);
    expect(seen.at(-1)).toBe('<Result/>');
    expect(parseXml(seen.join(''), 'Result').name).toBe('Result');
    expect(await response.lateError).toBeUndefined();
  });

  test('late failure: an Error element under the 200, and the error for the log', async () => {
    const work = Promise.withResolvers<S3Response>();
    const response = await patient(request, work.promise, { afterMs: 1, everyMs: 1 });
    work.reject(new EngineError('BadDigest', 'wrong'));
    const text = (await pieces(response)).join('');
    expect(text.startsWith(XML_DECLARATION)).toBe(true);
    expect(text).toContain('<Code>BadDigest</Code>');
    expect(await response.lateError).toMatchObject({ code: 'BadDigest' });
  });

  test('a failure that nobody reads is not an unhandled rejection', async () => {
    const work = Promise.withResolvers<S3Response>();
    const response = await patient(request, work.promise, { afterMs: 1, everyMs: 1 });
    work.reject(new Error('boom'));
    expect(await response.lateError).toMatchObject({ code: 'InternalError' });
  });
});
