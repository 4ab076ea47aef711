/** Malformed HTTP, addresses and XML: the right refusal, never a 500, never a hang, never two answers to one request. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createHash } from 'node:crypto';
import { startGateway } from '../support/gateway.ts';
import type { Gateway } from '../support/gateway.ts';
import { attacker, sign } from './wire.ts';
import type { Attacker } from './wire.ts';

let gateway: Gateway;
let client: Attacker;
beforeAll(async () => {
  gateway = await startGateway();
  const { accessKeyId, secretAccessKey } = gateway.credentials;
  client = attacker(gateway.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey });
  await client.put('/wire', '');
});
afterAll(() => gateway.stop());

/** A signed PUT of 'evil', changed on its way. */
function put(change: (request: string) => string): string {
  const { head } = sign(client.endpoint, client.keys, { method: 'PUT', path: '/wire/evil', body: 'evil' });
  return change(`${head}evil`);
}

const insert =
  (lines: string) =>
  (request: string): string =>
    request.replace('x-amz-date', `${lines}\r\nx-amz-date`);
const framing =
  (lines: string, body = 'evil') =>
  (request: string): string =>
    request.replace('content-length: 4', lines).replace('\r\n\r\nevil', `\r\n\r\n${body}`);
const CHUNK = '4\r\nevil\r\n0\r\n\r\n';

describe('malformed HTTP', () => {
  const REQUESTS: Record<string, (request: string) => string> = {
    garbage: () => 'garbage\r\n\r\n',
    'a TLS hello': () => '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'HTTP/2': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'no host': () => 'GET / HTTP/1.1\r\n\r\n',
    'two hosts': insert('host: evil'),
    'CR in a header': insert('x-a: b\rc: d'),
    'LF in a header': insert('x-a: b\nx-amz-acl: public-read'),
    'NUL in a header': insert('x-a: b\0c'),
    'a folded header': insert('x-a: b\r\n c'),
    'a space before the colon': insert('x-a : b'),
    'a header without a name': insert(': b'),
    'bare LF': (request) => request.replaceAll('\r\n', '\n'),
    'a header of 1 MB': insert(`x-a: ${'a'.repeat(1e6)}`),
    '6,000 headers': insert(`${'a:\r\n'.repeat(6000)}a:`),
    'a target of 40 kB': (request) => request.replace('/wire/evil', `/${'a'.repeat(40_000)}`),
    'two equal lengths': framing('content-length: 4\r\ncontent-length: 4'),
    'two lengths': framing('content-length: 4\r\ncontent-length: 9'),
    'a list of lengths': framing('content-length: 4, 4'),
    'a negative length': framing('content-length: -1'),
    'a hexadecimal length': framing('content-length: 0x4'),
    'a length beyond 64 bits': framing('content-length: 99999999999999999999999'),
    'a length beyond 5 GiB': framing('content-length: 5368709121'),
    'length and chunks': framing('content-length: 4\r\ntransfer-encoding: chunked', CHUNK),
    'chunks twice': framing('transfer-encoding: chunked, chunked', CHUNK),
    'chunks hidden by a control character': framing('transfer-encoding: \vchunked', CHUNK),
    'chunks, then identity': framing('transfer-encoding: chunked\r\ntransfer-encoding: identity', CHUNK),
    'an unknown coding': framing('transfer-encoding: xchunked', CHUNK),
    'a chunk size that is none': framing('transfer-encoding: chunked', 'ZZ\r\nevil\r\n0\r\n\r\n'),
    'a chunk size beyond 64 bits': framing(
      'transfer-encoding: chunked',
      '10000000000000004\r\nevil\r\n0\r\n\r\n',
    ),
    'an endless chunk extension': framing(
      'transfer-encoding: chunked',
      `4;${'a'.repeat(100_000)}\r\nevil\r\n0\r\n\r\n`,
    ),
    'endless trailers': framing(
      'transfer-encoding: chunked',
      `4\r\nevil\r\n0\r\n${'a: b\r\n'.repeat(50_000)}\r\n`,
    ),
  };
  test.each(Object.entries(REQUESTS))('%s: 400 in XML, nothing is stored', async (_name, change) => {
    const reply = await client.raw(put(change));
    expect(reply.status).toBe(400);
    expect(reply.code).toMatch(/^[A-Z]\w+$/);
    expect(reply.raw.toString('latin1').split('HTTP/1.1 ')).toHaveLength(2);
    expect((await client.get('/wire/evil')).status).toBe(404);
  });

  test('a request inside the body of a GET is no request', async () => {
    const inner = 'DELETE /wire HTTP/1.1\r\nhost: x\r\n\r\n';
    const reply = await client.call({ method: 'GET', path: '/wire', body: inner });
    expect(reply.raw.toString('latin1').split('HTTP/1.1 ')).toHaveLength(2);
    expect(reply.status).toBe(200);
  });
});

