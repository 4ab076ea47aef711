import { describe, expect, test } from 'vitest';
import type { ObjectInfo, OpenedObject, WriteResult } from '../../../../gateway/engine/types.ts';
import { effectiveHeaders } from '../../../../gateway/s3/headers/effective.ts';
import { objectHeaders, putHeaders } from '../../../../gateway/s3/headers/object.ts';
import { partNumberOf, pageSize, versionIdOf } from '../../../../gateway/s3/headers/parameters.ts';
import { selectBytes } from '../../../../gateway/s3/headers/selection.ts';
import { refuseAcl, refuseAppend, refuseObjectLock } from '../../../../gateway/s3/headers/unsupported.ts';
import { parseQuery } from '../../../../gateway/s3/query.ts';
import { codeOf, headersOf, requestOf } from './request.ts';
import type { RequestParts } from './request.ts';

const NO_QUERY = parseQuery('');

function infoOf(changes: Partial<ObjectInfo> = {}): ObjectInfo {
  return {
    bucket: 'bucket',
    key: 'key',
    versionId: 'null',
    versioned: false,
    isLatest: true,
    deleteMarker: false,
    size: 10,
    etag: 'd41d8cd98f00b204e9800998ecf8427e',
    lastModified: Date.UTC(2025, 0, 2, 3, 4, 5, 678),
    headers: [['content-type', 'text/plain']],
    userMetadata: [],
    tags: [],
    ...changes,
  };
}

function openedOf(info: ObjectInfo): OpenedObject {
  return {
    info,
    stream: () => {
      throw new Error('not read here');
    },
    partRange(partNumber) {
      const before = (info.parts ?? []).slice(0, partNumber - 1).reduce((sum, part) => sum + part.size, 0);
      const size = info.parts?.[partNumber - 1]?.size ?? info.size;
      return { start: before, end: before + size, count: info.parts?.length ?? 1 };
    },
    release: () => undefined,
    close: () => undefined,
  };
}

const select = (parts: RequestParts, info: ObjectInfo) => selectBytes(requestOf(parts), openedOf(info));

describe('headers of an object', () => {
  test('a plain one', () => {
    expect(new Map(objectHeaders(infoOf(), NO_QUERY))).toEqual(
      new Map([
        ['last-modified', 'Thu, 02 Jan 2025 03:04:05 GMT'],
        ['etag', '"d41d8cd98f00b204e9800998ecf8427e"'],
        ['accept-ranges', 'bytes'],
        ['content-type', 'text/plain'],
        ['x-amz-server-side-encryption', 'AES256'],
      ]),
    );
  });

  test('version, tags, metadata, customer key', () => {
    const info = infoOf({
      versioned: true,
      versionId: 'v1',
      tags: [['a', 'b']],
      userMetadata: [['name', 'wert']],
      customerKeyMd5: 'md5',
    });
    const headers = new Map(objectHeaders(info, NO_QUERY));
    expect(headers.get('x-amz-version-id')).toBe('v1');
    expect(headers.get('x-amz-tagging-count')).toBe('1');
    expect(headers.get('x-amz-meta-name')).toBe('wert');
    expect(headers.get('x-amz-server-side-encryption-customer-key-md5')).toBe('md5');
    expect(headers.has('x-amz-server-side-encryption')).toBe(false);
  });

  test('response-* parameters take the place of stored headers', () => {
    const query = parseQuery(
      'response-content-type=image%2Fpng&response-expires=never&response-content-encoding=',
    );
    const headers = objectHeaders(
      infoOf({
        headers: [
          ['content-type', 'a/b'],
          ['content-encoding', 'gzip'],
        ],
      }),
      query,
    );
    expect(headers.filter(([name]) => name === 'content-type')).toEqual([['content-type', 'image/png']]);
    expect(headers).toContainEqual(['expires', 'never']);
    expect(headers).toContainEqual(['content-encoding', 'gzip']);
  });

  test.each(['%0D%0AX-Evil:%201', '%00', '%0A', '%7F'])(
    'response-content-disposition=a%s is refused',
    (value) => {
      const query = parseQuery(`response-content-disposition=a${value}`);
      expect(codeOf(() => objectHeaders(infoOf(), query))).toBe('InvalidArgument');
    },
  );

  test('answer to a put', () => {
    const checksum = { algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'AAAAAA==' } as const;
    const headers = new Map(putHeaders({ info: infoOf({ checksum }), survives: [] }));
    expect(headers.get('x-amz-checksum-crc32')).toBe('AAAAAA==');
    expect(headers.get('x-amz-checksum-type')).toBe('FULL_OBJECT');
    expect(headers.get('x-shardway-domain-rule')).toBe('none');
  });

  test('a write names the levels of which a domain may be lost; a copy, placed before, names none', () => {
    const rule = (survives: WriteResult['survives']): string | undefined =>
      new Map(putHeaders({ info: infoOf(), survives })).get('x-shardway-domain-rule');
    expect(rule(['region', 'site', 'operator'])).toBe('region,site,operator');
    expect(rule(['operator'])).toBe('operator');
    expect(rule(undefined)).toBeUndefined();
  });
});

