import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { S3Error, errorDocument } from '../s3/errors.ts';
import type { S3Code } from '../s3/codes.ts';
import { commonHeaders, newRequestId } from './commonHeaders.ts';

/** Answers on a bare socket, where there is no request to answer: malformed HTTP, CONNECT. Then the connection ends. */
export function endWithError(socket: Duplex, code: S3Code): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const error = new S3Error(code);
  const id = newRequestId();
  const body = errorDocument(error, { id, method: '', rawPath: '/' });
  const headers = [
    ...commonHeaders(id),
    ['date', new Date().toUTCString()],
    ['content-type', 'application/xml'],
    ['content-length', String(Buffer.byteLength(body))],
    ['connection', 'close'],
  ];
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}\r\n${lines}\r\n${body}`);
}

const CODES: ReadonlyMap<string, S3Code> = new Map([
  ['HPE_HEADER_OVERFLOW', 'RequestHeaderSectionTooLarge'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'RequestTimeout'],
]);

/** S3's code for an error of Node's HTTP parser or of its timers. */
export function codeOfClientError({ code }: NodeJS.ErrnoException): S3Code {
  return CODES.get(code ?? '') ?? 'BadRequest';
}
