import { createDecipheriv } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cipherLength,
  cipherRange,
  createDataKey,
  createEncryptor,
  decryptFrames,
  FRAME_BYTES,
  frameLayout,
  TAG_BYTES,
} from '../../../gateway/engine/encryption.ts';
import { EngineError } from '../../../gateway/engine/types.ts';

const SEALED = FRAME_BYTES + TAG_BYTES;
const key = createDataKey();
const pattern = (length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff));

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function encrypt(plain: Uint8Array, sizes: readonly number[] = [plain.length || 1], withKey = key): Buffer {
  const encryptor = createEncryptor(withKey);
  const sealed = cut(plain, sizes).flatMap((piece) => encryptor.push(piece));
  return Buffer.concat([...sealed, ...encryptor.finish()]);
}

interface Reading {
  readonly plainLength: number;
  readonly plainStart?: number;
  readonly plainEnd?: number;
  readonly sizes?: readonly number[];
  readonly withKey?: Uint8Array;
}

async function* from(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** What came out before the end or the error. */
async function decrypt(sealed: Uint8Array, reading: Reading): Promise<{ plain: Buffer; error?: unknown }> {
  const { plainLength, plainStart = 0, plainEnd = plainLength, sizes = [7_000], withKey = key } = reading;
  const given: Uint8Array[] = [];
  try {
    const range = { plainLength, plainStart, plainEnd };
    for await (const piece of decryptFrames(withKey, from(cut(sealed, sizes)), range)) given.push(piece);
    return { plain: Buffer.concat(given) };
  } catch (error) {
    return { plain: Buffer.concat(given), error };
  }
}

const LENGTHS = [
  1,
  15,
  FRAME_BYTES - 1,
  FRAME_BYTES,
  FRAME_BYTES + 1,
  2 * FRAME_BYTES,
  3 * FRAME_BYTES + 100,
];

describe('layout', () => {
  test('frames, last frame and ciphertext of each length', () => {
    expect(frameLayout(0)).toEqual({ frames: 0, lastFrameBytes: 0, cipherLength: 0 });
    expect(frameLayout(1)).toEqual({ frames: 1, lastFrameBytes: 1, cipherLength: 17 });
    expect(frameLayout(FRAME_BYTES)).toEqual({
      frames: 1,
      lastFrameBytes: FRAME_BYTES,
      cipherLength: SEALED,
    });
    expect(frameLayout(FRAME_BYTES + 1)).toEqual({ frames: 2, lastFrameBytes: 1, cipherLength: SEALED + 17 });
    for (const length of [-1, 0.5, NaN, 2 ** 53]) expect(() => frameLayout(length)).toThrow(RangeError);
  });

  test('the ciphertext range covers whole frames', () => {
    const length = 2 * FRAME_BYTES + 10;
    expect(cipherRange(0, 1, length)).toEqual({ start: 0, end: SEALED, firstFrame: 0 });
    expect(cipherRange(FRAME_BYTES - 1, FRAME_BYTES + 1, length)).toEqual({
      start: 0,
      end: 2 * SEALED,
      firstFrame: 0,
    });
    expect(cipherRange(FRAME_BYTES, 2 * FRAME_BYTES, length)).toEqual({
      start: SEALED,
      end: 2 * SEALED,
      firstFrame: 1,
    });
    expect(cipherRange(length - 1, length, length)).toEqual({
      start: 2 * SEALED,
      end: cipherLength(length),
      firstFrame: 2,
    });
    expect(cipherRange(5, 5, length)).toEqual({ start: 0, end: 0, firstFrame: 0 });
    for (const [start, end] of [
      [-1, 1],
      [2, 1],
      [0, length + 1],
      [0.5, 1],
    ] as const) {
      expect(() => cipherRange(start, end, length)).toThrow(RangeError);
    }
  });
});

describe('encryption', () => {
  test.each(LENGTHS)('%i bytes come back, whatever the pieces', async (length) => {
    const plain = pattern(length);
    const whole = encrypt(plain);
    expect(whole.length).toBe(cipherLength(length));
    for (const sizes of [[FRAME_BYTES], [1_000, 1, 70_000, 4_096], [4_095], [FRAME_BYTES + 1, 3]]) {
      expect(encrypt(plain, sizes).equals(whole)).toBe(true);
      const { plain: found, error } = await decrypt(whole, { plainLength: length, sizes });
      expect(error).toBeUndefined();
      expect(found.equals(plain)).toBe(true);
    }
  });

  test('single bytes, with empty pieces between', async () => {
    const plain = pattern(300);
    const encryptor = createEncryptor(key);
    const sealed = [...plain].flatMap((byte) => [
      ...encryptor.push(Uint8Array.of(byte)),
      ...encryptor.push(new Uint8Array(0)),
    ]);
    sealed.push(...encryptor.finish());
    const { plain: found } = await decrypt(Buffer.concat(sealed), { plainLength: 300, sizes: [1] });
    expect(found.equals(plain)).toBe(true);
  });

  test('an empty body has no ciphertext and needs none', async () => {
    expect(encrypt(new Uint8Array(0)).length).toBe(0);
    expect(await decrypt(new Uint8Array(0), { plainLength: 0 })).toEqual({ plain: Buffer.alloc(0) });
  });

  test('frames are plain AES-256-GCM with the documented nonces', () => {
    const plain = pattern(FRAME_BYTES + 5);
    const sealed = encrypt(plain);
    for (const [nonce, body, expected] of [
      ['000000000000000000000000', sealed.subarray(0, SEALED), plain.subarray(0, FRAME_BYTES)],
      ['000000000000000100000001', sealed.subarray(SEALED), plain.subarray(FRAME_BYTES)],
    ] as const) {
      const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'hex'));
      decipher.setAuthTag(body.subarray(body.length - TAG_BYTES));
      const found = Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
      expect(found.equals(expected)).toBe(true);
    }
  });

  test('holds back at most one frame', () => {
    const encryptor = createEncryptor(key);
    let sealed = 0;
    for (let pushed = 0; pushed < 10 * FRAME_BYTES; pushed += 10_000) {
      for (const piece of encryptor.push(pattern(10_000))) sealed += piece.length;
      expect(pushed + 10_000 - sealed).toBeLessThanOrEqual(FRAME_BYTES);
    }
  });

  test('any range of any body is that part of it', async () => {
    const plain = pattern(3 * FRAME_BYTES + 1_234);
    const property = fc.asyncProperty(
      fc.nat(plain.length),
      fc.nat(plain.length),
      fc.nat(plain.length),
      fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 4 }),
      async (a, b, c, sizes) => {
        const [plainStart, plainEnd, plainLength] = [a, b, c].sort((x, y) => x - y) as [
          number,
          number,
          number,
        ];
        const sealed = encrypt(plain.subarray(0, plainLength));
        const { start, end } = cipherRange(plainStart, plainEnd, plainLength);
        const pieces = sizes.map((size) => Math.max(size, 64));
        const read = await decrypt(sealed.subarray(start, end), {
          plainLength,
          plainStart,
          plainEnd,
          sizes: pieces,
        });
        expect(read.error).toBeUndefined();
        expect(read.plain.equals(plain.subarray(plainStart, plainEnd))).toBe(true);
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });

  test('a key of another length is refused', async () => {
    expect(() => createEncryptor(new Uint8Array(16))).toThrow(RangeError);
    const read = await decrypt(new Uint8Array(17), { plainLength: 1, withKey: new Uint8Array(31) });
    expect(read.error).toBeInstanceOf(RangeError);
  });
});

