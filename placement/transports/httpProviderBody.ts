import type { HttpBody, HttpCall } from './httpProviderCall.ts';
import { abortable, checkSeal } from './shardFileWriter.ts';
import { TransportError, type ShardSeal, type ShardSource, type WholeShard } from '../types.ts';

/**
 * A socket says of less than its high-water mark that it has taken it while it may still lie there, and a source uses a cell's memory
 * anew: pieces below it are copied. It is that of undici's connections.
 */
const SOCKET_BYTES = 64 * 1024;
/** Bytes that are offered at once: of a longer cell, nobody could tell whether it gets on. */
const PIECE_BYTES = 256 * 1024;

/** The shard, then its root: without the root, whatever has arrived is no shard. */
export function wholeBody({ bytes, seal }: WholeShard, call: HttpCall): HttpBody {
  checkSeal(seal, bytes.length);
  if (bytes.length < SOCKET_BYTES) return Buffer.concat([bytes, seal.root]);
  return inTurn(bytes, seal.root, call);
}

async function* inTurn(
  bytes: Uint8Array,
  root: Uint8Array,
  call: HttpCall,
): AsyncGenerator<Uint8Array, undefined> {
  yield* pieces(bytes, call);
  call.deliver();
  yield Buffer.from(root);
}

function* pieces(bytes: Uint8Array, call: HttpCall): Generator<Uint8Array, undefined> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    call.offer();
    yield piece.length < SOCKET_BYTES ? Buffer.from(piece) : piece;
  }
}

/**
 * The same from a source. Each cell is taken from it when the one before has left.
 * @param onSeal told the seal before the root goes out
 */
export async function* streamedBody(
  source: ShardSource,
  call: HttpCall,
  onSeal: (seal: ShardSeal) => void,
): AsyncGenerator<Uint8Array, undefined> {
  let length = 0;
  try {
    call.pause();
    for await (const cell of abortable(source.cells, call.ended)) {
      length += cell.length;
      yield* pieces(cell, call);
      call.pause();
    }
    const seal = source.seal();
    checkSeal(seal, length);
    onSeal(seal);
    call.deliver();
    yield Buffer.from(seal.root);
  } catch (error) {
    call.cut(sourceError(error));
    throw error;
  }
}

function sourceError(error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  return new TransportError('Source', 'the source of the shard failed', { cause: error });
}
