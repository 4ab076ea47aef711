/** A server on a free port, raw bytes to it, and what came of them. */
import { connect } from 'node:net';
import { createHttpServer } from '../../../gateway/http/server.ts';
import type { HttpServer, HttpServerOptions } from '../../../gateway/http/server.ts';
import type { RequestSample } from '../../../gateway/http/exchange.ts';
import { errorResponse, toS3Error } from '../../../gateway/s3/errors.ts';
import type { S3Response } from '../../../gateway/s3/types.ts';
import type { S3Handler, WireRequest } from '../../../gateway/s3/wire.ts';

export interface Running {
  readonly server: HttpServer;
  readonly port: number;
  readonly samples: RequestSample[];
  readonly lines: object[];
  readonly errors: object[];
}

const running: Running[] = [];

export async function start(handle: S3Handler, options: Partial<HttpServerOptions> = {}): Promise<Running> {
  const samples: RequestSample[] = [];
  const lines: object[] = [];
  const errors: object[] = [];
  const server = createHttpServer({
    handle,
    uploadMemory: 1 << 26,
    onRequest: (sample) => void samples.push(sample),
    log: {
      info: (fields) => void lines.push(fields),
      warn: () => undefined,
      error: (fields) => void errors.push(fields),
    },
    ...options,
  });
  const { port } = await server.listen(0, '127.0.0.1');
  const started = { server, port, samples, lines, errors };
  running.push(started);
  return started;
}

export async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map(({ server }) => server.drain(0)));
}

/** A handler from a function that answers or throws, as operations do. */
export function handler(operate: (wire: WireRequest) => Promise<S3Response>): S3Handler {
  return async (wire) => {
    try {
      return { operation: 'Test', response: await operate(wire) };
    } catch (thrown) {
      const error = toS3Error(thrown);
      return { operation: 'Test', error, response: errorResponse(error, { ...wire.head, id: wire.id }) };
    }
  };
}

export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A raw connection: sends, and waits for text or for the end. */
export class Wire {
  readonly #socket;
  #received = '';
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  send(bytes: string | Uint8Array): this {
    this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  end(): void {
    this.#socket.destroy();
  }

  /** Stops reading, so that the server's writes back up. */
  pause(): this {
    this.#socket.pause();
    return this;
  }

  get received(): string {
    return this.#received;
  }

  /** All received once `text` has come. @throws when the connection ends without it */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text)) {
      if (this.#ended) throw new Error(`The connection ended; received: ${this.#received}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#received;
  }

  /** All received once the server has closed the connection. */
  async closed(): Promise<string> {
    while (!this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#received;
  }
}

export function statusOf(response: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(response)?.[1]);
}
