import { createRequire } from 'node:module';
import type * as NativeAddon from '@napi-rs/blake-hash';

/** BLAKE3-256 of some bytes: 32 bytes. */
export type Digest = (data: Uint8Array) => Uint8Array;

/** One call of the WASM build copies its whole input into memory that it then keeps, so long inputs go in pieces. */
const PIECE_BYTES = 64 * 1024;

/** The prebuilt native addon; `undefined` on platforms that it has no build for. */
export function nativeDigest(): Digest | undefined {
  try {
    // A static import would make a missing addon fatal.
    const addon = createRequire(import.meta.url)('@napi-rs/blake-hash') as typeof NativeAddon;
    return addon.blake3;
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
  return (data) => {
    if (data.length <= PIECE_BYTES) return blake3.hash(data);
    const hash = blake3.createHash();
    for (let at = 0; at < data.length; at += PIECE_BYTES) hash.update(data.subarray(at, at + PIECE_BYTES));
    const digest = hash.digest();
    hash.dispose();
    return digest;
  };
}
