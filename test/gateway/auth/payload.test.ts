/** aws-chunked bodies: framing, limits, signatures and trailers; each way to tamper with a chain of chunks by its name. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodePayload } from '../../../gateway/auth/payload.ts';
import { AuthError } from '../../../gateway/auth/types.ts';
import type { PayloadMode } from '../../../gateway/auth/types.ts';
import {
  chunkRefusal,
  collect,
  pieces,
  signedChunks,
  signedTrailer,
  signing,
  unsignedChunks,
} from './chunks.ts';
import { sha256 } from './signing.ts';

const SIGNED: PayloadMode = { kind: 'SignedChunks', trailer: false, signing };
const SIGNED_TRAILER: PayloadMode = { kind: 'SignedChunks', trailer: true, signing };
const UNSIGNED: PayloadMode = { kind: 'UnsignedChunks' };
const NAME = 'x-amz-checksum-crc32';

const parts = ['first', 'second', 'third'].map((text) => Buffer.from(text.repeat(10)));
const data = Buffer.concat(parts);

/** What reading `body` comes to, whatever pieces it arrives in. */
async function outcome(
  mode: PayloadMode,
  body: Buffer | string,
  announcedTrailers: readonly string[] = [],
  decodedLength?: number,
): Promise<string> {
  const bytes = Buffer.from(body);
  const options = { announcedTrailers, ...(decodedLength === undefined ? {} : { decodedLength }) };
  const whole = await chunkRefusal(decodePayload(mode, pieces(bytes, bytes.length + 1), options).bytes);
  const single = await chunkRefusal(decodePayload(mode, pieces(bytes, 1), options).bytes);
  expect(single).toBe(whole);
  return whole;
}

const { chunks, last } = signedChunks(parts);
const END = Buffer.from('\r\n');
const signedBody = Buffer.concat([...chunks, END]);
const unsignedBody = Buffer.concat(unsignedChunks(parts));
const trailerText = signedTrailer([[NAME, 'value']], last);

describe('bodies as clients send them', () => {
  test.each<[string, PayloadMode, Buffer | string, string[]]>([
    ['signed chunks', SIGNED, signedBody, []],
    [
      'signed chunks and trailer',
      SIGNED_TRAILER,
      `${Buffer.concat(chunks).toString()}${trailerText}`,
      [NAME],
    ],
    ['unsigned chunks and trailer', UNSIGNED, `${unsignedBody.toString()}${NAME}:value\r\n\r\n`, [NAME]],
    [
      'trailer name in upper case, spaces',
      UNSIGNED,
      `${unsignedBody.toString()}X-Amz-Checksum-CRC32: value \r\n\r\n`,
      [` ${NAME.toUpperCase()}`],
    ],
    ['minio-go, unsigned', UNSIGNED, `${unsignedBody.toString()}${NAME}:value\n\r\n\r\n`, [NAME]],
    ['without the last empty line', UNSIGNED, `${unsignedBody.toString()}${NAME}:value\r\n`, [NAME]],
    ['no trailers', UNSIGNED, `${unsignedBody.toString()}\r\n`, []],
    [
      'sizes in upper case with leading zeros',
      UNSIGNED,
      `0032\r\n${'x'.repeat(50)}\r\n3C\r\n${'x'.repeat(60)}\r\n1e\r\n${'x'.repeat(30)}\r\n00\r\n\r\n`,
      [],
    ],
  ])('%s', async (_, mode, body, announced) => {
    expect(data.length).toBe(160);
    const length = body.toString().startsWith('0032') ? 140 : 160;
    expect(await outcome(mode, body, announced, length)).toBe('accepted');
    expect(await outcome(mode, body, announced)).toBe('accepted');
  });

  test('an empty body', async () => {
    const empty = Buffer.concat([...signedChunks([]).chunks, END]);
    expect(await outcome(SIGNED, empty, [], 0)).toBe('accepted');
  });

  test('several trailers, in the order they came', async () => {
    const pairs = [
      ['b', '2'],
      ['a', '1'],
    ] as const;
    const body = Buffer.concat([...chunks, Buffer.from(signedTrailer(pairs, last))]);
    const payload = decodePayload(SIGNED_TRAILER, pieces(body, 10), { announcedTrailers: ['a', 'b'] });
    await collect(payload.bytes);
    expect([payload.trailer('a'), payload.trailer('b'), payload.trailer('c')]).toEqual(['1', '2', undefined]);
  });

  test.each<PayloadMode>([{ kind: 'Unsigned' }, { kind: 'Signed', sha256: sha256('other') }])(
    'a $kind body passes as it is',
    async (mode) => {
      const payload = decodePayload(mode, pieces(data, 7), { announcedTrailers: [] });
      expect((await collect(payload.bytes)).equals(data)).toBe(true);
    },
  );
});

