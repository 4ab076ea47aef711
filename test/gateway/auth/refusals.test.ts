/** Everything a head can be refused for, by exact kind; the security classes of authentication have a test of their name each. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { RequestHead } from '../../../gateway/auth/types.ts';
import {
  ACCESS_KEY,
  header,
  onTheWire,
  presign,
  refusal,
  sha256,
  sign,
  SIGNED_AT,
  withHeader,
} from './signing.ts';
import type { Signable, SigningOptions } from './signing.ts';

const MINUTE = 60_000;

const request: Signable = {
  method: 'PUT',
  path: '/bucket/key',
  query: { partNumber: '1', uploadId: 'u' },
  headers: {
    host: 's3.test',
    'x-amz-content-sha256': sha256('body'),
    'x-amz-meta-a': 'one',
    'content-md5': 'm',
  },
};
const get: Signable = {
  method: 'GET',
  path: '/bucket/key',
  query: { versionId: 'v' },
  headers: { host: 's3.test' },
};

let signed: RequestHead;
let presigned: RequestHead;
beforeAll(async () => {
  signed = onTheWire(await sign(request));
  presigned = onTheWire(await presign(get));
});

type Edit = (head: RequestHead) => RequestHead;

function edit(name: string, change: (value: string) => string): Edit {
  return (head) => withHeader(head, name, change(header(head, name)));
}
const authorization = (from: string | RegExp, to: string) =>
  edit('authorization', (value) => value.replace(from, to));
const query = (from: string | RegExp, to: string): Edit => {
  return (head) => ({ ...head, rawQuery: head.rawQuery.replace(from, to) });
};
const add = (name: string, value: string): Edit => {
  return (head) => ({ ...head, rawHeaders: [...head.rawHeaders, name, value] });
};
const set =
  (name: string, value: string | undefined): Edit =>
  (head) =>
    withHeader(head, name, value);

describe('the unaltered requests', () => {
  test('are accepted', async () => {
    expect((await refusal(signed)).kind).toBe('accepted');
    expect((await refusal(presigned)).kind).toBe('accepted');
  });
});

describe('header signatures: each part altered', () => {
  test.each<[string, string, Edit]>([
    ['method', 'SignatureDoesNotMatch', (head) => ({ ...head, method: 'GET' })],
    ['path', 'SignatureDoesNotMatch', (head) => ({ ...head, rawPath: '/bucket/kex' })],
    ['path, a slash doubled', 'SignatureDoesNotMatch', (head) => ({ ...head, rawPath: '/bucket//key' })],
    ['path, a dot segment', 'SignatureDoesNotMatch', (head) => ({ ...head, rawPath: '/bucket/x/../key' })],
    ['query value', 'SignatureDoesNotMatch', query('partNumber=1', 'partNumber=2')],
    ['query parameter added', 'SignatureDoesNotMatch', query(/$/, '&acl')],
    ['query parameter dropped', 'SignatureDoesNotMatch', query('partNumber=1&', '')],
    ['host', 'SignatureDoesNotMatch', set('host', 'other.test')],
    ['second host', 'SignatureDoesNotMatch', add('Host', 's3.test')],
    ['signed header', 'SignatureDoesNotMatch', set('content-md5', 'n')],
    ['signed header dropped', 'SignatureDoesNotMatch', set('content-md5', undefined)],
    ['signed header given twice', 'SignatureDoesNotMatch', add('x-amz-meta-a', 'two')],
    ['payload hash', 'SignatureDoesNotMatch', set('x-amz-content-sha256', sha256('other'))],
    ['payload hash made unsigned', 'SignatureDoesNotMatch', set('x-amz-content-sha256', 'UNSIGNED-PAYLOAD')],
    ['time', 'SignatureDoesNotMatch', set('x-amz-date', '20130524T000001Z')],
    ['signature', 'SignatureDoesNotMatch', authorization(/.$/, 'g')],
    ['signature cut', 'SignatureDoesNotMatch', authorization(/.$/, '')],
    ['signature empty', 'SignatureDoesNotMatch', authorization(/Signature=.*$/, 'Signature=')],
    ['signature upper case', 'SignatureDoesNotMatch', edit('authorization', upperCaseSignature)],
    ['header taken off the signed ones', 'SignatureDoesNotMatch', authorization('content-md5;', '')],
    ['header put on the signed ones', 'SignatureDoesNotMatch', authorization('host;', 'host;range;')],
    ['payload hash not one', 'InvalidContentSha256', set('x-amz-content-sha256', 'abc')],
    ['payload hash absent', 'MissingSecurityHeader', set('x-amz-content-sha256', undefined)],
    ['time absent', 'AccessDenied', set('x-amz-date', undefined)],
    ['time impossible', 'AccessDenied', set('x-amz-date', '20130230T000000Z')],
    ['time given twice', 'AccessDenied', add('x-amz-date', '20130524T000000Z')],
    ['access key', 'InvalidAccessKeyId', authorization(ACCESS_KEY, 'AKIAUNKNOWN')],
    ['scope: date', 'AuthorizationHeaderMalformed', authorization('/20130524/', '/20130523/')],
    ['scope: date not one', 'AuthorizationHeaderMalformed', authorization('/20130524/', '/2013/')],
    ['scope: region', 'AuthorizationHeaderMalformed', authorization('us-east-1', 'US')],
    ['scope: service', 'AuthorizationHeaderMalformed', authorization('/s3/', '/sts/')],
    ['scope: terminal', 'AuthorizationHeaderMalformed', authorization('aws4_request', 'aws4')],
    ['scope: too short', 'AuthorizationHeaderMalformed', authorization('/s3/', '/')],
    ['no access key', 'AuthorizationHeaderMalformed', authorization(ACCESS_KEY, '')],
    [
      'no signed headers',
      'AuthorizationHeaderMalformed',
      authorization(/SignedHeaders=[^,]*/, 'SignedHeaders='),
    ],
    ['signed header named twice', 'AuthorizationHeaderMalformed', authorization('host;', 'host;host;')],
    ['component missing', 'AuthorizationHeaderMalformed', authorization(/, Signature=.*/, '')],
    ['component repeated', 'AuthorizationHeaderMalformed', authorization(/(, Signature=.*)/, '$1$1')],
    ['component unknown', 'AuthorizationHeaderMalformed', authorization(/$/, ', Extra=1')],
    ['component without a value', 'AuthorizationHeaderMalformed', authorization(/$/, ', Extra')],
    ['nothing but the algorithm', 'AuthorizationHeaderMalformed', set('authorization', 'AWS4-HMAC-SHA256')],
    [
      'two Authorization headers',
      'AuthorizationHeaderMalformed',
      (head) => add('Authorization', header(head, 'authorization'))(head),
    ],
  ])('%s: %s', async (_, kind, alter) => {
    expect((await refusal(alter(signed))).kind).toBe(kind);
  });
});

