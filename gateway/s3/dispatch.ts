import { decodePayload } from '../auth/payload.ts';
import type { Authentication, Authorizer, RequestHead } from '../auth/types.ts';
import type { ObjectStore } from '../engine/types.ts';
import { authorizeRequest, checkExpectedOwners } from './authorize.ts';
import { S3Error, errorResponse, toS3Error } from './errors.ts';
import { effectiveHeaders } from './headers/effective.ts';
import { isImplemented } from './match.ts';
import { parseQuery } from './query.ts';
import { refuse } from './refuse.ts';
import { parseAddress } from './request.ts';
import { parseHeaders } from './requestHeaders.ts';
import { matchOperation } from './table.ts';
import type { Payload, RequestHeaders, S3Context, S3Request, S3Response, Target } from './types.ts';
import type { Log, S3Handler, WireRequest } from './wire.ts';

export interface S3HandlerOptions {
  readonly store: ObjectStore;
  readonly authenticator: { authenticate(head: RequestHead): Promise<Authentication> };
  readonly authorizer: Authorizer;
  readonly region: string;
  /** Suffix of the Host header for virtual-host style; lower case. */
  readonly domain: string | undefined;
  readonly log: Log;
}

/** The whole pipeline: authenticate → parse → match → authorize → handle; whatever is thrown becomes an S3 error. */
export function createS3Handler(options: S3HandlerOptions): S3Handler {
  const { store, region, authenticator, authorizer, domain, log } = options;
  return async (wire) => {
    let operation = 'Unknown';
    try {
      // Before anything else, so that a stranger learns nothing from any route and no backend is called.
      const authentication = await authenticator.authenticate(wire.head);
      const request = parseRequest(wire, authentication, domain);
      const entry = matchOperation({
        method: request.method,
        target: targetOf(request),
        query: request.query,
        headers: effectiveHeaders(request),
      });
      operation = entry.name;
      const context: S3Context = { store, region, secure: wire.secure };
      authorizeRequest(authorizer, entry, request);
      await checkExpectedOwners(store, entry.name, request);
      const response: S3Response = await (isImplemented(entry)
        ? entry.handle(request, context)
        : refuse(entry, request, context));
      void response.lateError?.then((error) => report(log, wire, operation, error));
      return { operation, response };
    } catch (thrown) {
      const error = toS3Error(thrown);
      report(log, wire, operation, error);
      return { operation, response: errorResponse(error, { ...wire.head, id: wire.id }), error };
    }
  };
}

/** What went wrong inside is for the operator; what the client did is in the request's log line. */
function report(log: Log, wire: WireRequest, operation: string, error: Error | undefined): void {
  if (!(error instanceof S3Error) || wire.signal.aborted) return;
  if (error.code === 'InternalError') {
    log.error({ requestId: wire.id, operation, err: error.cause ?? error }, 'internal error');
  } else if (error.status === 503) {
    log.warn({ requestId: wire.id, operation, code: error.code, reason: rootOf(error) }, 'unavailable');
  }
}

/** What lies at the bottom of an error: the room that failed says there what it lacked. */
function rootOf(error: Error): string {
  return error.cause instanceof Error ? rootOf(error.cause) : error.message;
}

/** @throws S3Error for a head that says what S3 does not know */
function parseRequest(
  wire: WireRequest,
  authentication: Authentication,
  domain: string | undefined,
): S3Request {
  const { method, rawPath, rawQuery, rawHeaders } = wire.head;
  const headers = parseHeaders(rawHeaders);
  const host = headers.get('host') ?? '';
  // Routing by one name and signing for another would be two requests in one.
  if (wire.authority !== undefined && wire.authority !== host.toLowerCase()) throw new S3Error('InvalidURI');
  const coding = headers.get('transfer-encoding');
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    throw new S3Error('NotImplemented', undefined, { fields: [['Header', 'Transfer-Encoding']] });
  }
  return {
    id: wire.id,
    method,
    rawPath,
    ...parseAddress(rawPath, host, domain),
    query: parseQuery(rawQuery),
    headers,
    principal: authentication.principal,
    payload: payloadOf(wire, authentication, headers),
    signal: wire.signal,
  };
}

function payloadOf(wire: WireRequest, { payload: mode }: Authentication, headers: RequestHeaders): Payload {
  const chunked = mode.kind === 'SignedChunks' || mode.kind === 'UnsignedChunks';
  const declared = chunked ? decodedLength(headers) : undefined;
  const length = chunked ? declared : wire.framing.kind === 'Length' ? wire.framing.length : undefined;
  const announced = (headers.get('x-amz-trailer') ?? '').split(',').map((name) => name.trim());
  const decoded = decodePayload(mode, wire.body, {
    ...(declared !== undefined && { decodedLength: declared }),
    announcedTrailers: announced.filter((name) => name !== ''),
  });
  return {
    length,
    sha256: mode.kind === 'Signed' ? mode.sha256 : undefined,
    bytes: decoded.bytes,
    trailer: (name) => decoded.trailer(name),
  };
}

/** x-amz-decoded-content-length of an aws-chunked body. @throws S3Error 'InvalidArgument' */
function decodedLength(headers: RequestHeaders): number | undefined {
  const value = headers.get('x-amz-decoded-content-length');
  if (value === undefined) return undefined;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new S3Error('InvalidArgument', 'x-amz-decoded-content-length must be a length in bytes.', {
    fields: [
      ['ArgumentName', 'x-amz-decoded-content-length'],
      ['ArgumentValue', value],
    ],
  });
}

function targetOf({ bucket, key }: S3Request): Target {
  if (bucket === undefined) return 'service';
  return key === undefined ? 'bucket' : 'object';
}