describe('security: the chain of signed chunks', () => {
  const [first, second, third, end] = chunks as [Buffer, Buffer, Buffer, Buffer];
  const foreign = signedChunks(parts, 'f'.repeat(64)).chunks;
  const body = (...list: Buffer[]) => Buffer.concat([...list, END]);

  test.each<[string, string, Buffer]>([
    ['reordered', 'SignatureDoesNotMatch', body(second, first, third, end)],
    ['dropped', 'SignatureDoesNotMatch', body(first, third, end)],
    ['dropped at the end', 'SignatureDoesNotMatch', body(first, second, end)],
    ['repeated', 'SignatureDoesNotMatch', body(first, first, second, third, end)],
    ['spliced in from another request', 'SignatureDoesNotMatch', body(first, foreign[1]!, third, end)],
    ['all from another request', 'SignatureDoesNotMatch', body(...foreign)],
    ['altered', 'SignatureDoesNotMatch', alter(signedBody, 'first', 'First')],
    [
      'with the signature of another',
      'SignatureDoesNotMatch',
      alter(signedBody, signatureOf(first), signatureOf(second)),
    ],
    [
      'with the signature in upper case',
      'InvalidChunk',
      alter(signedBody, signatureOf(first), signatureOf(first).toUpperCase()),
    ],
    ['cut after a whole chunk', 'IncompleteChunks', Buffer.concat([first, second])],
    ['cut within a chunk', 'IncompleteChunks', Buffer.concat([first, second.subarray(0, -10)])],
    ['cut within the last line', 'IncompleteChunks', signedBody.subarray(0, -3)],
    ['followed by data', 'InvalidChunk', Buffer.concat([signedBody, Buffer.from('x')])],
    ['followed by another body', 'InvalidChunk', Buffer.concat([signedBody, signedBody])],
    ['followed by empty lines', 'InvalidChunk', Buffer.concat([signedBody, Buffer.from('\r\n\r\n\r\n')])],
    ['followed by a trailer', 'InvalidChunk', Buffer.concat([...chunks, Buffer.from(trailerText)])],
    ['unsigned', 'InvalidChunk', Buffer.concat([unsignedBody, END])],
  ])('%s: %s', async (_, kind, tampered) => {
    expect(await outcome(SIGNED, tampered)).toBe(kind);
  });

  test('unsigned chunks do not pass as signed ones, nor signed as unsigned', async () => {
    expect(await outcome(UNSIGNED, signedBody)).toBe('InvalidChunk');
    expect(await outcome(SIGNED, Buffer.concat([unsignedBody, END]))).toBe('InvalidChunk');
  });

  test('the last byte of a chunk is not passed on before its signature is checked', async () => {
    const seen: Uint8Array[] = [];
    const { bytes } = decodePayload(SIGNED, pieces(alter(signedBody, 'second', 'Second'), 1), {
      announcedTrailers: [],
    });
    await expect(async () => {
      for await (const part of bytes) seen.push(part);
    }).rejects.toThrow('chunk signature');
    expect(Buffer.concat(seen).length).toBe(parts[0]!.length + parts[1]!.length - 1);
  });
});

function signatureOf(chunk: Buffer): string {
  return /signature=([0-9a-f]{64})/.exec(chunk.toString('latin1'))![1]!;
}

function alter(body: Buffer, from: string, to: string): Buffer {
  return Buffer.from(body.toString('latin1').replace(from, to), 'latin1');
}

