/**
 * Bodies are encrypted in frames, so that a range is read and verified without the rest (the STREAM construction of Hoang, Reyhanitabar,
 * Rogaway and Vizár). Frame i is AES-256-GCM under the body's own random key: its ciphertext is followed by its 16-byte tag.
 * Every frame holds 64 KiB of plaintext but the last, which holds 1…65,536 bytes; an empty body has no frame and no ciphertext.
 * Nonce, 12 bytes: the frame's number as big-endian u64 in bytes 0–7, zeros in 8–10, and in byte 11 a 1 for the last frame, else 0.
 */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { DecipherGCM } from 'node:crypto';
import { EngineError } from './types.ts';

export const FRAME_BYTES = 65_536;
export const TAG_BYTES = 16;
const DATA_KEY_BYTES = 32;

const CIPHER = 'aes-256-gcm';
const SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES;

export interface FrameLayout {
  readonly frames: number;
  /** Plaintext bytes of the last frame; 0 when there is none. */
  readonly lastFrameBytes: number;
  readonly cipherLength: number;
}

/** @throws RangeError when the length is not an integer ≥ 0 */
export function frameLayout(plainLength: number): FrameLayout {
  if (!Number.isSafeInteger(plainLength) || plainLength < 0) {
    throw new RangeError(`a body's length is an integer ≥ 0, not ${plainLength}`);
  }
  const frames = Math.ceil(plainLength / FRAME_BYTES);
  const lastFrameBytes = frames === 0 ? 0 : plainLength - (frames - 1) * FRAME_BYTES;
  return { frames, lastFrameBytes, cipherLength: plainLength + frames * TAG_BYTES };
}

/** Bytes of ciphertext, tags included. */
export function cipherLength(plainLength: number): number {
  return frameLayout(plainLength).cipherLength;
}

/** Ciphertext bytes [start, end): the whole frames that cover a plaintext range; nothing, 0 to 0, for an empty range. */
export interface CipherRange {
  readonly start: number;
  readonly end: number;
  /** Number of the first frame, from 0. */
  readonly firstFrame: number;
}

/** Takes the plaintext range [plainStart, plainEnd). @throws RangeError unless 0 ≤ plainStart ≤ plainEnd ≤ plainLength */
export function cipherRange(plainStart: number, plainEnd: number, plainLength: number): CipherRange {
  const layout = frameLayout(plainLength);
  const integers = Number.isSafeInteger(plainStart) && Number.isSafeInteger(plainEnd);
  if (!integers || plainStart < 0 || plainEnd < plainStart || plainEnd > plainLength) {
    throw new RangeError(`bytes ${plainStart} to ${plainEnd} are no range of a body of ${plainLength}`);
  }
  if (plainStart === plainEnd) return { start: 0, end: 0, firstFrame: 0 };
  const firstFrame = Math.floor(plainStart / FRAME_BYTES);
  const endFrame = Math.ceil(plainEnd / FRAME_BYTES);
  const end = endFrame === layout.frames ? layout.cipherLength : endFrame * SEALED_FRAME_BYTES;
  return { start: firstFrame * SEALED_FRAME_BYTES, end, firstFrame };
}

/** A new random 256-bit data key: one per body, never used twice. */
export function createDataKey(): Buffer {
  return randomBytes(DATA_KEY_BYTES);
}

/** One body's encryption. Holds one frame at most. Pieces may be of any size; nothing of them is kept. */
export interface Encryptor {
  /** Ciphertext that is ready, in order; the buffers belong to the caller. */
  push(bytes: Uint8Array): Buffer[];
  /** The rest, last frame included. Once, after the last push. */
  finish(): Buffer[];
}

/** The key must be fresh: two bodies under one key would share nonces. @throws RangeError unless the key is 32 bytes */
export function createEncryptor(key: Uint8Array): Encryptor {
  assertDataKey(key);
  const held = new HeldFrame();
  let frame = 0;
  return {
    push(bytes) {
      const sealed: Buffer[] = [];
      let rest = bytes;
      // A full frame is sealed only once a byte follows it: until then it may be the last.
      while (held.length + rest.length > FRAME_BYTES) {
        const taken = FRAME_BYTES - held.length;
        const head = rest.subarray(0, taken);
        rest = rest.subarray(taken);
        sealFrame(key, nonceOf(frame++, false), held.length === 0 ? head : held.take(head), sealed);
      }
      held.add(rest);
      return sealed;
    },
    finish() {
      const sealed: Buffer[] = [];
      if (held.length > 0) sealFrame(key, nonceOf(frame, true), held.take(NOTHING), sealed);
      return sealed;
    },
  };
}

const NOTHING = new Uint8Array(0);

/** The frame that is being filled, copied together: pieces come in any size, and their memory is their owner's. */
class HeldFrame {
  #bytes = Buffer.allocUnsafe(0);
  length = 0;

  add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    const length = this.length + piece.length;
    if (length > this.#bytes.length) this.#grow(length);
    this.#bytes.set(piece, this.length);
    this.length = length;
  }

  /** All of it with a last piece; good until the next `add`. */
  take(piece: Uint8Array): Uint8Array {
    this.add(piece);
    const bytes = this.#bytes.subarray(0, this.length);
    this.length = 0;
    return bytes;
  }

