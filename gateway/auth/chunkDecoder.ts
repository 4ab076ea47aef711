/** The framing of aws-chunked bodies, as a state machine that takes the body in pieces of any size. */
import type { ChunkChain } from './chunkChain.ts';
import { malformed } from './trailerSection.ts';
import type { TrailerSection } from './trailerSection.ts';
import { AuthError } from './types.ts';

/** Bytes. A signed chunk's header takes 97 at most. */
const CHUNK_HEADER_MAX = 1024;
/** Bytes, for all trailers together. */
const TRAILERS_MAX = 16 * 1024;
/** 5 GiB: S3's limit for one upload, hence for one chunk of it. */
const CHUNK_BYTES_MAX = 5 * 1024 ** 3;
/** Bytes of CR and LF after the end: minio-go sends two. */
const SURPLUS_MAX = 4;

const UNSIGNED_HEADER = /^([0-9a-fA-F]{1,16})\r$/;
const SIGNED_HEADER = /^([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})\r$/;

const CR = 0x0d;
const LF = 0x0a;

type State = 'header' | 'data' | 'data-end' | 'final-end' | 'trailers' | 'surplus';

export interface ChunkDecoderOptions {
  /** Present when chunks are signed. */
  readonly chain: ChunkChain | undefined;
  /** Present when the body may have trailers. */
  readonly trailers: TrailerSection | undefined;
  /** x-amz-decoded-content-length */
  readonly decodedLength: number | undefined;
}

/**
 * There is no least chunk size although AWS asks for 8 KiB: the AWS SDK for JavaScript makes a chunk of whatever its stream yields.
 * Lines end in CR LF; the trailers' may end in LF alone, since minio-go sends them so.
 */
export class ChunkDecoder {
  readonly #chain: ChunkChain | undefined;
  readonly #trailers: TrailerSection | undefined;
  readonly #decodedLength: number | undefined;
  #state: State = 'header';
  /** Bytes of the current chunk still to come. */
  #remaining = 0;
  /** Decoded bytes of all chunks announced so far. */
  #total = 0;
  /** Start of a line whose end is in a later piece. */
  #partialLine = '';
  #trailerBytes = 0;
  #surplus = 0;

  constructor(options: ChunkDecoderOptions) {
    this.#chain = options.chain;
    this.#trailers = options.trailers;
    this.#decodedLength = options.decodedLength;
  }

  /** The payload in the next piece of the body, as views of it. @throws AuthError */
  *decode(piece: Uint8Array): Generator<Uint8Array> {
    let at = 0;
    while (at < piece.length) {
      if (this.#state === 'data') {
        const data = piece.subarray(at, at + Math.min(this.#remaining, piece.length - at));
        at += data.length;
        this.#takeData(data);
        yield data;
      } else if (this.#state === 'surplus') {
        this.#takeSurplus(piece[at]!);
        at += 1;
      } else {
        at = this.#takeLine(piece, at);
      }
    }
  }

  /** The body has ended. @throws AuthError 'IncompleteChunks' unless its end was seen */
  end(): void {
    if (this.#state === 'surplus') return;
    if (this.#state === 'trailers' && this.#partialLine === '' && this.#trailers?.complete === true) {
      this.#trailers.finish();
      return;
    }
    throw new AuthError('IncompleteChunks', 'The body ended before its last chunk.');
  }

  #takeData(data: Uint8Array): void {
    this.#chain?.update(data);
    this.#remaining -= data.length;
    if (this.#remaining > 0) return;
    this.#chain?.verify();
    this.#state = 'data-end';
  }

  /** Consumes up to and including the next LF; answers where to go on. */
  #takeLine(piece: Uint8Array, at: number): number {
    const room = this.#lineRoom() - this.#partialLine.length;
    const window = piece.subarray(at, at + room);
    const end = window.indexOf(LF);
    const text = latin1(end < 0 ? window : window.subarray(0, end));
    if (end >= 0) {
      const line = this.#partialLine + text;
      this.#partialLine = '';
      this.#acceptLine(line);
      return at + end + 1;
    }
    if (window.length === room) throw this.#lineTooLong();
    this.#partialLine += text;
    return piece.length;
  }

  /** Greatest length of a line in the present state, its LF included. */
  #lineRoom(): number {
    if (this.#state === 'header') return CHUNK_HEADER_MAX;
    if (this.#state === 'trailers') return TRAILERS_MAX - this.#trailerBytes;
    return 2;
  }

  #lineTooLong(): AuthError {
    if (this.#state === 'trailers') return malformed('The trailers are too long.');
    return this.#state === 'header'
      ? invalid('A chunk header is too long.')
      : invalid('A chunk does not end where its header says.');
  }

  #acceptLine(line: string): void {
    if (this.#state === 'header') this.#takeHeader(line);
    else if (this.#state === 'trailers') this.#takeTrailer(line);
    else if (line !== '\r') throw invalid('A chunk does not end where its header says.');
    else this.#state = this.#state === 'data-end' ? 'header' : 'surplus';
  }

  #takeHeader(line: string): void {
    const match = (this.#chain === undefined ? UNSIGNED_HEADER : SIGNED_HEADER).exec(line);
    if (match === null) throw invalid('A chunk header is malformed.');
    const size = Number.parseInt(match[1]!, 16);
    if (size > CHUNK_BYTES_MAX) throw invalid('A chunk is too large.');
    this.#total += size;
    this.#checkTotal(size === 0);
    this.#chain?.begin(match[2] ?? '');
    this.#remaining = size;
    if (size > 0) {
      this.#state = 'data';
      return;
    }
    this.#chain?.verify();
    this.#state = this.#trailers === undefined ? 'final-end' : 'trailers';
  }

  /** Before the bytes are passed on: no consumer gets more than was declared. */
  #checkTotal(final: boolean): void {
    const declared = this.#decodedLength;
    if (declared === undefined || (final ? this.#total === declared : this.#total <= declared)) return;
    throw new AuthError(
      'IncompleteChunks',
      `The chunks have ${final ? '' : 'at least '}${this.#total} bytes, but x-amz-decoded-content-length is ${declared}.`,
    );
  }

  #takeTrailer(line: string): void {
    this.#trailerBytes += line.length + 1;
    if (this.#trailers?.accept(line.endsWith('\r') ? line.slice(0, -1) : line) === true)
      this.#state = 'surplus';
  }

  #takeSurplus(octet: number): void {
    this.#surplus += 1;
    if ((octet !== CR && octet !== LF) || this.#surplus > SURPLUS_MAX) {
      throw invalid('Data follows the last chunk.');
    }
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function invalid(message: string): AuthError {
  return new AuthError('InvalidChunk', message);
}