describe('security: trailers', () => {
  const signedHead = Buffer.concat(chunks).toString();
  const unsignedHead = unsignedBody.toString();
  const other = signedTrailer([[NAME, 'value']], signedChunks([Buffer.from('other')]).last);

  test.each<[string, string, string, string[]]>([
    ['altered', 'SignatureDoesNotMatch', trailerText.replace('value', 'Value'), [NAME]],
    ['swapped for that of another body', 'SignatureDoesNotMatch', other, [NAME]],
    ['signature missing', 'MalformedTrailer', `${NAME}:value\r\n\r\n\r\n`, [NAME]],
    ['signature missing at the end of the body', 'IncompleteChunks', `${NAME}:value\r\n`, [NAME]],
    ['left out', 'MalformedTrailer', signedTrailer([], last), [NAME]],
    ['not announced', 'MalformedTrailer', trailerText, []],
    [
      'after the signature',
      'MalformedTrailer',
      trailerText.replace('\r\n\r\n', '\r\nx:y\r\n\r\n'),
      [NAME, 'x'],
    ],
    ['all left out', 'IncompleteChunks', '', [NAME]],
  ])('signed, %s: %s', async (_, kind, trailer, announced) => {
    expect(await outcome(SIGNED_TRAILER, signedHead + trailer, announced)).toBe(kind);
  });

  test.each<[string, string, string, string[]]>([
    ['announced but missing', 'MalformedTrailer', '\r\n', [NAME]],
    ['one of two missing', 'MalformedTrailer', `${NAME}:value\r\n\r\n`, [NAME, 'x']],
    ['not announced', 'MalformedTrailer', `${NAME}:value\r\n\r\n`, []],
    ['sent twice', 'MalformedTrailer', `${NAME}:a\r\n${NAME}:b\r\n\r\n`, [NAME]],
    ['without a colon', 'MalformedTrailer', `${NAME}\r\n\r\n`, [NAME]],
    ['with a space in its name', 'MalformedTrailer', `${NAME} :value\r\n\r\n`, [NAME]],
    ['with a control character', 'MalformedTrailer', `${NAME}:va\0lue\r\n\r\n`, [NAME]],
    ['too long', 'MalformedTrailer', `${NAME}:${'v'.repeat(17_000)}\r\n\r\n`, [NAME]],
    [
      'too many',
      'MalformedTrailer',
      Array.from({ length: 400 }, (_, n) => `n${n}:${'v'.repeat(50)}\r\n`).join(''),
      Array.from({ length: 400 }, (_, n) => `n${n}`),
    ],
    ['followed by data', 'InvalidChunk', `${NAME}:value\r\n\r\n0\r\n`, [NAME]],
    ['cut', 'IncompleteChunks', `${NAME}:val`, [NAME]],
    ['all left out', 'IncompleteChunks', '', [NAME]],
    ['not even the empty line', 'IncompleteChunks', '', []],
  ])('unsigned, %s: %s', async (_, kind, trailer, announced) => {
    expect(await outcome(UNSIGNED, unsignedHead + trailer, announced)).toBe(kind);
  });

  test.each<PayloadMode>([SIGNED, { kind: 'Unsigned' }, { kind: 'Signed', sha256: sha256('') }])(
    'cannot be announced for a body that has none ($kind)',
    (mode) => {
      expect(() => decodePayload(mode, pieces(data, 9), { announcedTrailers: [NAME] })).toThrow(
        'no trailers',
      );
    },
  );

  test.each(['__proto__', 'constructor'])('%s is no trailer unless it was sent', async (name) => {
    const payload = decodePayload(UNSIGNED, pieces(Buffer.from(`${unsignedHead}\r\n`), 9), {
      announcedTrailers: [],
    });
    await collect(payload.bytes);
    expect(payload.trailer(name)).toBeUndefined();
  });
});

describe('framing', () => {
  test.each<[string, string, string]>([
    ['an empty body', 'IncompleteChunks', ''],
    ['no size', 'InvalidChunk', '\r\n'],
    ['a size that is not hexadecimal', 'InvalidChunk', 'xyz\r\n'],
    ['a negative size', 'InvalidChunk', '-5\r\n'],
    ['0x', 'InvalidChunk', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a space before the size', 'InvalidChunk', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['an extension', 'InvalidChunk', '5;a=b\r\nhello\r\n0\r\n\r\n'],
    ['a line ended by LF alone', 'InvalidChunk', '5\nhello\r\n0\r\n\r\n'],
    ['data ended by LF alone', 'InvalidChunk', '5\r\nhello\n0\r\n\r\n'],
    ['data longer than its size', 'InvalidChunk', '4\r\nhello\r\n0\r\n\r\n'],
    ['data shorter than its size', 'InvalidChunk', '6\r\nhello\r\n0\r\n\r\n'],
    ['a chunk over 5 GiB', 'InvalidChunk', '140000001\r\n'],
    ['a size past all integers', 'InvalidChunk', `${'f'.repeat(16)}\r\n`],
    ['a size of seventeen digits', 'InvalidChunk', `${'0'.repeat(17)}\r\n`],
    ['an endless header', 'InvalidChunk', '1'.repeat(2000)],
  ])('%s: %s', async (_, kind, body) => {
    expect(await outcome(UNSIGNED, body)).toBe(kind);
  });

  test.each([
    ['shorter', 5, '4\r\nhell\r\n0\r\n\r\n'],
    ['longer', 3, '4\r\nhell\r\n0\r\n\r\n'],
    ['longer over two chunks', 7, '4\r\nhell\r\n4\r\nhell\r\n0\r\n\r\n'],
    ['not empty', 0, '4\r\nhell\r\n0\r\n\r\n'],
  ])('%s than declared', async (_, decodedLength, body) => {
    expect(await outcome(UNSIGNED, body, [], decodedLength)).toBe('IncompleteChunks');
  });

  test('no byte beyond the declared length is passed on', async () => {
    const body = Buffer.from('4\r\nhell\r\n4\r\nhell\r\n0\r\n\r\n');
    const seen: Uint8Array[] = [];
    const { bytes } = decodePayload(UNSIGNED, pieces(body, 3), { decodedLength: 4, announcedTrailers: [] });
    await expect(async () => {
      for await (const part of bytes) seen.push(part);
    }).rejects.toThrow('at least 8 bytes');
    expect(Buffer.concat(seen).toString()).toBe('hell');
  });

  test('payload is passed on without copying', async () => {
    const body = Buffer.from(unsignedBody);
    const { bytes } = decodePayload(UNSIGNED, pieces(Buffer.concat([body, END]), 1000), {
      announcedTrailers: [],
    });
    const buffers = new Set<ArrayBufferLike>();
    for await (const part of bytes) buffers.add(part.buffer);
    expect(buffers.size).toBe(1);
  });

  test('an error of the source is rethrown, and stopping early closes it', async () => {
    let closed = 0;
    async function* source(fail: boolean): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('5\r\nhello');
        if (fail) throw new Error('connection lost');
        yield Buffer.from('\r\n');
      } finally {
        closed += 1;
      }
    }
    await expect(
      collect(decodePayload(UNSIGNED, source(true), { announcedTrailers: [] }).bytes),
    ).rejects.toThrow('connection lost');
    for await (const part of decodePayload(UNSIGNED, source(false), { announcedTrailers: [] }).bytes) {
      expect(part.length).toBe(5);
      break;
    }
    expect(closed).toBe(2);
  });
});

