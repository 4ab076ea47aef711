import type { IncomingMessage, ServerResponse } from 'node:http';
import { S3Error, errorResponse } from '../s3/errors.ts';
import { splitTarget } from '../s3/request.ts';
import { commonHeaders, newRequestId } from './commonHeaders.ts';
import { retryHeaders } from './slowDown.ts';

/** One for all: the stack of an error costs as much as half of the rest. */
const SLOW_DOWN = new S3Error('SlowDown');

/**
 * Answers 503 at the least cost: under overload most requests get this answer, and what it costs is taken from the others. The request
 * must have come whole.
 */
export function turnAway(
  request: IncomingMessage,
  out: ServerResponse,
  target: string,
  answer: { readonly retryAfterMs: number; readonly closing: boolean },
): void {
  const id = newRequestId();
  const { method = '' } = request;
  const rawPath = splitTarget(target)?.rawPath ?? '/';
  const { status, headers = [], body } = errorResponse(SLOW_DOWN, { id, method, rawPath });
  const bytes = Buffer.from(typeof body === 'string' ? body : '');
  const list = [...commonHeaders(id), ...retryHeaders(answer.retryAfterMs), ...headers].flat();
  list.push('content-length', String(bytes.length));
  if (answer.closing) list.push('connection', 'close');
  out.writeHead(status, list);
  out.end(bytes);
}

/** True when nothing of the request is still to come. */
export function isWhole({ complete, headers }: IncomingMessage): boolean {
  return complete || (headers['transfer-encoding'] ?? headers['content-length']) === undefined;
}
