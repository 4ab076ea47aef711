import type { IncomingMessage } from 'node:http';
import { parseAddress, splitTarget } from '../s3/request.ts';

/**
 * Requests that cost alike, and are limited together:
 * read: one object's data or metadata; write: a change of one object with at most a small body; list: everything on buckets and on the
 * account, which walks metadata; transfer: an upload that is mostly the client's own time.
 */
export type RequestClass = 'read' | 'write' | 'list' | 'transfer';

export interface Visitor {
  readonly kind: RequestClass;
  /** The client says that it was refused or failed before. */
  readonly again: boolean;
}

/** What a request will cost, by its head alone and without believing anything of it. */
export function visitorOf(
  request: IncomingMessage,
  target: string,
  rule: { readonly smallBodyBytes: number; readonly domain: string | undefined },
): Visitor {
  return { kind: classOf(request, target, rule), again: isAgain(request.headers['amz-sdk-request']) };
}

function classOf(
  { method = '', headers }: IncomingMessage,
  target: string,
  { smallBodyBytes, domain }: { readonly smallBodyBytes: number; readonly domain: string | undefined },
): RequestClass {
  if (!isObject(target, headers.host ?? '', domain)) return 'list';
  if (method === 'GET' || method === 'HEAD') return 'read';
  const declared = headers['x-amz-decoded-content-length'] ?? headers['content-length'];
  const length = declared === undefined && headers['transfer-encoding'] !== undefined ? Infinity : declared;
  return Number(length ?? 0) <= smallBodyBytes ? 'write' : 'transfer';
}

function isObject(target: string, host: string, domain: string | undefined): boolean {
  const parts = splitTarget(target);
  if (parts === undefined) return false;
  try {
    return parseAddress(parts.rawPath, host, domain).key !== undefined;
  } catch {
    // It will be refused, at the cost of looking at it.
    return false;
  }
}

/** SDKs number their attempts: `attempt=2; max=3`. */
function isAgain(header: string | readonly string[] | undefined): boolean {
  return typeof header === 'string' && /\battempt=(?:[2-9]|\d\d)/.test(header);
}
