/** Spellings that clients differ in, all of the same signed request; and random requests signed by the AWS SDK. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { naiveHeaderSignature, naivePresign } from './naive.ts';
import { escape, header, onTheWire, presign, refusal, sha256, sign, withHeader } from './signing.ts';
import type { Signable } from './signing.ts';

const base: Signable = {
  method: 'GET',
  path: '/bucket/key',
  query: {},
  headers: { host: 's3.test', 'x-amz-content-sha256': sha256('') },
};

async function kindOf(request: Partial<Signable>, alter = onTheWire): Promise<string> {
  return (await refusal(alter(await sign({ ...base, ...request })))).kind;
}

describe('the Authorization header', () => {
  test.each([
    ['no spaces', (value: string) => value.replaceAll(', ', ',')],
    ['many spaces', (value: string) => value.replaceAll(', ', '  ,   ').replace(' ', '   ')],
    ['tabs', (value: string) => value.replaceAll(', ', ',\t')],
    ['another order', (value: string) => value.replace(/(AWS4\S+) (.*), (Signature=.*)/, '$1 $3, $2')],
    ['a comma at no place but between', (value: string) => value.replace(', Signature', ',Signature')],
  ])('%s', async (_, spell) => {
    const head = onTheWire(await sign(base));
    const spelled = withHeader(head, 'Authorization', spell(header(head, 'authorization')));
    expect((await refusal(spelled)).kind).toBe('accepted');
  });

  test('signed headers in another order and case mean the same set', async () => {
    const head = onTheWire(await sign(base));
    const value = header(head, 'authorization').replace(
      'host;x-amz-content-sha256;x-amz-date',
      'X-Amz-Date;host;x-amz-content-sha256',
    );
    expect((await refusal(withHeader(head, 'authorization', value))).kind).toBe('accepted');
  });
});

describe('the time', () => {
  const TIMES = ['Fri, 24 May 2013 00:00:00 GMT', 'Fri, 24 May 2013 00:00:00 -0000', '20130524T000000Z'];
  test.each(TIMES)('in Date: %s', async (date) => {
    const request = { ...base, headers: { ...base.headers, date } };
    const head = naiveHeaderSignature({ ...request, query: {} }, ['date', 'host', 'x-amz-content-sha256']);
    expect((await refusal(head)).kind).toBe('accepted');
  });
});

describe('paths', () => {
  const spelled = (rawPath: string) => (request: Signable) => ({ ...onTheWire(request), rawPath });

  test.each([
    ['characters that need no escape on the wire', '/b/%21%2A%27%28%29', "/b/!*'()"],
    ['lower-case escapes', '/b/%C3%A9%2B', '/b/%c3%a9%2b'],
    ['raw bytes', '/b/%C3%A9', '/b/\u00c3\u00a9'],
    ['escaped unreserved characters', '/b/a-z~', '/b/%61%2Dz%7e'],
    ['a plus is a plus', '/b/a%2Bb', '/b/a+b'],
    ['a lone percent is itself', '/b/100%25', '/b/100%'],
    ['an escaped slash, signed as a slash', '/b/a/b', '/b/a%2Fb'],
    ['an escaped slash, signed as it is', '/b/a%2Fb', '/b/a%2fb'],
    ['dots, double and trailing slashes', '/b/../a//./c/', '/b/../a//./c/'],
  ])('%s', async (_, path, rawPath) => {
    expect(await kindOf({ path }, spelled(rawPath))).toBe('accepted');
  });

  test.each([
    ['a plus is no space', '/b/a%20b', '/b/a+b'],
    ['dots are not resolved', '/b/c', '/b/a/../c'],
    ['slashes are not merged', '/b/c', '/b//c'],
    ['an escape is decoded once', '/b/%41', '/b/%2541'],
  ])('%s', async (_, path, rawPath) => {
    expect(await kindOf({ path: path.replace('%41', 'A') }, spelled(rawPath))).toBe('SignatureDoesNotMatch');
  });
});

describe('queries', () => {
  test.each<[string, Record<string, string>, string]>([
    ['no value and no equals sign', { uploads: '' }, 'uploads'],
    ['raw delimiter', { delimiter: '/', prefix: '' }, 'delimiter=/&prefix='],
    ['a plus is a space', { prefix: 'a b' }, 'prefix=a+b'],
    ['lower-case escapes', { prefix: 'é/' }, 'prefix=%c3%a9%2f'],
    ['empty pieces', { a: '1', b: '2' }, '&b=2&&a=1&'],
    ['names sorted before values', { a: '1', 'a-b': '2', A: '3' }, 'a-b=2&a=1&A=3'],
    ['an equals sign in a value', { marker: 'a=b' }, 'marker=a=b'],
  ])('%s', async (_, query, rawQuery) => {
    expect(await kindOf({ query }, (r) => ({ ...onTheWire(r), rawQuery }))).toBe('accepted');
  });
});

describe('headers', () => {
  const sent =
    (name: string, ...values: string[]) =>
    (request: Signable) => {
      const head = withHeader(onTheWire(request), name, undefined);
      return { ...head, rawHeaders: [...head.rawHeaders, ...values.flatMap((value) => [name, value])] };
    };
  const meta = (value: string) => ({ headers: { ...base.headers, 'x-amz-meta-a': value } });

  test.each([
    ['inner and outer spaces', 'a b c', ['  a   b \t c ']],
    ['duplicates', 'one,two,one', ['one', ' two ', 'one']],
    ['empty', '', ['']],
    ['UTF-8 on the wire', 'é€\u{1f600}', [Buffer.from('é€\u{1f600}').toString('latin1')]],
    ['latin1 on the wire, UTF-8 signed: the AWS SDK over Node', 'é à', ['é à']],
  ])('%s', async (_, signedAs, values) => {
    expect(await kindOf(meta(signedAs), sent('X-Amz-Meta-A', ...values))).toBe('accepted');
  });

  test('latin1 on the wire and signed', async () => {
    const request = {
      ...base,
      headers: { ...base.headers, 'x-amz-date': '20130524T000000Z', 'x-amz-meta-a': 'é' },
    };
    const head = naiveHeaderSignature(request, Object.keys(request.headers).sort(), 'latin1');
    expect((await refusal(head)).kind).toBe('accepted');
  });

  test('text whose latin1 bytes are UTF-8 of another text cannot be exchanged for it', async () => {
    // Signed: é in UTF-8 (c3 a9) as two characters, hence c3 83 c2 a9. Sent: c3 a9, which a request reads as é.
    expect(await kindOf(meta('Ã©'), sent('x-amz-meta-a', 'Ã©'))).toBe('SignatureDoesNotMatch');
  });

  test.each([
    ['accept-encoding', 'gzip, deflate'],
    ['content-length', '5'],
    ['if-none-match', '*'],
  ])('%s may be signed', async (name, value) => {
    expect(await kindOf({ headers: { ...base.headers, [name]: value } })).toBe('accepted');
  });

  test.each([
    ['transfer-encoding', 'chunked'],
    ['expect', '100-continue'],
  ])('%s may be signed, and consumed by a proxy on the way', async (name, value) => {
    const headers = { ...base.headers, 'x-amz-date': '20130524T000000Z', [name]: value };
    const head = naiveHeaderSignature({ ...base, headers }, Object.keys(headers).sort());
    expect((await refusal(head)).kind).toBe('accepted');
    expect((await refusal(withHeader(head, name, undefined))).kind).toBe('accepted');
    expect((await refusal(withHeader(head, name, 'other'))).kind).toBe('SignatureDoesNotMatch');
  });

  test('a signed header that is empty is not the same as none', async () => {
    const head = onTheWire(await sign({ ...base, ...meta('') }));
    expect((await refusal(withHeader(head, 'x-amz-meta-a', undefined))).kind).toBe('SignatureDoesNotMatch');
  });
});

describe('presigned requests', () => {
  test('may sign content-length, type and x-amz-* headers that are sent', async () => {
    const headers = {
      host: 's3.test',
      'content-length': '5',
      'content-type': 'text/plain',
      'x-amz-acl': 'private',
    };
    const head = naivePresign({ ...base, method: 'PUT', headers }, Object.keys(headers).sort());
    expect((await refusal(head)).kind).toBe('accepted');
    expect((await refusal(withHeader(head, 'content-length', '6'))).kind).toBe('SignatureDoesNotMatch');
  });

  test('carry the payload hash in the query or in a signed header, and not two different ones', async () => {
    const [hash, other] = [sha256('body'), sha256('other')];
    const inQuery = naivePresign(
      { ...base, query: { 'X-Amz-Content-Sha256': hash }, headers: { host: 'h' } },
      ['host'],
      hash,
    );
    expect((await refusal(inQuery)).kind).toBe('accepted');
    const both = { host: 'h', 'x-amz-content-sha256': other };
    const names = ['host', 'x-amz-content-sha256'];
    const inHeader = naivePresign({ ...base, headers: both }, names, other);
    expect((await refusal(inHeader)).kind).toBe('accepted');
    const differing = naivePresign(
      { ...base, query: { 'X-Amz-Content-Sha256': hash }, headers: both },
      names,
      other,
    );
    expect((await refusal(differing)).kind).toBe('AuthorizationQueryParametersError');
  });
});

test('a query parameter named like a property of every object is signed as any other', async () => {
  const query = Object.fromEntries([
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]);
  const headers = { ...base.headers, 'x-amz-date': '20130524T000000Z' };
  const head = naiveHeaderSignature({ ...base, query, headers }, Object.keys(headers).sort());
  expect(head.rawQuery).toContain('__proto__=a');
  expect((await refusal(head)).kind).toBe('accepted');
  const changed = { ...head, rawQuery: head.rawQuery.replace('__proto__=a', '__proto__=x') };
  expect((await refusal(changed)).kind).toBe('SignatureDoesNotMatch');
});

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const headerText = fc.string({
  unit: fc.constantFrom('a', 'B', '1', ' ', '\t', '/', ';', ',', 'é', '€'),
  maxLength: 20,
});
const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const requests = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD'),
  path: fc.array(text, { maxLength: 4 }).map((segments) => `/b/${segments.map(escape).join('/')}`),
  query: fc.dictionary(
    // The SDK loses a parameter named __proto__ on the way to its signature.
    text.filter((name) => !/^(?:X-Amz-|(?:AWSAccessKeyId|Signature|__proto__)$)/.test(name)),
    text,
    {
      maxKeys: 4,
      noNullPrototype: true,
    },
  ),
  headers: fc
    .dictionary(
      token.map((name) => `x-amz-meta-${name}`),
      headerText,
      { maxKeys: 3, noNullPrototype: true },
    )
    .map((headers): Record<string, string> => ({ ...base.headers, ...headers })),
});

/** The same octets, each written raw, or escaped in either case, as chance has it. */
function respell(encoded: string, raw: RegExp, choices: readonly number[]): string {
  let at = 0;
  return encoded.replaceAll(/%([0-9A-F]{2})/g, (escaped, digits: string) => {
    const choice = choices[at++ % choices.length]!;
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    if (choice === 0 && raw.test(character)) return character;
    return choice === 1 ? escaped.toLowerCase() : escaped;
  });
}

