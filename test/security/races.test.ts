/** Requests that meet: one winner, nothing acknowledged is lost, nothing is left behind. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import type { Gateway } from '../support/gateway.ts';
import { attacker } from './wire.ts';
import type { Attacker, Reply } from './wire.ts';

let gateway: Gateway;
let client: Attacker;
beforeAll(async () => {
  gateway = await startGateway();
  const { accessKeyId, secretAccessKey } = gateway.credentials;
  client = attacker(gateway.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey });
  await client.put('/races', '');
});
afterAll(() => gateway.stop());

const times = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));

test('of 200 PUTs with If-None-Match: * exactly one is stored', async () => {
  const replies = await Promise.all(
    times(200, (at) => client.put('/races/once', `writer ${at}`, [['if-none-match', '*']])),
  );
  const winners = replies.flatMap(({ status }, at) => (status === 200 ? [at] : []));
  expect(winners).toHaveLength(1);
  expect(replies.every(({ status }) => [200, 409, 412].includes(status))).toBe(true);
  expect((await client.get('/races/once')).body).toBe(`writer ${winners[0]}`);
});

test('a bucket that is deleted while objects come keeps each one it has acknowledged', async () => {
  for (let round = 0; round < 20; round++) {
    const bucket = `/race-${round}`;
    await client.put(bucket, '');
    const remove = (): Promise<Reply> => client.call({ method: 'DELETE', path: bucket });
    const [puts] = await Promise.all([
      Promise.all(times(5, (at) => client.put(`${bucket}/k${at}`, 'kept'))),
      remove(),
      remove(),
    ]);
    for (const [at, { status }] of puts.entries()) {
      expect([200, 404, 409]).toContain(status);
      expect((await client.get(`${bucket}/k${at}`)).status).toBe(status === 200 ? 200 : 404);
    }
  }
});

test('an upload completed, aborted and added to at once: whole or not there', async () => {
  for (let round = 0; round < 10; round++) {
    const path = `/races/upload-${round}`;
    const created = await client.call({ method: 'POST', path, query: 'uploads=' });
    const id = /<UploadId>(.*?)</.exec(created.body)![1]!;
    const part = (number: number): Promise<Reply> =>
      client.call({
        method: 'PUT',
        path,
        query: `partNumber=${number}&uploadId=${id}`,
        body: `part ${number}`,
      });
    const etag = (await part(1)).headers.get('etag')!;
    const document = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;
    const complete = (): Promise<Reply> =>
      client.call({ method: 'POST', path, query: `uploadId=${id}`, body: document });
    const abort = (): Promise<Reply> => client.call({ method: 'DELETE', path, query: `uploadId=${id}` });
    const [first, second, ...others] = await Promise.all([complete(), complete(), abort(), part(2), abort()]);
    for (const { status } of others) expect([200, 204, 404]).toContain(status);
    const completed = [first, second].some(({ status }) => status === 200);
    const object = await client.get(path);
    expect([object.status, object.status === 200 ? object.body : '']).toEqual(
      completed ? [200, 'part 1'] : [404, ''],
    );
    expect((await part(3)).code).toBe('NoSuchUpload');
  }
});