describe('selection of bytes', () => {
  const ENABLED = { 'x-amz-checksum-mode': 'ENABLED' };
  const checksum = { algorithm: 'CRC32', type: 'COMPOSITE', value: 'BBBBBA==-2' } as const;
  const part = (number: number, size: number, value: string) => ({
    number,
    size,
    etag: 'e',
    lastModified: 0,
    checksum: { algorithm: 'CRC32', type: 'FULL_OBJECT', value } as const,
  });
  const multipart = infoOf({ checksum, parts: [part(2, 6, 'AAAAAA=='), part(7, 4, 'CCCCCA==')] });

  test('all of it', () => {
    expect(select({}, multipart)).toEqual({
      status: 200,
      start: 0,
      end: 10,
      headers: [['content-length', '10']],
    });
    expect(select({ headers: ENABLED }, multipart).headers).toContainEqual([
      'x-amz-checksum-crc32',
      'BBBBBA==-2',
    ]);
  });

  test('a range carries no checksum of the whole', () => {
    expect(select({ headers: { ...ENABLED, range: 'bytes=1-2' } }, multipart)).toEqual({
      status: 206,
      start: 1,
      end: 3,
      headers: [
        ['content-length', '2'],
        ['content-range', 'bytes 1-2/10'],
      ],
    });
  });

  test('a part carries its own', () => {
    expect(select({ headers: ENABLED, query: 'partNumber=2' }, multipart)).toEqual({
      status: 206,
      start: 6,
      end: 10,
      headers: [
        ['content-length', '4'],
        ['content-range', 'bytes 6-9/10'],
        ['x-amz-mp-parts-count', '2'],
        ['x-amz-checksum-crc32', 'CCCCCA=='],
        ['x-amz-checksum-type', 'COMPOSITE'],
      ],
    });
  });

  test('an object of no bytes is its own part 1', () => {
    expect(select({ query: 'partNumber=1' }, infoOf({ size: 0 }))).toMatchObject({
      status: 200,
      start: 0,
      end: 0,
    });
  });

  test('a range and a part', () => {
    expect(codeOf(() => select({ headers: { range: 'bytes=0-1' }, query: 'partNumber=1' }, multipart))).toBe(
      'InvalidRequest',
    );
  });
});

describe('parameters', () => {
  test.each(['0', '10001', '-1', 'a', '', '1.5', '1e3'])('partNumber=%s', (value) => {
    expect(codeOf(() => partNumberOf(parseQuery(`partNumber=${value}`)))).toBe('InvalidArgument');
  });

  test('in range', () => {
    expect(partNumberOf(parseQuery('partNumber=1'))).toBe(1);
    expect(partNumberOf(parseQuery('partNumber=10000'))).toBe(10_000);
    expect(partNumberOf(NO_QUERY)).toBeUndefined();
    expect(codeOf(() => versionIdOf(parseQuery('versionId=')))).toBe('InvalidArgument');
    expect(versionIdOf(parseQuery('versionId=null'))).toBe('null');
  });

  test('page sizes', () => {
    expect([
      pageSize('max-parts', undefined),
      pageSize('max-parts', '5'),
      pageSize('max-parts', '5000'),
    ]).toEqual([1000, 5, 1000]);
    for (const value of ['-1', 'x', '2147483648', '99999999999']) {
      expect(codeOf(() => pageSize('max-parts', value))).toBe('InvalidArgument');
    }
  });
});

describe('what is refused', () => {
  test('ACLs that would not be kept', () => {
    for (const acl of ['private', 'bucket-owner-full-control', '']) {
      expect(() => refuseAcl(headersOf({ 'x-amz-acl': acl }))).not.toThrow();
    }
    expect(codeOf(() => refuseAcl(headersOf({ 'x-amz-acl': 'public-read' })))).toBe(
      'AccessControlListNotSupported',
    );
    expect(codeOf(() => refuseAcl(headersOf({ 'x-amz-acl': 'nonsense' })))).toBe('InvalidArgument');
    expect(codeOf(() => refuseAcl(headersOf({ 'x-amz-grant-read': 'id=1' })))).toBe(
      'AccessControlListNotSupported',
    );
  });

  test('locks and appends', () => {
    expect(codeOf(() => refuseObjectLock(headersOf({ 'x-amz-object-lock-mode': 'COMPLIANCE' })))).toBe(
      'InvalidRequest',
    );
    expect(codeOf(() => refuseObjectLock(headersOf({ 'x-amz-object-lock-legal-hold': 'ON' })))).toBe(
      'InvalidRequest',
    );
    expect(codeOf(() => refuseAppend(headersOf({ 'x-amz-write-offset-bytes': '5' })))).toBe('NotImplemented');
  });
});

describe('headers hoisted into a presigned query', () => {
  const hoisted = (query: string, headers = {}) =>
    effectiveHeaders(requestOf({ query: `X-Amz-Signature=x&X-Amz-Date=d&${query}`, headers }));

  test('are headers', () => {
    const headers = hoisted('x-amz-meta-a=b%20c&X-Amz-Storage-Class=STANDARD_IA&x-id=PutObject');
    expect(headers.get('X-Amz-Meta-A')).toBe('b c');
    expect(headers.get('x-amz-storage-class')).toBe('STANDARD_IA');
    expect([...headers.entries()].map(([name]) => name)).toEqual(['x-amz-meta-a', 'x-amz-storage-class']);
  });

  test('one on the wire goes first, checksum values stay apart', () => {
    const headers = hoisted(
      'x-amz-acl=public-read&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-checksum-mode=ENABLED',
      {
        'x-amz-acl': 'private',
      },
    );
    expect(headers.get('x-amz-acl')).toBe('private');
    expect(headers.get('x-amz-checksum-crc32')).toBeUndefined();
    expect(headers.get('x-amz-checksum-mode')).toBe('ENABLED');
  });

  test('only of a presigned request', () => {
    expect(effectiveHeaders(requestOf({ query: 'x-amz-acl=public-read' })).get('x-amz-acl')).toBeUndefined();
  });

  test.each(['x-amz-meta-a=b%0D%0Ac', 'x-amz-meta-a%0D%0Ab=c', 'x-amz-meta-a%20b=c', 'x-amz-meta-%C3%A4=c'])(
    '%s could not be a header',
    (query) => {
      expect(codeOf(() => hoisted(query))).toBe('InvalidArgument');
    },
  );
});
