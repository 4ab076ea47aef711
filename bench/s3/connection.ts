import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { AnswerReader } from './answerReader.ts';
import type { Answer } from './answerReader.ts';

/** All sockets of the process read into one buffer: what is read is counted or copied at once. */
const RECEIVED = Buffer.allocUnsafe(512 * 1024);
const SILENCE_MS = 120_000;

/** A body that is one piece over and over: as long as one likes, and no memory. */
export interface Repeated {
  readonly piece: Buffer;
  readonly length: number;
}

/** One request after the other on a bare socket: a fraction of what node:http costs, so that the client leaves the machine to the server. */
export class Connection {
  readonly #url: URL;
  #socket: Socket | undefined;
  #reader: AnswerReader | undefined;
  #settle: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Opens the socket where there is none. */
  async open(): Promise<void> {
    if (this.#socket !== undefined) return;
    await new Promise<void>((resolve, reject) => {
      const socket = connect({
        host: this.#url.hostname,
        port: Number(this.#url.port || 80),
        noDelay: true,
        onread: { buffer: RECEIVED, callback: (bytes, buffer) => this.#read(buffer as Buffer, bytes) },
      });
      this.#socket = socket;
      socket.setTimeout(SILENCE_MS, () => socket.destroy(new Error('no answer for too long')));
      socket.once('connect', resolve);
      socket.once('error', (error) => {
        reject(error);
        this.#fail(error);
      });
      socket.once('close', () => {
        if (this.#socket === socket) this.#fail(new Error('the server closed the connection'));
      });
    });
  }

  /**
   * Sends a request and reads its answer.
   * @param head request line and headers without the empty line
   * @param keep the body of the answer is wanted, not only counted
   * @throws Error when the connection breaks; the next request opens another
   */
  async exchange(head: string, body: Buffer | Repeated | undefined, keep: boolean): Promise<Answer> {
    await this.open();
    const socket = this.#socket!;
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#reader = new AnswerReader(head.startsWith('HEAD '), keep);
      if (body === undefined || body.length === 0) socket.write(`${head}\r\n`, 'latin1');
      else {
        socket.cork();
        socket.write(`${head}content-length: ${body.length}\r\n\r\n`, 'latin1');
        if (Buffer.isBuffer(body)) socket.write(body);
        else pump(socket, body);
        socket.uncork();
      }
    });
    // A refusal may come before the body has gone out, and the rest of it would be taken for a request.
    if (answer.last || socket.writableLength > 0) this.close();
    return answer;
  }

  get bytesSent(): number {
    return (this.#socket?.bytesWritten ?? 0) - (this.#socket?.writableLength ?? 0);
  }

  /** A request under way is rejected; the next one opens another socket. */
  close(): void {
    const socket = this.#socket;
    const settle = this.#settle;
    this.#socket = undefined;
    this.#settle = undefined;
    this.#reader = undefined;
    socket?.destroy();
    settle?.reject(new Error('the connection was closed'));
  }

  #read(buffer: Buffer, bytes: number): boolean {
    try {
      if (this.#reader === undefined) throw new Error('an answer that nobody asked for');
      const answer = this.#reader.feed(buffer.subarray(0, bytes));
      if (answer === undefined) return true;
      const settle = this.#settle;
      this.#reader = undefined;
      this.#settle = undefined;
      settle?.resolve(answer);
    } catch (error) {
      this.#fail(error as Error);
    }
    return true;
  }

  #fail(error: Error): void {
    const settle = this.#settle;
    this.#settle = undefined;
    this.close();
    settle?.reject(error);
  }
}

function pump(socket: Socket, { piece, length }: Repeated): void {
  let left = length;
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      const next = piece.subarray(0, Math.min(piece.length, left));
      left -= next.length;
      if (!socket.write(next)) {
        socket.once('drain', more);
        return;
      }
    }
  };
  more();
}
