import type { ServerResponse } from 'node:http';
import type { S3Response } from '../s3/types.ts';

/**
 * Bytes that may wait for a connection before more is fetched: what is there in the same moment, as a stripe is, goes out in one call. Among many, of
 * which some may be slow, a quarter of that: the memory for responses would allow some fifty of them to hold as much each.
 */
const AHEAD_BYTES = { few: 1024 * 1024, many: 256 * 1024 } as const;
/** Bodies under way that are many. */
const MANY = 32;
let underWay = 0;

/** A stream that does not give the bytes its Content-Length promised. */
class BodyLengthError extends Error {
  override readonly name = 'BodyLengthError';
}

/** The client is gone, or takes nothing of its response. */
export class ClientStalled extends Error {
  override readonly name = 'ClientStalled';
}

/** The first piece of a body pulled ahead, so that an error before it can still become an error response. */
export type PreparedBody =
  /** `length`: what HEAD tells of the body that GET would send, where that is not in the headers. */
  | { readonly kind: 'None'; readonly length: number }
  | { readonly kind: 'Bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'Stream';
      readonly first: IteratorResult<Uint8Array>;
      readonly rest: AsyncIterator<Uint8Array>;
      readonly release: S3Response['release'];
      /** Of the Content-Length header, where there is one. */
      readonly length: number | undefined;
    };

/** @throws what the stream's first pull throws */
export async function prepareBody(response: S3Response, method: string): Promise<PreparedBody> {
  const { body, headers } = response;
  if (body === undefined) return { kind: 'None', length: 0 };
  if (typeof body === 'string' || body instanceof Uint8Array) {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    return method === 'HEAD' ? { kind: 'None', length: bytes.length } : { kind: 'Bytes', bytes };
  }
  if (method === 'HEAD') return { kind: 'None', length: 0 };
  const length = headers?.find(([name]) => name === 'content-length')?.[1];
  const rest = body[Symbol.asyncIterator]();
  const first = await rest.next();
  const { release } = response;
  return { kind: 'Stream', first, rest, release, length: length === undefined ? undefined : Number(length) };
}

/** Response headers as Node's flat list: header bytes are UTF-8, control characters cannot occur. */
export function headerList(
  response: S3Response,
  body: PreparedBody,
  common: readonly (readonly [string, string])[],
): string[] {
  const list: string[] = [];
  let lengthGiven = response.status === 204 || response.status === 304;
  for (const [name, value] of [...common, ...(response.headers ?? [])]) {
    if (name === 'content-length') lengthGiven = true;
    list.push(name, headerValue(value));
  }
  if (!lengthGiven && body.kind !== 'Stream') {
    list.push('content-length', String(body.kind === 'Bytes' ? body.bytes.length : body.length));
  }
  return list;
}

// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f]/g;

function headerValue(value: string): string {
  const clean = value.replace(UNPRINTABLE, ' ');
  return /[^\u0020-\u007e]/.test(clean) ? Buffer.from(clean, 'utf8').toString('latin1') : clean;
}

/** When to give up a client that takes nothing. Times in ms. */
export interface StallRule {
  readonly stallMs: number;
  /** Holds in its place while others wait for the memory that this body has. */
  readonly crowdedStallMs: number;
  readonly crowded: () => boolean;
}

/**
 * Writes the body, no faster than the client takes it, without ending the response.
 * @param onBytes called with what has been handed to the connection
 * @throws BodyLengthError, the stream's error, or ClientStalled when the client is gone or takes nothing for as long as the rule says
 */
export async function writeBody(
  out: ServerResponse,
  body: PreparedBody,
  rule: StallRule,
  onBytes: (count: number) => void,
): Promise<void> {
  if (body.kind === 'None') return;
  underWay++;
  try {
    if (body.kind === 'Bytes') await writePiece(out, body.bytes, rule, onBytes);
    else await writeStream(out, body, rule, onBytes);
    // What still waits is under way: nobody else would bound its memory, or cut a client that takes nothing.
    if (out.writableNeedDrain) await drained(out, rule);
  } finally {
    underWay--;
  }
}

async function writeStream(
  out: ServerResponse,
  body: PreparedBody & { readonly kind: 'Stream' },
  rule: StallRule,
  onBytes: (count: number) => void,
): Promise<void> {
  const { length, release } = body;
  let written = 0;
  for (let piece = body.first; piece.done !== true; piece = await body.rest.next()) {
    written += piece.value.length;
    if (length !== undefined && written > length) {
      throw new BodyLengthError(`The body is longer than its ${length} bytes`);
    }
    await writePiece(out, piece.value, rule, onBytes, release);
  }
  if (length !== undefined && written < length) {
    throw new BodyLengthError(`The body ended after ${written} of ${length} bytes`);
  }
}

/** Tells a stream that was not read to its end that it will not be. */
export async function closeBody(body: PreparedBody): Promise<void> {
  if (body.kind !== 'Stream') return;
  try {
    await body.rest.return?.();
  } catch {
    // The response is over: an error in giving up its source changes nothing for the client.
  }
}

async function writePiece(
  out: ServerResponse,
  bytes: Uint8Array,
  rule: StallRule,
  onBytes: (count: number) => void,
  release?: S3Response['release'],
): Promise<void> {
  if (out.destroyed) throw new ClientStalled();
  const sent = release && ((error: Error | null | undefined) => (error ? undefined : release(bytes)));
  const ready = out.write(bytes, sent);
  onBytes(bytes.length);
  const ahead = underWay < MANY ? AHEAD_BYTES.few : AHEAD_BYTES.many;
  if (!ready && out.writableLength >= ahead) await drained(out, rule);
}

function drained(out: ServerResponse, { stallMs, crowdedStallMs, crowded }: StallRule): Promise<void> {
  if (out.destroyed) throw new ClientStalled();
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer);
      clearInterval(crowdedTimer);
      out.off('drain', onDrain);
      out.off('close', onClose);
    };
    const onDrain = (): void => {
      leave();
      resolve();
    };
    const onClose = (): void => {
      leave();
      reject(new ClientStalled());
    };
    const timer = setTimeout(onClose, stallMs);
    const crowdedTimer = setInterval(() => {
      if (crowded()) onClose();
    }, crowdedStallMs);
    out.on('drain', onDrain);
    out.on('close', onClose);
  });
}
