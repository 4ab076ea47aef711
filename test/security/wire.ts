/** A client that sends any bytes, and a signer that signs anything: what the SDK would refuse to send. */
import { createHash, createHmac } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

export interface Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface Reply {
  /** 0 when the connection ended without a response. */
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** `<Code>` of an error document. */
  readonly code: string | undefined;
  /** Everything that came. */
  readonly raw: Buffer;
}

export type Headers = readonly (readonly [string, string])[];

export interface Request {
  readonly method: string;
  /** As it goes out: escaped already. */
  readonly path: string;
  readonly query?: string;
  readonly headers?: Headers;
  readonly body?: string | Uint8Array;
  /** x-amz-content-sha256; the body's digest when absent. */
  readonly sha256?: string;
  /** Content-Length is left out, or wrong on purpose. */
  readonly length?: number | 'none';
  readonly at?: number;
  readonly region?: string;
  /** Headers that go out unsigned. */
  readonly unsigned?: Headers;
  /** In place of the right one. */
  readonly signature?: string;
}

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const basic = (at: number): string => new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '');

/** RFC 3986: everything but unreserved characters escaped. */
function escape(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

export interface Signed {
  readonly head: string;
  readonly signature: string;
  readonly key: Buffer;
  readonly time: string;
  readonly scope: string;
}

function signingKey(keys: Keys, date: string, region: string): Buffer {
  return [date, region, 's3', 'aws4_request'].reduce(
    (key: string | Buffer, part) => hmac(key, part),
    `AWS4${keys.secretKey}`,
  ) as Buffer;
}

function canonicalQuery(query: string): string {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => (part.includes('=') ? part : `${part}=`))
    .sort()
    .join('&');
}

function signatureOf(
  keys: Keys,
  request: Pick<Request, 'method' | 'path' | 'region'>,
  query: string,
  headers: Headers,
  payload: string,
  time: string,
): Omit<Signed, 'head'> & { names: string } {
  const lines = headers
    .map(([name, value]) => `${name.toLowerCase()}:${value.trim().replaceAll(/ +/g, ' ')}\n`)
    .sort();
  const names = headers
    .map(([name]) => name.toLowerCase())
    .sort()
    .join(';');
  const region = request.region ?? 'us-east-1';
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const canonical = [
    request.method,
    request.path,
    canonicalQuery(query),
    lines.join(''),
    names,
    payload,
  ].join('\n');
  const key = signingKey(keys, time.slice(0, 8), region);
  const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(Buffer.from(canonical, 'latin1'))}`;
  return { signature: hmac(key, text).toString('hex'), key, time, scope, names };
}

/** The request's head, signed in the Authorization header. */
export function sign(endpoint: string, keys: Keys, request: Request): Signed {
  const time = basic(request.at ?? Date.now());
  const body = request.body ?? '';
  const payload = request.sha256 ?? sha256(body);
  const headers: Headers = [
    ['host', new URL(endpoint).host],
    ['x-amz-date', time],
    ['x-amz-content-sha256', payload],
    ...(request.headers ?? []),
  ];
  const { names, ...signed } = signatureOf(keys, request, request.query ?? '', headers, payload, time);
  const signature = request.signature ?? signed.signature;
  const length = request.length ?? Buffer.byteLength(body);
  const all: Headers = [
    ...headers,
    ...(length === 'none' ? [] : [['content-length', String(length)] as const]),
    ...(request.unsigned ?? []),
    [
      'authorization',
      `AWS4-HMAC-SHA256 Credential=${keys.accessKey}/${signed.scope}, SignedHeaders=${names}, Signature=${signature}`,
    ],
  ];
  const target = request.query === undefined ? request.path : `${request.path}?${request.query}`;
  const head = `${request.method} ${target} HTTP/1.1\r\n${headText(all)}\r\n`;
  return { ...signed, signature, head };
}

/** The request's head, signed in its query for `expires` seconds. */
export function presign(endpoint: string, keys: Keys, request: Request, expires = 600): string {
  const time = basic(request.at ?? Date.now());
  const signedHeaders: Headers = [['host', new URL(endpoint).host], ...(request.headers ?? [])];
  const names = signedHeaders
    .map(([name]) => name.toLowerCase())
    .sort()
    .join(';');
  const scope = `${time.slice(0, 8)}/${request.region ?? 'us-east-1'}/s3/aws4_request`;
  const query = [
    ...(request.query === undefined ? [] : [request.query]),
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${escape(`${keys.accessKey}/${scope}`)}`,
    `X-Amz-Date=${time}`,
    `X-Amz-Expires=${expires}`,
    `X-Amz-SignedHeaders=${escape(names)}`,
  ].join('&');
  const { signature } = signatureOf(keys, request, query, signedHeaders, 'UNSIGNED-PAYLOAD', time);
  const headers: Headers = [
    ...signedHeaders,
    ['content-length', String(Buffer.byteLength(request.body ?? ''))],
    ...(request.unsigned ?? []),
  ];
  const target = `${request.path}?${query}&X-Amz-Signature=${request.signature ?? signature}`;
  return `${request.method} ${target} HTTP/1.1\r\n${headText(headers)}\r\n`;
}

