import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  copySourceCustomerKey,
  encryptionHeaders,
  readCustomerKey,
  readEncryption,
  writeEncryption,
} from '../../../../gateway/s3/headers/encryption.ts';
import { codeOf, errorOf, headersOf } from './request.ts';
import type { Fields } from './request.ts';

const KEY = randomBytes(32);
const MD5 = createHash('md5').update(KEY).digest('base64');

function customer(changes: Fields = {}, prefix = 'x-amz'): Fields {
  const fields: Record<string, string> = {};
  const values = { algorithm: 'AES256', key: KEY.toString('base64'), 'key-md5': MD5, ...changes };
  for (const [name, value] of Object.entries(values)) {
    if (value !== 'absent') fields[`${prefix}-server-side-encryption-customer-${name}`] = value;
  }
  return fields;
}

describe('customer keys', () => {
  test('three headers', () => {
    const key = readCustomerKey(headersOf(customer()), true);
    expect(Buffer.from(key?.key ?? [])).toEqual(KEY);
    expect(key?.md5).toBe(MD5);
    expect(readCustomerKey(headersOf({}), false)).toBeUndefined();
  });

  test('the source of a copy has its own', () => {
    const headers = headersOf(customer({}, 'x-amz-copy-source'));
    expect(copySourceCustomerKey(headers, true)?.md5).toBe(MD5);
    expect(readCustomerKey(headers, true)).toBeUndefined();
  });

  test('not over a plain connection', () => {
    const error = errorOf(() => readCustomerKey(headersOf(customer()), false));
    expect(error.code).toBe('InvalidRequest');
    expect(error.message).toContain('secure connection');
  });

  test.each([
    [{ algorithm: 'absent' }, 'InvalidArgument'],
    [{ algorithm: 'AES128' }, 'InvalidEncryptionAlgorithmError'],
    [{ key: 'absent' }, 'InvalidArgument'],
    [{ key: '' }, 'InvalidArgument'],
    [{ key: randomBytes(16).toString('base64') }, 'InvalidArgument'],
    [{ key: randomBytes(33).toString('base64') }, 'InvalidArgument'],
    [{ key: KEY.toString('hex') }, 'InvalidArgument'],
    [{ 'key-md5': 'absent' }, 'InvalidArgument'],
    [{ 'key-md5': createHash('md5').update('other').digest('base64') }, 'InvalidArgument'],
  ])('%o: %s', (changes, code) => {
    const error = errorOf(() => readCustomerKey(headersOf(customer(changes)), true));
    expect(error.code).toBe(code);
    expect(JSON.stringify([error.message, error.fields])).not.toContain(KEY.toString('base64'));
  });
});

describe('server-side encryption', () => {
  const SSE = 'x-amz-server-side-encryption';

  test('AES256', () => {
    expect(writeEncryption(headersOf({ [SSE]: 'AES256' }), false)).toEqual({ sse: 'AES256' });
    expect(writeEncryption(headersOf({}), false)).toEqual({});
  });

  test.each<[Fields, string]>([
    [{ [SSE]: 'aws:kms' }, 'NotImplemented'],
    [{ [SSE]: 'aws:kms:dsse' }, 'NotImplemented'],
    [{ [`${SSE}-aws-kms-key-id`]: 'k' }, 'NotImplemented'],
    [{ [SSE]: 'AES256', [`${SSE}-bucket-key-enabled`]: 'true' }, 'NotImplemented'],
    [{ [SSE]: 'rot13' }, 'InvalidArgument'],
    [{ [SSE]: 'AES256', ...customer() }, 'InvalidArgument'],
    [{ [SSE]: 'aws:kms', ...customer() }, 'InvalidArgument'],
    [{ [SSE]: 'AES256', [`${SSE}-aws-kms-key-id`]: 'k' }, 'InvalidArgument'],
  ])('%o: %s', (headers, code) => {
    expect(codeOf(() => writeEncryption(headersOf(headers), true))).toBe(code);
  });

  test('does not belong on a read', () => {
    expect(codeOf(() => readEncryption(headersOf({ [SSE]: 'AES256' }), true))).toBe('InvalidArgument');
  });

  test('responses', () => {
    expect(encryptionHeaders(undefined)).toEqual([[SSE, 'AES256']]);
    expect(encryptionHeaders(MD5)).toEqual([
      [`${SSE}-customer-algorithm`, 'AES256'],
      [`${SSE}-customer-key-md5`, MD5],
    ]);
  });
});