describe('random requests signed by the AWS SDK', () => {
  const choices = fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 20 });

  test('are accepted in every spelling, and refused with anything changed', async () => {
    await fc.assert(
      fc.asyncProperty(requests, fc.boolean(), choices, async (request, inQuery, choices) => {
        const head = onTheWire(
          inQuery ? await presign({ ...request, headers: { host: 'h' } }) : await sign(request),
        );
        const spelled = {
          ...head,
          rawPath: respell(head.rawPath, /[!*'()$,:;=@+\x80-\xff]/, choices),
          rawQuery: respell(head.rawQuery, /[!*'()$,:;@/?\x80-\xff]/, choices),
        };
        expect((await refusal(spelled)).kind).toBe('accepted');
        const changed = [
          { ...head, method: 'OPTIONS' },
          { ...head, rawPath: `${head.rawPath}x` },
          { ...head, rawPath: `${head.rawPath}/` },
          { ...head, rawQuery: `${head.rawQuery}&x=1` },
          ...head.rawHeaders
            .filter(
              (name, at) => at % 2 === 0 && !/^(?:authorization|x-amz-date|x-amz-content-sha256)$/.test(name),
            )
            .map((name) => withHeader(head, name, `${header(head, name)}x`)),
        ];
        for (const other of changed) expect((await refusal(other)).kind).toBe('SignatureDoesNotMatch');
      }),
      { numRuns: 60 },
    );
  });
});