export function headText(headers: Headers): string {
  return headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
}

/** Chunks of an aws-chunked body signed on from the head's signature; the last one is empty and has no line end after it. */
export function signedChunks(signed: Signed, parts: readonly Buffer[]): { chunks: Buffer[]; last: string } {
  let previous = signed.signature;
  const chunks = [...parts, Buffer.alloc(0)].map((data) => {
    const text = ['AWS4-HMAC-SHA256-PAYLOAD', signed.time, signed.scope, previous, sha256(''), sha256(data)];
    previous = hmac(signed.key, text.join('\n')).toString('hex');
    const head = Buffer.from(`${data.length.toString(16)};chunk-signature=${previous}\r\n`);
    return data.length === 0 ? head : Buffer.concat([head, data, Buffer.from('\r\n')]);
  });
  return { chunks, last: previous };
}

/** Signature of the trailers after signed chunks. @param canonical `name:value\n` of each */
export function trailerSignature(signed: Signed, last: string, canonical: string): string {
  const text = ['AWS4-HMAC-SHA256-TRAILER', signed.time, signed.scope, last, sha256(canonical)];
  return hmac(signed.key, text.join('\n')).toString('hex');
}

/** An open connection whose errors are nobody's: the server may cut it at any time. */
export async function dial(endpoint: string): Promise<Socket> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => undefined);
  return socket;
}

/**
 * Sends bytes as they are and reads until one whole response is there (after any 100 Continue), or the connection ends.
 * @throws Error when neither happens in time: the server hangs
 */
export async function send(
  endpoint: string,
  bytes: string | Uint8Array,
  { head = false, timeoutMs = 15_000, end = false } = {},
): Promise<Reply> {
  const socket = await dial(endpoint);
  try {
    return await new Promise<Reply>((resolve, reject) => {
      let raw: Buffer = Buffer.alloc(0);
      const timer = setTimeout(
        () =>
          reject(new Error(`no response to ${String(bytes).slice(0, 200)}; got ${raw.toString('latin1')}`)),
        timeoutMs,
      );
      const done = (): void => {
        clearTimeout(timer);
        resolve(parseReply(raw, head) ?? { status: 0, headers: new Map(), body: '', code: undefined, raw });
      };
      socket.on('data', (piece: Buffer) => {
        raw = Buffer.concat([raw, piece]);
        if (parseReply(raw, head) !== undefined) done();
      });
      socket.once('close', done);
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
      if (end) socket.end();
    });
  } finally {
    socket.destroy();
  }
}

/** The first final response in the bytes; undefined while it is not whole. */
function parseReply(raw: Buffer, head: boolean): Reply | undefined {
  const end = raw.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [line = '', ...lines] = raw.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(line.split(' ')[1]);
  const rest = raw.subarray(end + 4);
  if (status === 100) return parseReply(rest, head);
  const headers = new Map(
    lines.map((text) => {
      const colon = text.indexOf(':');
      return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const;
    }),
  );
  const body = head || status === 204 || status === 304 ? '' : bodyOf(rest, headers);
  if (body === undefined) return undefined;
  return { status, headers, body, code: /<Code>(\w+)<\/Code>/.exec(body)?.[1], raw };
}

function bodyOf(rest: Buffer, headers: ReadonlyMap<string, string>): string | undefined {
  if (headers.get('transfer-encoding') !== 'chunked') {
    const length = Number(headers.get('content-length') ?? 0);
    return rest.length < length ? undefined : rest.subarray(0, length).toString('latin1');
  }
  let body = '';
  for (let at = 0; ;) {
    const line = rest.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(rest.subarray(at, line).toString('latin1'), 16);
    if (rest.length < line + 4 + size) return undefined;
    if (size === 0) return body;
    body += rest.subarray(line + 2, line + 2 + size).toString('latin1');
    at = line + 4 + size;
  }
}

/** A client bound to one gateway and key. */
export function attacker(endpoint: string, keys: Keys) {
  const call = async (request: Request): Promise<Reply> => {
    const body = request.body ?? '';
    const bytes = Buffer.concat([
      Buffer.from(sign(endpoint, keys, request).head, 'latin1'),
      typeof body === 'string' ? Buffer.from(body) : body,
    ]);
    return send(endpoint, bytes, { head: request.method === 'HEAD' });
  };
  return {
    endpoint,
    keys,
    call,
    get: (path: string, query?: string) =>
      call({ method: 'GET', path, ...(query !== undefined && { query }) }),
    put: (path: string, body: string | Uint8Array, headers: Headers = []) =>
      call({ method: 'PUT', path, body, headers }),
    raw: (bytes: string | Uint8Array, options?: Parameters<typeof send>[2]) => send(endpoint, bytes, options),
  };
}

export type Attacker = ReturnType<typeof attacker>;
