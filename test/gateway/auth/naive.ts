/** A second signer, straight from the specification, for what the AWS SDK will not sign. Takes requests in canonical form. */
import { createHmac } from 'node:crypto';
import type { RequestHead } from '../../../gateway/auth/types.ts';
import { signing } from './chunks.ts';
import { ACCESS_KEY, escape, onTheWire, SCOPE, sha256 } from './signing.ts';
import type { Signable } from './signing.ts';

function signature(
  request: Signable,
  names: readonly string[],
  payloadHash: string,
  encoding: BufferEncoding,
): string {
  const query = Object.keys(request.query)
    .sort()
    .map((name) => `${escape(name)}=${escape(request.query[name]!)}`)
    .join('&');
  const lines = names.map((name) => `${name}:${request.headers[name]}\n`).join('');
  const canonical = [request.method, request.path, query, lines, names.join(';'), payloadHash].join('\n');
  const hash = sha256(Buffer.from(canonical, encoding));
  const text = `AWS4-HMAC-SHA256\n20130524T000000Z\n${SCOPE}\n${hash}`;
  return createHmac('sha256', signing.signingKey).update(text).digest('hex');
}

/** `encoding`: of header text, signed and sent alike. */
export function naiveHeaderSignature(
  request: Signable,
  names: readonly string[],
  encoding: 'utf8' | 'latin1' = 'utf8',
): RequestHead {
  const signed = signature(request, names, request.headers['x-amz-content-sha256']!, encoding);
  const head = onTheWire(request);
  const sent = encoding === 'latin1' ? Object.entries(request.headers).flat() : head.rawHeaders;
  const authorization = `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY}/${SCOPE}, SignedHeaders=${names.join(';')}, Signature=${signed}`;
  return { ...head, rawHeaders: [...sent, 'Authorization', authorization] };
}

export function naivePresign(
  request: Signable,
  names: readonly string[],
  payloadHash = 'UNSIGNED-PAYLOAD',
): RequestHead {
  const query = {
    ...request.query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${ACCESS_KEY}/${SCOPE}`,
    'X-Amz-Date': '20130524T000000Z',
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': names.join(';'),
  };
  const signed = signature({ ...request, query }, names, payloadHash, 'utf8');
  return onTheWire({ ...request, query: { ...query, 'X-Amz-Signature': signed } });
}
