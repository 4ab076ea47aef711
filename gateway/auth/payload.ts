/** The body behind an authenticated head: aws-chunked framing, chunk signatures and trailers are taken off and checked. */
import { ChunkChain } from './chunkChain.ts';
import { ChunkDecoder } from './chunkDecoder.ts';
import { malformed, TrailerSection } from './trailerSection.ts';
import type { PayloadMode } from './types.ts';

export interface DecodeOptions {
  /** x-amz-decoded-content-length; undefined where the client did not send it. */
  readonly decodedLength?: number;
  /** Names in x-amz-trailer, any case. */
  readonly announcedTrailers: readonly string[];
}

export interface DecodedPayload {
  /**
   * The payload, as views of the source's pieces; iterated once, to its end. Bytes are passed on as they come, so that a chunk of
   * any size takes no memory: a chunk's signature is checked before its last byte is passed on, and a wrong one, broken framing or
   * a missing trailer make the iteration throw AuthError. Nothing may become visible before the iteration has ended without one.
   */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Value of an announced trailer, by lower-case name, once `bytes` has ended; its signature has been checked where there is one. */
  trailer(name: string): string | undefined;
}

/**
 * A whole-body SHA-256 ('Signed') is not checked here: the engine hashes the body as it stores it. When the iteration stops early,
 * by an error too, the source's own iterator is closed: hand in one that leaves the connection open for the error response.
 * @throws AuthError 'MalformedTrailer' when trailers are announced for a body that cannot have any
 */
export function decodePayload(
  mode: PayloadMode,
  source: AsyncIterable<Uint8Array>,
  options: DecodeOptions,
): DecodedPayload {
  const mayHaveTrailers = mode.kind === 'UnsignedChunks' || (mode.kind === 'SignedChunks' && mode.trailer);
  if (!mayHaveTrailers && options.announcedTrailers.length > 0) {
    throw malformed('x-amz-trailer was sent with a payload that has no trailers.');
  }
  if (mode.kind === 'Signed' || mode.kind === 'Unsigned') {
    return { bytes: source, trailer: () => undefined };
  }
  const chain = mode.kind === 'SignedChunks' ? new ChunkChain(mode.signing) : undefined;
  const trailers = mayHaveTrailers ? new TrailerSection(options.announcedTrailers, chain) : undefined;
  const decoder = new ChunkDecoder({ chain, trailers, decodedLength: options.decodedLength });
  let ended = false;

  async function* decode(): AsyncGenerator<Uint8Array> {
    for await (const piece of source) yield* decoder.decode(piece);
    decoder.end();
    ended = true;
  }
  return { bytes: decode(), trailer: (name) => (ended ? trailers?.value(name) : undefined) };
}
