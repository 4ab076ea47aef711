import { S3Error } from '../../../../gateway/s3/errors.ts';
import { parseQuery } from '../../../../gateway/s3/query.ts';
import { parseHeaders } from '../../../../gateway/s3/requestHeaders.ts';
import type { RequestHeaders, S3Request } from '../../../../gateway/s3/types.ts';

export type Fields = Readonly<Record<string, string>>;

/** Headers as they come over the wire: values become bytes of UTF-8. */
export function headersOf(fields: Fields): RequestHeaders {
  const raw = Object.entries(fields).flatMap(([name, value]) => [
    name,
    Buffer.from(value, 'utf8').toString('latin1'),
  ]);
  return parseHeaders(raw);
}

export interface RequestParts {
  readonly method?: string;
  readonly headers?: Fields;
  /** Raw, without '?'. */
  readonly query?: string;
  readonly body?: string | Uint8Array;
  /** undefined: the client declared none. */
  readonly length?: number | undefined;
  readonly trailers?: Fields;
}

export function requestOf(parts: RequestParts): S3Request {
  const body = Buffer.from(parts.body ?? '');
  const trailers = new Map(Object.entries(parts.trailers ?? {}));
  async function* bytes(): AsyncGenerator<Uint8Array> {
    if (body.length > 0) yield body;
  }
  return {
    id: '0123456789ABCDEF',
    method: parts.method ?? 'PUT',
    rawPath: '/bucket/key',
    bucket: 'bucket',
    key: 'key',
    query: parseQuery(parts.query ?? ''),
    headers: headersOf(parts.headers ?? {}),
    principal: { accessKey: 'AK', owner: 'owner', displayName: 'Owner' },
    payload: {
      length: 'length' in parts ? parts.length : body.length,
      sha256: undefined,
      bytes: bytes(),
      trailer: (name) => trailers.get(name),
    },
    signal: new AbortController().signal,
  };
}

/** The S3 code that a call throws; a test fails on any other outcome. */
export function codeOf(call: () => unknown): string {
  return errorOf(call).code;
}

export function errorOf(call: () => unknown): S3Error {
  try {
    call();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