describe('addresses', () => {
  /** Path as sent, path as signed, key that it must be. */
  const PLAIN: [string, string, string][] = [
    ['/wire/..', '/wire/..', '..'],
    ['/wire/../etc/passwd', '/wire/../etc/passwd', '../etc/passwd'],
    ['/wire/%2e%2e/x', '/wire/../x', '../x'],
    ['/wire//', '/wire//', '/'],
    ['/wire///a', '/wire///a', '//a'],
    ['/wire/a%00b', '/wire/a%00b', 'a\0b'],
    ['/wire/%0d%0aevil', '/wire/%0D%0Aevil', '\r\nevil'],
    ['/wire/%5c..%5c', '/wire/%5C..%5C', '\\..\\'],
    ['/wire/__proto__', '/wire/__proto__', '__proto__'],
    ['/wire/*%3F%5B', '/wire/%2A%3F%5B', '*?['],
    [`/wire/${'k'.repeat(1024)}`, `/wire/${'k'.repeat(1024)}`, 'k'.repeat(1024)],
  ];
  test.each(PLAIN)('%s is a plain key', async (sent, signed, key) => {
    const call = async (method: string, body: string) => {
      const { head } = sign(client.endpoint, client.keys, { method, path: signed, body });
      return client.raw(`${head.replace(` ${signed} `, ` ${sent} `)}${body}`);
    };
    expect((await call('PUT', `of ${key.length}`)).status).toBe(200);
    expect((await call('GET', '')).body).toBe(`of ${key.length}`);
    const list = await client.get(
      '/wire',
      `encoding-type=url&prefix=${encodeURIComponent(key).replaceAll('*', '%2A')}`,
    );
    const encoded = encodeURIComponent(key).replaceAll('%2F', '/');
    expect(list.body).toContain(`<Key>${encoded}</Key>`);
    expect((await call('DELETE', '')).status).toBe(204);
  });

  const REFUSED: [string, string, string][] = [
    ['/wire/%', '/wire/%25', 'InvalidURI'],
    ['/wire/%zz', '/wire/%25zz', 'InvalidURI'],
    ['/wire/%ff', '/wire/%FF', 'InvalidURI'],
    ['/wire/%c0%ae%c0%ae', '/wire/%C0%AE%C0%AE', 'InvalidURI'],
    ['/wire/%e0%80%80', '/wire/%E0%80%80', 'InvalidURI'],
    ['/wire/%ed%a0%80', '/wire/%ED%A0%80', 'InvalidURI'],
    [`/wire/${'k'.repeat(1025)}`, `/wire/${'k'.repeat(1025)}`, 'KeyTooLongError'],
    [`/wire/${'%c3%a9'.repeat(513)}`, `/wire/${'%C3%A9'.repeat(513)}`, 'KeyTooLongError'],
    ['/../wire/x', '/../wire/x', 'InvalidBucketName'],
    ['//wire/x', '//wire/x', 'InvalidBucketName'],
    ['/__proto__/x', '/__proto__/x', 'InvalidBucketName'],
    ['/wire%2Fx', '/wire/x', 'InvalidBucketName'],
    ['/192.168.0.1/x', '/192.168.0.1/x', 'InvalidBucketName'],
  ];
  test.each(REFUSED)('%s is refused', async (sent, signed, code) => {
    const { head } = sign(client.endpoint, client.keys, { method: 'PUT', path: signed, body: 'evil' });
    const reply = await client.raw(`${head.replace(` ${signed} `, ` ${sent} `)}evil`);
    expect([reply.status, reply.code]).toEqual([400, code]);
  });
});

describe('XML', () => {
  const object = (key: string): string => `<Object><Key>${key}</Key></Object>`;
  const DOCUMENTS: Record<string, string | Buffer> = {
    'no document': '',
    JSON: '{"a":1}',
    'an internal entity': `<!DOCTYPE d [<!ENTITY a "b">]><Delete>${object('&a;')}</Delete>`,
    'an external entity': `<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete>${object('a')}</Delete>`,
    'an unknown entity': `<Delete>${object('&evil;')}</Delete>`,
    'a surrogate': `<Delete>${object('&#xD800;')}</Delete>`,
    'no character': `<Delete>${object('&#x110000;')}</Delete>`,
    'depth 100,000': '<a>'.repeat(100_000) + '</a>'.repeat(100_000),
    'the wrong root': '<Tagging/>',
    'a root from the prototype': '<__proto__></__proto__>',
    'an element from the prototype': `<Delete><__proto__>x</__proto__>${object('a')}</Delete>`,
    'UTF-16': Buffer.from(`\ufeff<Delete>${object('a')}</Delete>`, 'utf16le'),
    'bytes that are not UTF-8': Buffer.from(`<Delete>${object('\xff\xfe')}</Delete>`, 'latin1'),
    'two roots': `<Delete>${object('a')}</Delete><Delete>${object('b')}</Delete>`,
    'text behind the root': `<Delete>${object('a')}</Delete>tail`,
    'a cut document': `<Delete>${object('a')}</Del`,
    '1,001 keys': `<Delete>${object('a').repeat(1001)}</Delete>`,
    '5 MB': 'x'.repeat(5_000_000),
    'a flood of <': '<'.repeat(1_000_000),
    'a flood of comments': '<!--'.repeat(250_000),
    'a flood of CDATA': `<Delete>${'<![CDATA['.repeat(100_000)}`,
    'a flood of ends': `<Delete>${'</'.repeat(500_000)}`,
    'a flood of quotes': `<Delete ${'a="'.repeat(300_000)}`,
    'a flood of spaces': `<?xml ${' '.repeat(1_500_000)}`,
  };
  test.each(Object.entries(DOCUMENTS))('%s: MalformedXML, nothing is deleted', async (_name, document) => {
    await client.put('/wire/a', 'kept');
    const md5 = createHash('md5').update(document).digest('base64');
    const reply = await client.call({
      method: 'POST',
      path: '/wire',
      query: 'delete=',
      body: document,
      headers: [['content-md5', md5]],
    });
    expect([reply.status, reply.code]).toEqual([400, 'MalformedXML']);
    expect((await client.get('/wire/a')).body).toBe('kept');
  });
});