describe('random bodies', () => {
  const chunkList = fc.array(
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 6 },
  );
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 30 });

  async function* cut(body: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
    for (let at = 0, turn = 0; at < body.length; turn++) {
      const size = sizes[turn % sizes.length]!;
      yield body.subarray(at, at + size);
      if (turn % 5 === 0) yield new Uint8Array(0);
      at += size;
    }
  }

  function encode(kind: 'signed' | 'unsigned', list: readonly Buffer[]): Buffer {
    if (kind === 'unsigned')
      return Buffer.concat([...unsignedChunks(list), Buffer.from(`${NAME}:v\r\n\r\n`)]);
    const signed = signedChunks(list);
    return Buffer.concat([...signed.chunks, Buffer.from(signedTrailer([[NAME, 'v']], signed.last))]);
  }

  const kinds = fc.constantFrom('signed' as const, 'unsigned' as const);

  test('decode to the same bytes however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, chunkList, cuts, async (kind, list, sizes) => {
        const payload = decodePayload(
          kind === 'signed' ? SIGNED_TRAILER : UNSIGNED,
          cut(encode(kind, list), sizes),
          {
            decodedLength: Buffer.concat(list).length,
            announcedTrailers: [NAME],
          },
        );
        expect((await collect(payload.bytes)).equals(Buffer.concat(list))).toBe(true);
        expect(payload.trailer(NAME)).toBe('v');
      }),
      { numRuns: 200 },
    );
  });

  test('signed, with one byte changed, are refused or mean the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        chunkList,
        cuts,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (list, sizes, place, flip) => {
          const body = encode('signed', list);
          body[place % body.length]! ^= flip;
          const options = { announcedTrailers: [NAME] };
          const payload = decodePayload(SIGNED_TRAILER, cut(body, sizes), options);
          const result = await collect(payload.bytes).catch((error: unknown) => error);
          const same =
            result instanceof Buffer && result.equals(Buffer.concat(list)) && payload.trailer(NAME) === 'v';
          expect(same || result instanceof AuthError).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('cut short, are refused or mean the same', async () => {
    await fc.assert(
      fc.asyncProperty(kinds, chunkList, fc.nat(), async (kind, list, place) => {
        const body = encode(kind, list);
        const short = body.subarray(0, place % body.length);
        const mode = kind === 'signed' ? SIGNED_TRAILER : UNSIGNED;
        const kept = await outcome(mode, short, [NAME], Buffer.concat(list).length);
        // Only the very last line may be missing.
        expect(kept).toBe(body.length - short.length === 2 ? 'accepted' : 'IncompleteChunks');
      }),
      { numRuns: 200 },
    );
  });

  test('of any bytes at all never do anything but decode or throw an AuthError', async () => {
    const junk = fc.array(fc.constantFrom('0', '5', 'a', '\r', '\n', '\r\n', ':', ';chunk-signature=', 'x'), {
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(junk, fc.constantFrom(SIGNED, SIGNED_TRAILER, UNSIGNED), async (tokens, mode) => {
        const kinds = [
          'accepted',
          'InvalidChunk',
          'IncompleteChunks',
          'MalformedTrailer',
          'SignatureDoesNotMatch',
        ];
        expect(kinds).toContain(await outcome(mode, tokens.join('')));
      }),
      { numRuns: 300 },
    );
  });
});
