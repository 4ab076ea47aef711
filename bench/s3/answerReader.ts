/** One HTTP/1.1 answer, as far as S3 servers use the protocol: a length, chunks, or no body at all. */
export interface Answer {
  readonly status: number;
  /** Header lines as they came. */
  readonly head: string;
  /** Bytes of the body. */
  readonly bytes: number;
  /** The body where it was asked for, and of every refusal. */
  readonly body: Buffer;
  /** The server closes the connection after it. */
  readonly last: boolean;
}

const NOTHING = Buffer.alloc(0);
const HEAD_BYTES_MAX = 64 * 1024;

type State = 'head' | 'body' | 'size' | 'chunk' | 'chunkEnd' | 'trailer' | 'done';

/** Takes pieces as they come, which it does not hold on to, until the answer is complete. */
export class AnswerReader {
  readonly #bodiless: boolean;
  readonly #keep: boolean;
  #state: State = 'head';
  #line = '';
  #head = '';
  #status = 0;
  /** Of the body, or of the present chunk. */
  #left = 0;
  #bytes = 0;
  readonly #pieces: Buffer[] = [];

  /** @param bodiless the answer to a HEAD @param keep the body is wanted, not only counted */
  constructor(bodiless: boolean, keep: boolean) {
    this.#bodiless = bodiless;
    this.#keep = keep;
  }

  /** The answer once it is complete. @throws Error for what is not HTTP, or goes on after its end */
  feed(piece: Buffer): Answer | undefined {
    let at = 0;
    while (at < piece.length && this.#state !== 'done') at = this.#step(piece, at);
    if (this.#state !== 'done') return undefined;
    if (at < piece.length) throw new Error('bytes after the end of an answer');
    return this.#answer();
  }

  #step(piece: Buffer, at: number): number {
    if (this.#state === 'body' || this.#state === 'chunk') return this.#take(piece, at);
    return this.#state === 'head' ? this.#readHead(piece, at) : this.#readLine(piece, at);
  }

  #take(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + this.#left);
    if (this.#keep || this.#status >= 300) this.#pieces.push(Buffer.from(piece.subarray(at, end)));
    this.#bytes += end - at;
    this.#left -= end - at;
    if (this.#left === 0) this.#state = this.#state === 'body' ? 'done' : 'chunkEnd';
    return end;
  }

  #readHead(piece: Buffer, at: number): number {
    const before = this.#head.length;
    // The end may lie across two pieces.
    const text =
      this.#head.slice(-3) + piece.toString('latin1', at, Math.min(piece.length, at + HEAD_BYTES_MAX));
    const end = text.indexOf('\r\n\r\n');
    if (end === -1) {
      this.#head += text.slice(Math.min(3, before));
      if (this.#head.length > HEAD_BYTES_MAX) throw new Error('an endless head');
      return piece.length;
    }
    const taken = end + 4 - Math.min(3, before);
    this.#head += piece.toString('latin1', at, at + taken);
    this.#readFraming();
    return at + taken;
  }

  #readFraming(): void {
    const status = /^HTTP\/1\.1 (\d{3})/.exec(this.#head)?.[1];
    if (status === undefined) throw new Error(`not HTTP/1.1: ${this.#head.slice(0, 40)}`);
    this.#status = Number(status);
    if (this.#status < 200) {
      this.#head = '';
      return;
    }
    if (this.#bodiless || this.#status === 204 || this.#status === 304) this.#state = 'done';
    else if (/\r\ntransfer-encoding: *chunked/i.test(this.#head)) this.#state = 'size';
    else {
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
      if (length === undefined) throw new Error('an answer without a length');
      this.#left = Number(length);
      this.#state = this.#left === 0 ? 'done' : 'body';
    }
  }

  #readLine(piece: Buffer, at: number): number {
    const end = piece.indexOf(10, at);
    this.#line += piece.toString('latin1', at, end === -1 ? piece.length : end);
    if (end === -1) return piece.length;
    const line = this.#line.trim();
    this.#line = '';
    if (this.#state === 'chunkEnd') this.#state = 'size';
    else if (this.#state === 'trailer') this.#state = line === '' ? 'done' : 'trailer';
    else {
      this.#left = Number.parseInt(line, 16);
      if (!(this.#left >= 0)) throw new Error(`not the size of a chunk: ${line.slice(0, 20)}`);
      this.#state = this.#left === 0 ? 'trailer' : 'chunk';
    }
    return end + 1;
  }

  #answer(): Answer {
    return {
      status: this.#status,
      head: this.#head,
      bytes: this.#bytes,
      body: this.#pieces.length === 0 ? NOTHING : Buffer.concat(this.#pieces),
      last: /\r\nconnection: *close/i.test(this.#head),
    };
  }
}