function upperCaseSignature(value: string): string {
  return value.replace(/[0-9a-f]{64}$/, (signature) => signature.toUpperCase());
}

describe('presigned requests: each part altered', () => {
  test.each<[string, string, Edit]>([
    ['method', 'SignatureDoesNotMatch', (head) => ({ ...head, method: 'DELETE' })],
    ['path', 'SignatureDoesNotMatch', (head) => ({ ...head, rawPath: '/bucket/other' })],
    ['query value', 'SignatureDoesNotMatch', query('versionId=v', 'versionId=w')],
    ['query parameter added', 'SignatureDoesNotMatch', query(/$/, '&response-content-type=text%2Fhtml')],
    ['host', 'SignatureDoesNotMatch', set('host', 'other.test')],
    ['expiry extended', 'SignatureDoesNotMatch', query('X-Amz-Expires=3600', 'X-Amz-Expires=36000')],
    ['time moved', 'SignatureDoesNotMatch', query('T000000Z', 'T000001Z')],
    [
      'signature',
      'SignatureDoesNotMatch',
      query(/X-Amz-Signature=.{64}/, `X-Amz-Signature=${'0'.repeat(64)}`),
    ],
    [
      'a signed header that is absent',
      'SignatureDoesNotMatch',
      query('SignedHeaders=host', 'SignedHeaders=host%3Brange'),
    ],
    ['access key', 'InvalidAccessKeyId', query(ACCESS_KEY, 'AKIAUNKNOWN')],
    ['region', 'AuthorizationQueryParametersError', query('us-east-1', 'eu-west-1')],
    ['service', 'AuthorizationQueryParametersError', query('%2Fs3%2F', '%2Fsts%2F')],
    ['terminal', 'AuthorizationQueryParametersError', query('aws4_request', 'aws4')],
    ['date of the scope', 'AuthorizationQueryParametersError', query('%2F20130524', '%2F20130525')],
    [
      'credential',
      'AuthorizationQueryParametersError',
      query(/X-Amz-Credential=[^&]*/, 'X-Amz-Credential=a'),
    ],
    [
      'credential not UTF-8',
      'AuthorizationQueryParametersError',
      query('X-Amz-Credential=', 'X-Amz-Credential=%FF'),
    ],
    ['time not a time', 'AuthorizationQueryParametersError', query('T000000Z', '')],
    [
      'time in RFC 1123',
      'AuthorizationQueryParametersError',
      query('20130524T000000Z', 'Fri, 24 May 2013 00:00:00 GMT'),
    ],
    ['expiry 0', 'RequestExpired', query('=3600', '=0')],
    ['expiry -1', 'RequestExpired', query('=3600', '=-1')],
    ['expiry far below zero', 'RequestExpired', query('=3600', '=-999999999999999')],
    ['expiry over a week', 'AuthorizationQueryParametersError', query('=3600', '=604801')],
    ['expiry not a number', 'AuthorizationQueryParametersError', query('=3600', '=1h')],
    ['expiry in exponents', 'AuthorizationQueryParametersError', query('=3600', '=1e3')],
    ['algorithm', 'AuthorizationQueryParametersError', query('AWS4-HMAC-SHA256', 'none')],
    ['algorithm 4A', 'UnsupportedSignature', query('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256')],
    ['expiry given twice', 'AuthorizationQueryParametersError', query(/$/, '&X-Amz-Expires=60')],
    ['signature given twice', 'AuthorizationQueryParametersError', query(/(X-Amz-Signature=.{64})/, '$1&$1')],
    [
      'credential given twice, once escaped',
      'AuthorizationQueryParametersError',
      query(/$/, '&X%2DAmz-Credential=a'),
    ],
    ['signature missing', 'AuthorizationQueryParametersError', query(/&X-Amz-Signature=.{64}/, '')],
    ['expiry missing', 'AuthorizationQueryParametersError', query(/&X-Amz-Expires=3600/, '')],
    ['signed headers missing', 'AuthorizationQueryParametersError', query(/&X-Amz-SignedHeaders=host/, '')],
    ['host not signed', 'AccessDenied', query('SignedHeaders=host', 'SignedHeaders=range')],
    ['payload hash not one', 'InvalidContentSha256', query('UNSIGNED-PAYLOAD', 'abc')],
    ['payload hash', 'SignatureDoesNotMatch', query('UNSIGNED-PAYLOAD', sha256('body'))],
    [
      'payload hash given twice',
      'AuthorizationQueryParametersError',
      query(/$/, '&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD'),
    ],
  ])('%s: %s', async (_, kind, alter) => {
    expect((await refusal(alter(presigned))).kind).toBe(kind);
  });
});

