import { Library } from './library.ts';
import { checkProfile, parityMemory, planReconstruction } from './stripe.ts';
import type { ErasureCodec, Profile } from './types.ts';

const library = new Library();

/**
 * ErasureCodec on the published build of reed-solomon-erasure: the reference for the kernel's bytes, and the codec of
 * runtimes without WASM SIMD.
 */
class LibraryCodec implements ErasureCodec {
  readonly profile: Profile;

  constructor(profile: Profile) {
    this.profile = checkProfile(profile);
  }

  encode(data: Uint8Array, cell: number, into?: Uint8Array): Uint8Array {
    const { data: k, parity: m } = this.profile;
    const parity = parityMemory(this.profile, data, cell, into);
    const present = Array.from({ length: k + m }, (_, index) => index < k);
    const fill = (stripe: Uint8Array) => stripe.set(data);
    // The library refuses empty shards.
    if (cell > 0) library.code(k, present, cell, fill, (stripe) => parity.set(stripe.subarray(data.length)));
    return parity;
  }

  reconstruct(
    shards: readonly (Uint8Array | undefined)[],
    wanted: readonly number[],
    into?: readonly Uint8Array[],
  ): Uint8Array[] {
    const { missing, rebuilt, bytes } = planReconstruction(this.profile, shards, wanted, into);
    const present = shards.map((shard) => shard !== undefined);
    const fill = (stripe: Uint8Array) =>
      shards.forEach((shard, index) => shard && stripe.set(shard, index * bytes));
    const read = (stripe: Uint8Array) =>
      missing.forEach((index, at) => rebuilt[at]!.set(stripe.subarray(index * bytes, (index + 1) * bytes)));
    if (missing.length > 0 && bytes > 0) library.code(this.profile.data, present, bytes, fill, read);
    return wanted.map((index) => shards[index] ?? rebuilt[missing.indexOf(index)]!);
  }
}

/** A codec on the library @subspace/reed-solomon-erasure.wasm; runs everywhere. */
export function createLibraryCodec(profile: Profile): ErasureCodec {
  return new LibraryCodec(profile);
}