  /** A small body takes little; one of many pieces, a frame. */
  #grow(length: number): void {
    const grown = Buffer.allocUnsafe(this.length === 0 ? length : Math.max(length, FRAME_BYTES));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}

function sealFrame(key: Uint8Array, nonce: Buffer, plain: Uint8Array, sealed: Buffer[]): void {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  sealed.push(cipher.update(plain));
  // GCM holds nothing back: `final` only closes the tag.
  cipher.final();
  sealed.push(cipher.getAuthTag());
}

function nonceOf(frame: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(Math.floor(frame / 2 ** 32), 0);
  nonce.writeUInt32BE(frame % 2 ** 32, 4);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

export interface PlainRange {
  /** Plaintext bytes of the whole body, from metadata (trusted). */
  readonly plainLength: number;
  readonly plainStart: number;
  readonly plainEnd: number;
}

/**
 * Plaintext bytes [plainStart, plainEnd). `source` delivers exactly the ciphertext of `cipherRange`, in pieces of any size.
 * No byte is given out before the tag of its frame has been verified.
 * @throws EngineError 'Unreadable' when the ciphertext was changed, cut, extended or reordered, or the key is another; errors of `source` as they are
 * @throws RangeError for a range or a key as in cipherRange and createEncryptor
 */
export async function* decryptFrames(
  key: Uint8Array,
  source: AsyncIterable<Uint8Array>,
  { plainLength, plainStart, plainEnd }: PlainRange,
): AsyncGenerator<Uint8Array, void, undefined> {
  assertDataKey(key);
  const { frames, lastFrameBytes } = frameLayout(plainLength);
  const { start, end, firstFrame } = cipherRange(plainStart, plainEnd, plainLength);
  if (start === end) return;
  const endFrame = Math.ceil(plainEnd / FRAME_BYTES);
  const open = (frame: number): FrameOpening =>
    new FrameOpening(key, frame, frame === frames - 1, frame === frames - 1 ? lastFrameBytes : FRAME_BYTES);
  let opening = open(firstFrame);
  let received = 0;
  for await (const piece of source) {
    received += piece.length;
    if (received > end - start) throw damaged('is longer than it was written');
    let rest = piece;
    while (rest.length > 0) {
      rest = opening.take(rest);
      if (!opening.complete) break;
      // One by one: to delegate to a generator that is not asynchronous costs more.
      for (const plain of trim(opening.verified(), opening.frame * FRAME_BYTES, plainStart, plainEnd))
        yield plain;
      if (opening.frame + 1 === endFrame) break;
      opening = open(opening.frame + 1);
    }
  }
  if (received < end - start) throw damaged('ended early');
}

/** One frame on its way through decryption. */
class FrameOpening {
  readonly frame: number;
  readonly #decipher: DecipherGCM;
  readonly #plain: Buffer[] = [];
  readonly #tag = Buffer.allocUnsafe(TAG_BYTES);
  #plainLeft: number;
  #tagUsed = 0;

  constructor(key: Uint8Array, frame: number, last: boolean, plainBytes: number) {
    this.frame = frame;
    this.#decipher = createDecipheriv(CIPHER, key, nonceOf(frame, last), { authTagLength: TAG_BYTES });
    this.#plainLeft = plainBytes;
  }

  get complete(): boolean {
    return this.#plainLeft === 0 && this.#tagUsed === TAG_BYTES;
  }

  /** Takes what belongs to this frame; returns what is left. */
  take(bytes: Uint8Array): Uint8Array {
    const body = Math.min(bytes.length, this.#plainLeft);
    if (body > 0) {
      this.#plain.push(this.#decipher.update(bytes.subarray(0, body)));
      this.#plainLeft -= body;
    }
    const tag = bytes.subarray(body, body + TAG_BYTES - this.#tagUsed);
    this.#tag.set(tag, this.#tagUsed);
    this.#tagUsed += tag.length;
    return bytes.subarray(body + tag.length);
  }

  verified(): readonly Buffer[] {
    this.#decipher.setAuthTag(this.#tag);
    try {
      this.#decipher.final();
    } catch (error) {
      throw damaged('does not verify', error);
    }
    return this.#plain;
  }
}

/** The part of a frame's pieces that lies in [plainStart, plainEnd); the first piece starts at `position`. */
function trim(
  pieces: readonly Buffer[],
  position: number,
  plainStart: number,
  plainEnd: number,
): readonly Buffer[] {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (position >= plainStart && position + length <= plainEnd) return pieces;
  let at = position;
  return pieces.flatMap((piece) => {
    const from = Math.max(0, plainStart - at);
    const to = Math.min(piece.length, plainEnd - at);
    at += piece.length;
    return from < to ? [piece.subarray(from, to)] : [];
  });
}

function assertDataKey(key: Uint8Array): void {
  if (key.length !== DATA_KEY_BYTES)
    throw new RangeError(`a data key is ${DATA_KEY_BYTES} bytes, not ${key.length}`);
}

function damaged(what: string, cause?: unknown): EngineError {
  return new EngineError('Unreadable', `The stored body ${what}.`, {}, { cause });
}