describe('security: forms of authentication', () => {
  const queryCredential = `X-Amz-Credential=${ACCESS_KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request`;
  const bare: RequestHead = {
    method: 'PUT',
    rawPath: '/bucket/key',
    rawQuery: '',
    rawHeaders: ['Host', 's3.test', 'x-amz-date', '20130524T000000Z'],
  };
  const forged = `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY}/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${'0'.repeat(64)}`;
  const STREAMING = [
    'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'UNSIGNED-PAYLOAD',
  ];

  test('no credential at all', async () => {
    expect((await refusal(bare)).kind).toBe('AccessDenied');
  });

  test.each(STREAMING)('a credential in the query alone, with %s', async (mode) => {
    const head = set('x-amz-content-sha256', mode)({ ...bare, rawQuery: queryCredential });
    expect((await refusal(head)).kind).toBe('AccessDenied');
  });

  test.each(STREAMING)('a fabricated signature with %s', async (mode) => {
    const head = add('authorization', forged)(set('x-amz-content-sha256', mode)(bare));
    expect((await refusal(head)).kind).toBe('SignatureDoesNotMatch');
  });

  test.each(STREAMING)(
    'a fabricated signature, with a credential in the query too, with %s',
    async (mode) => {
      const head = add('authorization', forged)(set('x-amz-content-sha256', mode)(bare));
      expect((await refusal({ ...head, rawQuery: queryCredential })).kind).toBe('AmbiguousAuthentication');
    },
  );

  test('a right signature together with a presigned query', async () => {
    const head = { ...signed, rawQuery: `${signed.rawQuery}&${presigned.rawQuery}` };
    expect((await refusal(head)).kind).toBe('AmbiguousAuthentication');
  });

  test.each([
    ['AWS key:sig', { authorization: `AWS ${ACCESS_KEY}:frJIUN8DYpKDtOLCwo//yllqDzg=` }, ''],
    ['version 4A', { authorization: forged.replace('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256') }, ''],
    ['the algorithm in lower case', { authorization: forged.replace('AWS4-HMAC', 'aws4-hmac') }, ''],
    ['Bearer', { authorization: 'Bearer token' }, ''],
    ['an empty header', { authorization: '' }, ''],
    ['a version 2 query', {}, `AWSAccessKeyId=${ACCESS_KEY}&Expires=1&Signature=x`],
  ])('%s is not supported', async (_, headers, rawQuery) => {
    const head = { ...bare, rawQuery, rawHeaders: [...bare.rawHeaders, ...Object.entries(headers).flat()] };
    const { kind, message } = await refusal(head);
    expect(kind).toBe('UnsupportedSignature');
    expect(message).toContain('Please use AWS4-HMAC-SHA256.');
  });

  test('the secret that stands in for unknown keys opens nothing', async () => {
    const options = { accessKey: 'AKIAUNKNOWN', secretKey: 'no credential has this secret' };
    const { kind, fields } = await refusal(onTheWire(await sign(request, options)));
    expect(kind).toBe('InvalidAccessKeyId');
    expect(fields.get('AWSAccessKeyId')).toBe('AKIAUNKNOWN');
  });

  test('chunks signed with version 4A', async () => {
    const sha = 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD';
    const head = onTheWire(await sign({ ...request, headers: { host: 'h', 'x-amz-content-sha256': sha } }));
    expect((await refusal(head)).kind).toBe('UnsupportedSignature');
  });
});

