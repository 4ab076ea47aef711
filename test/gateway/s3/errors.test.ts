import { describe, expect, test } from 'vitest';
import { AuthError } from '../../../gateway/auth/types.ts';
import { EngineError } from '../../../gateway/engine/types.ts';
import type { ObjectInfo } from '../../../gateway/engine/types.ts';
import { S3_CODES } from '../../../gateway/s3/codes.ts';
import { AUTH_CODES, ENGINE_CODES, S3Error, errorResponse, toS3Error } from '../../../gateway/s3/errors.ts';
import { childText, parseXml } from '../../../gateway/s3/parseXml.ts';

const subject = { id: '0123456789ABCDEF', method: 'GET', rawPath: '/bucket/a<&>\r%0A' };

function headersOf(error: unknown, method = 'GET'): Map<string, string> {
  return new Map(errorResponse(toS3Error(error), { ...subject, method }).headers);
}

describe('mapping', () => {
  test('every kind has a 3xx, 4xx or 5xx code', () => {
    for (const code of [...Object.values(ENGINE_CODES), ...Object.values(AUTH_CODES)]) {
      expect([3, 4, 5]).toContain(Math.floor(S3_CODES[code].status / 100));
    }
  });

  test('an unknown throwable is InternalError and tells nothing of itself', () => {
    for (const thrown of [new Error('secret /data/keys'), 'secret', undefined, { code: 'NoSuchKey' }]) {
      const error = toS3Error(thrown);
      expect([error.code, error.status]).toEqual(['InternalError', 500]);
      expect(errorResponse(error, subject).body).not.toContain('secret');
      expect(error.cause).toBe(thrown);
    }
  });

  test.each(['Unavailable', 'StorageFull', 'Unreadable'] as const)(
    '%s is 503 with Retry-After and no inside story',
    (kind) => {
      const error = toS3Error(new EngineError(kind, 'provider p7 at 10.0.0.7 is full'));
      expect([error.code, error.status]).toEqual(['ServiceUnavailable', 503]);
      expect(error.message).not.toContain('p7');
      expect(headersOf(error).get('retry-after')).toBe('1');
    },
  );

  test('a failure domain that cannot be survived is 503 with Retry-After, and says so', () => {
    const error = toS3Error(
      new EngineError('DomainRule', 'Objects have to survive the loss of any one site'),
    );
    expect([error.code, error.status]).toEqual(['ServiceUnavailable', 503]);
    expect(error.message).toContain('any one site');
    expect(headersOf(error).get('retry-after')).toBe('1');
  });

  test('a delete marker is told by headers', () => {
    const details = { deleteMarker: true, versionId: 'v1' };
    expect(headersOf(new EngineError('NoSuchKey', '', details)).get('x-amz-delete-marker')).toBe('true');
    expect(headersOf(new EngineError('MethodNotAllowed', '', details), 'HEAD')).toEqual(
      new Map([
        ['x-amz-delete-marker', 'true'],
        ['x-amz-version-id', 'v1'],
        ['allow', 'DELETE'],
      ]),
    );
  });

  test('304 has the entity tag and no body', () => {
    const info = { etag: 'abc', lastModified: 0, versioned: true, versionId: 'v2' } as unknown as ObjectInfo;
    const response = errorResponse(toS3Error(new EngineError('NotModified', '', { info })), subject);
    expect(response).toEqual({
      status: 304,
      headers: [
        ['etag', '"abc"'],
        ['last-modified', 'Thu, 01 Jan 1970 00:00:00 GMT'],
        ['x-amz-version-id', 'v2'],
      ],
    });
  });

  test('an authentication error keeps its fields, and clients learn the region', () => {
    const error = new AuthError('AuthorizationHeaderMalformed', 'wrong region', [['Region', 'eu-west-1']]);
    expect(errorResponse(toS3Error(error), subject).body).toContain('<Region>eu-west-1</Region>');
    expect(headersOf(error).get('x-amz-bucket-region')).toBe('eu-west-1');
    expect(toS3Error(new AuthError('RequestExpired', 'Request has expired')).code).toBe('AccessDenied');
    expect(toS3Error(new AuthError('MissingSecurityHeader', 'Missing'))).toMatchObject({
      status: 400,
      code: 'InvalidRequest',
    });
  });

  test.each(['UnsupportedSignature', 'AmbiguousAuthentication'] as const)('%s is denied', (kind) => {
    const { status, code, message } = toS3Error(new AuthError(kind, 'Please use another.'));
    expect([status, code, message]).toEqual([403, 'AccessDenied', 'Please use another.']);
  });
});

describe('response', () => {
  test('XML with code, message, resource and ids', () => {
    const { status, headers, body } = errorResponse(
      new S3Error('NoSuchKey', undefined, { fields: [['Key', 'a\r']] }),
      subject,
    );
    expect(status).toBe(404);
    expect(headers).toContainEqual(['content-type', 'application/xml']);
    const root = parseXml(body as string, 'Error');
    const text = (name: string): string | undefined => childText(root, name);
    expect([text('Code'), text('Key'), text('Resource'), text('RequestId')]).toEqual([
      'NoSuchKey',
      'a\r',
      subject.rawPath,
      subject.id,
    ]);
    expect(text('Message')).not.toBe('');
    expect(text('HostId')).not.toBe('');
  });

  test('HEAD has no body', () => {
    expect(errorResponse(new S3Error('NoSuchKey'), { ...subject, method: 'HEAD' })).toEqual({
      status: 404,
      headers: [],
    });
  });
});
