import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errorResponse, toS3Error } from '../s3/errors.ts';
import type { S3Error } from '../s3/errors.ts';
import type { BodyFraming, Log, S3Answer, WireRequest } from '../s3/wire.ts';
import { commonHeaders } from './commonHeaders.ts';
import type { MemoryBudget } from './budget.ts';
import { DownloadShare } from './downloadShare.ts';
import type { Entry } from './frontDoor.ts';
import type { HttpLimits } from './limits.ts';
import type { RequestBody } from './requestBody.ts';
import { ClientStalled, closeBody, headerList, prepareBody, writeBody } from './respond.ts';
import type { PreparedBody } from './respond.ts';

/** What the server knows of a request beside the request itself. */
export interface Circumstances {
  /** As sent, before Express saw it. */
  readonly target: string;
  /** The client waits for 100 Continue. */
  readonly awaitsContinue: boolean;
  readonly entry: Entry;
  /** The server is going away: the connection's last response. */
  closing(socket: Duplex): boolean;
}

/** What a response is sent over. */
export interface Connection {
  readonly request: IncomingMessage;
  readonly out: ServerResponse;
  readonly body: RequestBody;
  readonly framing: BodyFraming;
  readonly circumstances: Circumstances;
  /** Aborted once the client is gone. */
  readonly gone: AbortSignal;
}

export interface SendOptions {
  /** For the bodies of responses. */
  readonly downloads: MemoryBudget;
  readonly limits: HttpLimits;
  readonly log: Log;
}

/** An error as the answer of a request. */
export function refusal(operation: string, error: S3Error, wire: WireRequest): S3Answer {
  return { operation, error, response: errorResponse(error, { ...wire.head, id: wire.id }) };
}

export interface Sent {
  /** As it was sent: an error in place of a body that failed before its first byte. */
  readonly answer: S3Answer;
  readonly bytes: number;
}

/** Sends an answer and settles what becomes of the connection. Never rejects. */
export async function send(
  connection: Connection,
  wire: WireRequest,
  answer: S3Answer,
  options: SendOptions,
): Promise<Sent> {
  const { out, gone } = connection;
  const { ticket } = connection.circumstances.entry;
  const share = new DownloadShare(options.downloads, options.limits, ticket);
  const prepared = await prepare(answer, wire, options, share);
  // What follows is the client's pace, and bounded by the memory for responses.
  ticket?.leave(answer.operation !== 'Unknown');
  const { response } = prepared.answer;
  let bytes = 0;
  try {
    if (gone.aborted) return { answer: prepared.answer, bytes };
    const fate = await settle(connection, options.limits);
    const list = headerList(response, prepared.body, commonHeaders(wire.id));
    if (fate !== 'KeepAlive') list.push('connection', 'close');
    out.writeHead(response.status, list);
    const { sendStallMs: stallMs, crowdedStallMs } = options.limits;
    const rule = { stallMs, crowdedStallMs, crowded: () => share.contended };
    await writeBody(out, prepared.body, rule, (count) => (bytes += count));
    if (fate === 'Linger')
      await connection.body.discard(options.limits.lingerBytesMax, options.limits.lingerMs);
    out.end();
  } catch (error) {
    // The head is out: only a broken connection tells the client that the body is not whole.
    out.destroy();
    if (!gone.aborted && !(error instanceof ClientStalled)) {
      options.log.error({ requestId: wire.id, operation: answer.operation, err: error }, 'response cut');
    }
  } finally {
    await closeBody(prepared.body);
    share.release();
    answer.response.done?.();
  }
  return { answer: prepared.answer, bytes };
}

interface Prepared {
  readonly answer: S3Answer;
  readonly body: PreparedBody;
}

async function prepare(
  answer: S3Answer,
  wire: WireRequest,
  { log }: SendOptions,
  share: DownloadShare,
): Promise<Prepared> {
  try {
    if (wire.head.method !== 'HEAD') await share.take(answer.response, wire.signal);
    return { answer, body: await prepareBody(answer.response, wire.head.method) };
  } catch (thrown) {
    const error = toS3Error(thrown);
    if (error.status >= 500 && !wire.signal.aborted) {
      log.error({ requestId: wire.id, operation: answer.operation, err: thrown }, 'no first byte');
    }
    const late = refusal(answer.operation, error, wire);
    return { answer: late, body: await prepareBody(late.response, wire.head.method) };
  }
}

/** What becomes of the connection: it lives on, ends, or ends after a while in which the client may read the response. */
type Fate = 'KeepAlive' | 'Close' | 'Linger';

async function settle(connection: Connection, limits: HttpLimits): Promise<Fate> {
  const { request, body, framing, circumstances } = connection;
  const done: Fate = circumstances.closing(request.socket) ? 'Close' : 'KeepAlive';
  if (framing.kind === 'None' || request.complete) return done;
  // The client has sent nothing and may still do so: where one request ends can no longer be told.
  if (circumstances.awaitsContinue && !body.begun) return 'Close';
  const left = framing.kind === 'Length' ? framing.length - body.bytesRead : 0;
  if (left > limits.discardBytesMax) return 'Linger';
  return (await body.discard(limits.discardBytesMax, limits.discardMs)) ? done : 'Linger';
}
