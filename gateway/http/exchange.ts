import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { S3Error } from '../s3/errors.ts';
import { splitTarget } from '../s3/request.ts';
import type { BodyFraming, S3Answer, S3Handler, WireRequest } from '../s3/wire.ts';
import { BudgetTimeout } from './budget.ts';
import type { MemoryBudget, Reservation } from './budget.ts';
import { newRequestId } from './commonHeaders.ts';
import type { Ticket } from './door.ts';
import { RequestBody } from './requestBody.ts';
import { slowDown } from './slowDown.ts';
import { refusal, send } from './send.ts';
import type { Circumstances, Connection, SendOptions } from './send.ts';

/** One request, for metrics. */
export interface RequestSample {
  /** AWS's name; 'Unknown' before one is matched. */
  readonly operation: string;
  readonly status: number;
  readonly seconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface ExchangeOptions extends SendOptions {
  readonly handle: S3Handler;
  readonly budget: MemoryBudget;
  /** For bodies of at most `smallBodyBytes`, so that they do not queue behind large ones whose clients are slow. */
  readonly smallBudget: MemoryBudget;
  readonly onRequest: (sample: RequestSample) => void;
}

/** nginx's code for a client that went away, in logs and metrics only. */
const CLIENT_GONE = 499;
/** Characters of a path in a log line. */
const LOGGED_PATH_MAX = 1024;

/** Carries one request through: hands it to the S3 handler, sends what comes back, settles the connection, logs. Never rejects. @returns the answer */
export async function exchange(
  request: IncomingMessage,
  out: ServerResponse,
  circumstances: Circumstances,
  options: ExchangeOptions,
): Promise<S3Answer> {
  const began = performance.now();
  const gone = clientGone(request, out);
  const framing = framingOf(request);
  const { ticket } = circumstances.entry;
  const share = new UploadShare(options, framing, gone, ticket);
  const body = new RequestBody(request, {
    rule: { bytesPerSecondMin: options.limits.bodyBytesPerSecondMin, windowMs: options.limits.bodyWindowMs },
    crowdedRule: {
      bytesPerSecondMin: options.limits.crowdedBytesPerSecondMin,
      windowMs: options.limits.crowdedWindowMs,
    },
    crowded: () => share.contended,
    waiting: (waits) => (waits ? ticket?.wait() : ticket?.resume()),
    async begin() {
      await share.take();
      if (circumstances.awaitsContinue) out.writeContinue();
    },
  });
  const wire = toWire(request, circumstances.target, gone, framing, body);
  const error = headError(request, circumstances);
  const answer = error === undefined ? await options.handle(wire) : refusal('Unknown', error, wire);
  const connection: Connection = { request, out, body, framing, circumstances, gone };
  const sent = await send(connection, wire, answer, options);
  share.release();

  const sample: RequestSample = {
    operation: answer.operation,
    status: gone.aborted ? CLIENT_GONE : sent.answer.response.status,
    seconds: (performance.now() - began) / 1000,
    bytesIn: body.bytesRead,
    bytesOut: sent.bytes,
  };
  options.onRequest(sample);
  const code = sent.answer.error?.code;
  // Without the query: it may hold a presigned signature.
  const path = wire.head.rawPath.slice(0, LOGGED_PATH_MAX);
  const { method } = wire.head;
  const remote = request.socket.remoteAddress;
  options.log.info({ requestId: wire.id, method, path, ...sample, ...(code && { code }), remote }, 'request');
  return answer;
}

function clientGone(request: IncomingMessage, out: ServerResponse): AbortSignal {
  const gone = new AbortController();
  // A broken connection shows as 'close'; unheard 'error' events would end the process.
  request.on('error', () => undefined);
  out.on('error', () => undefined);
  out.on('close', () => {
    if (!out.writableFinished) gone.abort(new S3Error('IncompleteBody', 'The client went away'));
  });
  return gone.signal;
}

function framingOf({ headers }: IncomingMessage): BodyFraming {
  if (headers['transfer-encoding'] !== undefined) return { kind: 'Chunked' };
  // The parser has checked that it is one number.
  const length = headers['content-length'];
  return length === undefined ? { kind: 'None' } : { kind: 'Length', length: Number(length) };
}

function toWire(
  request: IncomingMessage,
  target: string,
  signal: AbortSignal,
  framing: BodyFraming,
  body: RequestBody,
): WireRequest {
  const { rawPath, rawQuery, authority } = splitTarget(target) ?? {
    rawPath: '/',
    rawQuery: '',
    authority: undefined,
  };
  return {
    id: newRequestId(),
    head: { method: request.method ?? '', rawPath, rawQuery, rawHeaders: request.rawHeaders },
    authority,
    secure: (request.socket as Partial<TLSSocket>).encrypted === true,
    signal,
    framing,
    body,
  };
}

/** What is wrong with a request before anybody asks who sent it. */
function headError(request: IncomingMessage, { target, entry }: Circumstances): S3Error | undefined {
  if (splitTarget(target) === undefined) return new S3Error('InvalidURI');
  if (entry.refusal !== undefined) return entry.refusal;
  const hosts = request.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length;
  if (hosts > 1 || (hosts === 0 && request.httpVersion !== '1.0')) {
    return new S3Error('BadRequest', undefined, { headers: [['connection', 'close']] });
  }
  return undefined;
}

/** A body's share of the upload memory, from its first byte to the end of the response. */
class UploadShare {
  readonly #bytes: number;
  readonly #budget: MemoryBudget;
  readonly #waitMs: number;
  readonly #gone: AbortSignal;
  readonly #waitersMax: number;
  readonly #ticket: Ticket | undefined;
  #reservation: Reservation | undefined;
  #over = false;

  constructor(options: ExchangeOptions, framing: BodyFraming, gone: AbortSignal, ticket: Ticket | undefined) {
    const { limits } = options;
    const length = framing.kind === 'Length' ? framing.length : limits.uploadBytes;
    this.#bytes = Math.min(length, limits.uploadBytes);
    this.#budget = length <= limits.smallBodyBytes ? options.smallBudget : options.budget;
    this.#waitMs = limits.uploadWaitMs;
    this.#gone = gone;
    this.#waitersMax = limits.memoryWaitersMax;
    this.#ticket = ticket;
  }

  /** Others wait for memory of the kind that this body holds. */
  get contended(): boolean {
    return this.#budget.waiting > 0;
  }

  /** @throws S3Error 'SlowDown', the signal's reason */
  async take(): Promise<void> {
    if (this.#budget.waiting >= this.#waitersMax) throw slowDown();
    this.#ticket?.wait();
    try {
      this.#reservation = await this.#budget.reserve(this.#bytes, this.#waitMs, this.#gone);
    } catch (error) {
      throw error instanceof BudgetTimeout ? slowDown() : error;
    } finally {
      this.#ticket?.resume();
    }
    // The operation may have given up while its body waited.
    if (this.#over) this.#reservation.release();
  }

  release(): void {
    this.#over = true;
    this.#reservation?.release();
  }
}
