import { createRequire } from 'node:module';
import type * as NativeAddon from '@napi-rs/blake-hash';
import { HASH_BYTES } from './types.ts';

/** Writes BLAKE3-256 of `data`, 32 bytes, into `into` from byte `at` on. */
export type Digest = (data: Uint8Array, into: Buffer, at: number) => void;

/** One call of the WASM build copies its whole input into memory that it then keeps, so long inputs go in pieces. */
const PIECE_BYTES = 64 * 1024;

/** The prebuilt native addon; `undefined` on platforms that it has no build for. */
export function nativeDigest(): Digest | undefined {
  try {
    // A static import would make a missing addon fatal.
    const addon = createRequire(import.meta.url)('@napi-rs/blake-hash') as typeof NativeAddon;
    // As text, because a digest in a Buffer is memory from outside V8, with a handle and a finaliser: three times the
    // cost of making the text and reading it.
    return (data, into, at) => {
      into.write(addon.blake3UrlSafeBase64(data), at, HASH_BYTES, 'base64url');
    };
  } catch {
    return undefined;
  }
}

/**
 * The WASM build. The package's default entry wants a native addon that is compiled at install; this entry, named for
 * browsers, is WASM only and reads its file in Node too.
 */
export async function wasmDigest(): Promise<Digest> {
  const blake3 = await import('blake3/browser.mjs');
  await blake3.load();
  return (data, into, at) => {
    if (data.length <= PIECE_BYTES) {
      into.set(blake3.hash(data), at);
      return;
    }
    const hash = blake3.createHash();
    for (let from = 0; from < data.length; from += PIECE_BYTES) {
      hash.update(data.subarray(from, from + PIECE_BYTES));
    }
    into.set(hash.digest(), at);
    hash.dispose();
  };
}
