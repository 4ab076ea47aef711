import { Agent, buildConnector, request } from 'undici';
import * as z from 'zod';
import { encodeSigned } from '../provider/wire.ts';
import { NetworkError, type NetworkErrorKind } from './errors.ts';
import { partyId } from './identity.ts';
import {
  eraNoticeSchema,
  gatewayDescriptionSchema,
  type EraNotice,
  type GatewayDescription,
} from './messages.ts';
import { parseMessage, type Signed } from './signed.ts';

export interface GatewayClientLimits {
  readonly connectMs: number;
  /** From the request to the last byte of its answer. */
  readonly answerMs: number;
  readonly headerBytesMax: number;
  /** Of descriptions and notices, and of failures. */
  readonly noticeBytesMax: number;
  /** Of the answer to a statement: an assignment has at most 16 MiB, and more once it is JSON. */
  readonly answerBytesMax: number;
}

const GATEWAY_CLIENT_LIMITS: GatewayClientLimits = Object.freeze({
  connectMs: 10_000,
  answerMs: 60_000,
  headerBytesMax: 16 * 1024,
  noticeBytesMax: 64 * 1024,
  answerBytesMax: 32 * 1024 * 1024,
});

interface Said {
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * A party's line to the gateway's network listener (messages.ts). All methods reject with NetworkError: of the answer's kind, 'Unavailable'
 * for a gateway that cannot be reached or does not answer in time, 'BadMessage' for an answer that is not one.
 */
export class GatewayClient {
  readonly #origin: string;
  readonly #limits: GatewayClientLimits;
  readonly #agent: Agent;
  #address: string | undefined;

  /** @param url of the listener, without a path. @throws NetworkError 'BadMessage' */
  constructor(url: string, limits: Partial<GatewayClientLimits> = {}) {
    this.#origin = originOf(url);
    this.#limits = { ...GATEWAY_CLIENT_LIMITS, ...limits };
    this.#agent = new Agent({
      connections: 4,
      pipelining: 1,
      connect: this.#connector(),
      headersTimeout: this.#limits.answerMs,
      bodyTimeout: this.#limits.answerMs,
      maxHeaderSize: this.#limits.headerBytesMax,
    });
  }

  /** Who the gateway says it is. @throws NetworkError 'BadIdentity' when its key does not make its name */
  async describe(): Promise<GatewayDescription> {
    const found = await this.#get('/network/v1/gateway', gatewayDescriptionSchema);
    if (partyId(found.publicKey) !== found.id) {
      throw new NetworkError('BadIdentity', 'the gateway names itself by another key than it shows');
    }
    return found;
  }

  era(): Promise<EraNotice> {
    return this.#get('/network/v1/era', eraNoticeSchema);
  }

  /** @param path such as /network/v1/heartbeats. @param schema of the answer */
  send<T>(path: string, statement: Signed, schema: z.ZodType<T>): Promise<T> {
    const said = { text: JSON.stringify(statement), headers: {} };
    return this.#ask(path, said, this.#limits.answerBytesMax, schema);
  }

  /**
   * A report is long: it goes as its bare text, and who signed it in headers, so that the gateway knows whom it listens to beforehand.
   * @param intent Signed 'report-intent' of this very report: another for every try
   */
  async report({ kind, body, signer, signature }: Signed, intent: Signed): Promise<void> {
    const headers = {
      'shardway-kind': kind,
      'shardway-signer': signer,
      'shardway-signature': signature,
      'shardway-intent': encodeSigned(intent),
    };
    await this.#ask(
      '/network/v1/reports',
      { text: body, headers },
      this.#limits.noticeBytesMax,
      z.object({}),
    );
  }

  /** Where the last connection led; undefined before there was one. */
  get address(): string | undefined {
    return this.#address;
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #connector(): buildConnector.connector {
    const connect = buildConnector({ timeout: this.#limits.connectMs });
    return (options, done) => {
      connect(options, (error, socket) => {
        if (error !== null) {
          done(error, null);
          return;
        }
        this.#address = socket.remoteAddress;
        done(null, socket);
      });
    };
  }

  #get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#ask(path, undefined, this.#limits.noticeBytesMax, schema);
  }

  async #ask<T>(path: string, said: Said | undefined, bytesMax: number, schema: z.ZodType<T>): Promise<T> {
    const { status, text } = await this.#exchange(path, said, bytesMax);
    if (status < 200 || status > 299) throw failureOf(status, text);
    return parseMessage(schema, parseJson(text));
  }

  async #exchange(
    path: string,
    said: Said | undefined,
    bytesMax: number,
  ): Promise<{ status: number; text: string }> {
    try {
      // A redirect is an answer like any other here: it is never followed.
      const answer = await request(`${this.#origin}${path}`, {
        dispatcher: this.#agent,
        method: said === undefined ? 'GET' : 'POST',
        headers: said === undefined ? {} : { 'content-type': 'application/json', ...said.headers },
        body: said?.text ?? null,
        signal: AbortSignal.timeout(this.#limits.answerMs),
      });
      const ok = answer.statusCode >= 200 && answer.statusCode <= 299;
      const text = await readText(answer.body, ok ? bytesMax : this.#limits.noticeBytesMax);
      return { status: answer.statusCode, text };
    } catch (error) {
      if (error instanceof NetworkError) throw error;
      throw new NetworkError('Unavailable', `the gateway cannot be reached: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  }
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new NetworkError('BadMessage', 'the address of a gateway is like http://host:port');
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new NetworkError('BadMessage', 'the address of a gateway has no path');
  }
  return url.origin;
}

/** Stopping the iteration ends the connection, so that no more than the bound is ever received. */
async function readText(body: AsyncIterable<Buffer>, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > bytesMax)
      throw new NetworkError('BadMessage', `the answer is longer than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new NetworkError('BadMessage', 'the answer of the gateway is not JSON', { cause: error });
  }
}

const KINDS = {
  BadIdentity: true,
  BadSignature: true,
  BadMessage: true,
  Refused: true,
  Conflict: true,
  NotFound: true,
  NotApproved: true,
  Unavailable: true,
  Tampered: true,
} satisfies Record<NetworkErrorKind, true>;

const failureSchema = z.object({ kind: z.string(), error: z.string() });

function failureOf(status: number, text: string): NetworkError {
  const parsed = failureSchema.safeParse(jsonOrNothing(text));
  if (parsed.success && Object.hasOwn(KINDS, parsed.data.kind)) {
    return new NetworkError(parsed.data.kind as NetworkErrorKind, readable(parsed.data.error));
  }
  const kind = status >= 500 || status === 429 ? 'Unavailable' : 'BadMessage';
  return new NetworkError(kind, `the gateway answers with status ${status}`);
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What another party wrote, fit for a log. */
function readable(text: string): string {
  return text.slice(0, 300).replaceAll(/[^\x20-\x7e]/g, '?');
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