describe('security: unsigned headers', () => {
  test('every x-amz-* header of a signed request must be signed', async () => {
    const head = add('x-amz-storage-class', 'GLACIER')(add('X-Amz-Acl', 'public-read')(signed));
    const { kind, fields } = await refusal(head);
    expect(kind).toBe('AccessDenied');
    expect(fields.get('HeadersNotSigned')).toBe('x-amz-acl, x-amz-storage-class');
  });

  test.each([
    'x-amz-acl',
    'x-amz-meta-a',
    'x-amz-security-token',
    'x-amz-copy-source',
    'x-amz-content-sha256',
  ])('an unsigned %s on a presigned request', async (name) => {
    const { kind, fields } = await refusal(add(name, 'value')(presigned));
    expect(kind).toBe('AccessDenied');
    expect(fields.get('HeadersNotSigned')).toBe(name);
  });

  test('the host must be signed', async () => {
    const { kind, fields } = await refusal(authorization('host;', '')(signed));
    expect(kind).toBe('AccessDenied');
    expect(fields.get('HeadersNotSigned')).toBe('host');
  });

  test('other headers may be unsigned', async () => {
    expect((await refusal(add('range', 'bytes=0-1')(presigned))).kind).toBe('accepted');
  });
});

describe('security: replay, skew and scope', () => {
  test.each([
    [15 * MINUTE, 'accepted'],
    [15 * MINUTE + 1, 'RequestTimeTooSkewed'],
    [-15 * MINUTE, 'accepted'],
    [-15 * MINUTE - 1, 'RequestTimeTooSkewed'],
  ])('a signed request replayed %d ms later: %s', async (later, kind) => {
    expect((await refusal(signed, SIGNED_AT + later)).kind).toBe(kind);
  });

  test('skew names both times', async () => {
    const { fields } = await refusal(signed, SIGNED_AT + 60 * MINUTE);
    expect([...fields]).toEqual([
      ['RequestTime', '20130524T000000Z'],
      ['ServerTime', '2013-05-24T01:00:00Z'],
      ['MaxAllowedSkewMilliseconds', '900000'],
    ]);
  });

  test.each([
    [3600 * 1000, 'accepted'],
    [3600 * 1000 + 1, 'RequestExpired'],
    [-15 * MINUTE, 'accepted'],
    [-15 * MINUTE - 1, 'AccessDenied'],
  ])('a presigned request of one hour used %d ms later: %s', async (later, kind) => {
    expect((await refusal(presigned, SIGNED_AT + later)).kind).toBe(kind);
  });

  test('an expired request names its times', async () => {
    const { message, fields } = await refusal(presigned, SIGNED_AT + 7200 * 1000);
    expect(message).toBe('Request has expired');
    expect([...fields]).toEqual([
      ['X-Amz-Expires', '3600'],
      ['Expires', '2013-05-24T01:00:00Z'],
      ['ServerTime', '2013-05-24T02:00:00Z'],
    ]);
  });

  test('a presigned request lives a week', async () => {
    const head = onTheWire(await presign(get, { expiresIn: 604_800 }));
    expect((await refusal(head, SIGNED_AT + 604_800_000)).kind).toBe('accepted');
  });

  test.each<[string, SigningOptions, string]>([
    ['region', { region: 'eu-west-1' }, "the region 'eu-west-1' is wrong; expecting 'us-east-1'"],
    ['service', { service: 'sts' }, 'incorrect service "sts". This endpoint belongs to "s3".'],
  ])('a right signature for another %s', async (_, options, reason) => {
    const inHeader = await refusal(onTheWire(await sign(request, options)));
    expect(inHeader.kind).toBe('AuthorizationHeaderMalformed');
    expect(inHeader.message).toBe(`The authorization header is malformed; ${reason}`);
    const inQuery = await refusal(onTheWire(await presign(get, options)));
    expect(inQuery.kind).toBe('AuthorizationQueryParametersError');
    for (const { fields } of [inHeader, inQuery]) {
      expect(fields.get('Region')).toBe(options.region === undefined ? undefined : 'us-east-1');
    }
  });
});

describe('the error of a wrong signature', () => {
  test('says what was signed, and holds no secret', async () => {
    const { fields } = await refusal(set('content-md5', 'n')(signed));
    expect(fields.get('AWSAccessKeyId')).toBe(ACCESS_KEY);
    expect(fields.get('SignatureProvided')).toMatch(/^[0-9a-f]{64}$/);
    const canonical = fields.get('CanonicalRequest')!;
    expect(canonical.split('\n').slice(0, 5)).toEqual([
      'PUT',
      '/bucket/key',
      'partNumber=1&uploadId=u',
      'content-md5:n',
      'host:s3.test',
    ]);
    const stringToSign = fields.get('StringToSign')!;
    expect(stringToSign.endsWith(sha256(canonical))).toBe(true);
    const bytes = (text: string) =>
      [...Buffer.from(text)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    expect(fields.get('StringToSignBytes')).toBe(bytes(stringToSign));
    expect(fields.get('CanonicalRequestBytes')).toBe(bytes(canonical));
  });

  test('does not echo endless headers', async () => {
    const { fields } = await refusal(set('content-md5', 'n'.repeat(50_000))(signed));
    expect(fields.get('CanonicalRequest')!.length).toBeLessThan(10_000);
  });
});