describe('damaged ciphertext', () => {
  const plain = pattern(3 * FRAME_BYTES + 500);
  const plainLength = plain.length;
  const sealed = encrypt(plain);
  const frame = (number: number): Buffer => sealed.subarray(number * SEALED, (number + 1) * SEALED);
  const unreadable = { name: 'EngineError', kind: 'Unreadable', retryable: false };

  /** 'refused' when it is, and what came out before is the true beginning and ends before the damage. */
  async function verdict(
    bytes: Uint8Array,
    intactFrames: number,
    reading: Partial<Reading> = {},
  ): Promise<string> {
    const { plain: given, error } = await decrypt(bytes, { plainLength, ...reading });
    if (!(error instanceof EngineError) || error.kind !== 'Unreadable') return `ended with ${String(error)}`;
    if (given.length > intactFrames * FRAME_BYTES) return `gave out ${given.length} bytes`;
    return given.equals(plain.subarray(0, given.length)) ? 'refused' : 'gave out wrong bytes';
  }

  test('any changed bit is found before a byte of its frame is given out', async () => {
    const property = fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (at, bit) => {
      const damaged = Buffer.from(sealed);
      damaged[at] = (damaged[at] as number) ^ (1 << bit);
      expect(await verdict(damaged, Math.floor(at / SEALED))).toBe('refused');
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test('frames swapped, repeated, or of another body', async () => {
    expect(await verdict(Buffer.concat([frame(1), frame(0), frame(2), frame(3)]), 0)).toBe('refused');
    expect(await verdict(Buffer.concat([frame(0), frame(0), frame(2), frame(3)]), 1)).toBe('refused');
    expect(await verdict(Buffer.concat([frame(0), frame(2), frame(1), frame(3)]), 1)).toBe('refused');
    const other = encrypt(plain, [plain.length], createDataKey());
    expect(
      await verdict(Buffer.concat([frame(0), other.subarray(SEALED, 2 * SEALED), frame(2), frame(3)]), 1),
    ).toBe('refused');
  });

  test('cut anywhere, at a frame’s end too', async () => {
    for (const length of [
      0,
      1,
      SEALED - 1,
      SEALED,
      3 * SEALED,
      sealed.length - TAG_BYTES,
      sealed.length - 1,
    ]) {
      expect(await verdict(sealed.subarray(0, length), Math.floor(length / SEALED))).toBe('refused');
    }
  });

  test('cut at a frame’s end together with the length in the metadata: the last frame is not marked as such', async () => {
    const shorter = 3 * FRAME_BYTES;
    expect(
      await verdict(sealed.subarray(0, cipherLength(shorter)), 2, {
        plainLength: shorter,
        plainEnd: shorter,
      }),
    ).toBe('refused');
  });

  test('extended by a byte or by a frame', async () => {
    expect(await verdict(Buffer.concat([sealed, Buffer.of(0)]), 4, { sizes: [SEALED] })).toBe('refused');
    expect(await verdict(Buffer.concat([sealed, Buffer.of(0)]), 4, { sizes: [sealed.length + 1] })).toBe(
      'refused',
    );
    expect(await verdict(Buffer.concat([sealed, frame(3)]), 4)).toBe('refused');
  });

  test('another key', async () => {
    expect(await verdict(sealed, 0, { withKey: createDataKey() })).toBe('refused');
  });

  test('a range at the wrong place', async () => {
    const { start, end } = cipherRange(FRAME_BYTES, 2 * FRAME_BYTES, plainLength);
    const read = await decrypt(sealed.subarray(start, end), {
      plainLength,
      plainStart: 0,
      plainEnd: FRAME_BYTES,
    });
    expect(read).toMatchObject({ error: unreadable });
    expect(read.plain.length).toBe(0);
  });

  test('an error of the source comes through as it is', async () => {
    const failure = new Error('connection reset');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield sealed.subarray(0, 100);
      throw failure;
    }
    const reading = decryptFrames(key, failing(), { plainLength, plainStart: 0, plainEnd: plainLength });
    await expect(reading.next()).rejects.toBe(failure);
  });
});
