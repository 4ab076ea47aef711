import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import library from '@subspace/reed-solomon-erasure.wasm';
import type { ErasureCodec, Profile } from '#erasure';

/** Deterministic bytes that look random (xorshift32). */
export function bytesFrom(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed ^ 0x9e3779b9) | 1;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}

/** All k+m shards of one stripe. */
export function shardsOf(codec: ErasureCodec, data: Uint8Array, cell: number): Uint8Array[] {
  const stripe = Buffer.concat([data, codec.encode(data, cell)]);
  const { data: k, parity } = codec.profile;
  return Array.from({ length: k + parity }, (_, index) =>
    Uint8Array.from(stripe.subarray(index * cell, (index + 1) * cell)),
  );
}

const wasm = '@subspace/reed-solomon-erasure.wasm/dist/reed_solomon_erasure_bg.wasm';
const reference = library.ReedSolomonErasure.fromBytes(
  readFileSync(createRequire(import.meta.url).resolve(wasm)),
);

/** Parity by a bare call of the published library, through no code of ours. */
export function libraryParity({ data: k, parity }: Profile, data: Uint8Array, cell: number): Uint8Array {
  const stripe = new Uint8Array(cell * (k + parity));
  stripe.set(data);
  if (reference.encode(stripe, k, parity) !== 0) throw new Error('the library refused the stripe');
  return stripe.subarray(data.length);
}
