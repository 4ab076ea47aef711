import { createHash } from 'node:crypto';
import type { CustomerKey, Pairs } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../types.ts';
import { invalidArgument, notImplemented } from './refuse.ts';

const SSE = 'x-amz-server-side-encryption';
const CUSTOMER = '-server-side-encryption-customer-';

/** Key services are for KMS-managed keys, which Shardway does not offer. */
const KMS_KEY_ID = `${SSE}-aws-kms-key-id`;
const KMS_HEADERS = [KMS_KEY_ID, `${SSE}-context`, `${SSE}-bucket-key-enabled`];

/** What a write asks of encryption. */
export interface EncryptionRequest {
  readonly sse?: 'AES256';
  readonly customerKey?: CustomerKey;
}

/**
 * Encryption headers of a write. @param secure the connection to the client is encrypted
 * @throws S3Error 'NotImplemented' for KMS keys, 'InvalidArgument' | 'InvalidRequest' | 'InvalidEncryptionAlgorithmError'
 */
export function writeEncryption(headers: RequestHeaders, secure: boolean): EncryptionRequest {
  const asked = headers.get(SSE);
  const customerKey = readCustomerKey(headers, secure);
  if (asked !== undefined) checkMethod(headers, asked, customerKey !== undefined);
  refuseKms(headers);
  if (asked !== undefined) return { sse: 'AES256' };
  return customerKey === undefined ? {} : { customerKey };
}

/** What contradicts itself is wrong before it is unsupported. */
function checkMethod(headers: RequestHeaders, asked: string, withCustomerKey: boolean): void {
  const kms = asked === 'aws:kms' || asked === 'aws:kms:dsse';
  if (!kms && asked !== 'AES256') {
    throw invalidArgument('The encryption method specified is not supported', SSE, asked);
  }
  if (withCustomerKey) {
    throw invalidArgument(
      'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
      SSE,
      asked,
    );
  }
  if (kms) throw notImplemented(SSE);
  if (headers.get(KMS_KEY_ID) !== undefined) {
    throw invalidArgument(
      `Server Side Encryption with AWS KMS managed key requires HTTP header ${SSE} : aws:kms`,
      SSE,
      asked,
    );
  }
}

/** Encryption headers of a read: only a customer key belongs there. @throws as writeEncryption */
export function readEncryption(headers: RequestHeaders, secure: boolean): CustomerKey | undefined {
  const asked = headers.get(SSE);
  if (asked !== undefined) {
    throw invalidArgument(`${SSE} header is not supported for this operation.`, SSE, asked);
  }
  return readCustomerKey(headers, secure);
}

/** The customer key of the object that a request names. */
export function readCustomerKey(headers: RequestHeaders, secure: boolean): CustomerKey | undefined {
  return customerKeyOf(headers, `x-amz${CUSTOMER}`, secure);
}

/** The customer key that the source of a copy needs. */
export function copySourceCustomerKey(headers: RequestHeaders, secure: boolean): CustomerKey | undefined {
  return customerKeyOf(headers, `x-amz-copy-source${CUSTOMER}`, secure);
}

/** As responses tell how an object is encrypted. Every body is, so AES256 where no customer key is. */
export function encryptionHeaders(customerKeyMd5: string | undefined): Pairs {
  if (customerKeyMd5 === undefined) return [[SSE, 'AES256']];
  return [
    [`x-amz${CUSTOMER}algorithm`, 'AES256'],
    [`x-amz${CUSTOMER}key-md5`, customerKeyMd5],
  ];
}

function refuseKms(headers: RequestHeaders): void {
  for (const name of KMS_HEADERS) {
    const value = headers.get(name);
    // `false` is the default spelt out.
    if (value !== undefined && value !== 'false') throw notImplemented(name);
  }
}

const WITH_CUSTOMER_KEY = 'Requests specifying Server Side Encryption with Customer provided keys must';

function customerKeyOf(headers: RequestHeaders, prefix: string, secure: boolean): CustomerKey | undefined {
  const algorithm = headers.get(`${prefix}algorithm`);
  const key = headers.get(`${prefix}key`);
  const md5 = headers.get(`${prefix}key-md5`);
  if (algorithm === undefined && key === undefined && md5 === undefined) return undefined;
  if (!secure) {
    throw new S3Error('InvalidRequest', `${WITH_CUSTOMER_KEY} be made over a secure connection.`);
  }
  if (algorithm === undefined) {
    throw invalidArgument(`${WITH_CUSTOMER_KEY} provide a valid encryption algorithm.`, `${prefix}algorithm`);
  }
  if (algorithm !== 'AES256') throw new S3Error('InvalidEncryptionAlgorithmError');
  if (key === undefined || key === '') {
    throw invalidArgument(`${WITH_CUSTOMER_KEY} provide an appropriate secret key.`, `${prefix}key`);
  }
  if (md5 === undefined || md5 === '') {
    throw invalidArgument(
      `${WITH_CUSTOMER_KEY} provide the client calculated MD5 of the secret key.`,
      `${prefix}key-md5`,
    );
  }
  return checkedKey(prefix, key, md5);
}

/** 32 bytes are 43 characters of base64 and one '='. Errors name the header, never the key. */
function checkedKey(prefix: string, base64: string, md5: string): CustomerKey {
  const key = /^[A-Za-z0-9+/]{43}=$/.test(base64) ? Buffer.from(base64, 'base64') : undefined;
  if (key === undefined) {
    throw invalidArgument('The secret key was invalid for the specified algorithm.', `${prefix}key`);
  }
  if (createHash('md5').update(key).digest('base64') !== md5) {
    throw invalidArgument(
      'The calculated MD5 hash of the key did not match the hash that was provided.',
      `${prefix}key-md5`,
    );
  }
  return { key, md5 };
}
