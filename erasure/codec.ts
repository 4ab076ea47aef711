import { kernelMatrix, sharedKernel, type Kernel, type KernelMatrix } from './kernel/kernel.ts';
import { createLibraryCodec } from './library-codec.ts';
import { codingMatrix, decodingRows, type Matrix } from './matrix.ts';
import { formatProfile } from './profile.ts';
import { checkProfile, parityMemory, planReconstruction } from './stripe.ts';
import type { ErasureCodec, Profile } from './types.ts';

/** Erasure patterns whose decoding matrices a codec keeps; one takes at most 6.4 KB. */
const PATTERNS_MAX = 256;

/** ErasureCodec on the SIMD kernel. */
class KernelCodec implements ErasureCodec {
  readonly profile: Profile;
  readonly #kernel: Kernel;
  readonly #coding: Matrix;
  readonly #encoding: KernelMatrix;
  /** By sources and missing shards; in order of use, the oldest first. */
  readonly #decoding = new Map<string, KernelMatrix>();

  constructor(profile: Profile, kernel: Kernel) {
    this.profile = checkProfile(profile);
    this.#kernel = kernel;
    this.#coding = codingMatrix(profile);
    this.#encoding = kernelMatrix(this.#coding.slice(profile.data));
  }

  encode(data: Uint8Array, cell: number, into?: Uint8Array): Uint8Array {
    const parity = parityMemory(this.profile, data, cell, into);
    const inputs = cells(data, cell, this.profile.data);
    this.#kernel.multiply(this.#encoding, inputs, cells(parity, cell, this.profile.parity), cell);
    return parity;
  }

  reconstruct(
    shards: readonly (Uint8Array | undefined)[],
    wanted: readonly number[],
    into?: readonly Uint8Array[],
  ): Uint8Array[] {
    const { sources, missing, rebuilt, bytes } = planReconstruction(this.profile, shards, wanted, into);
    if (missing.length > 0) {
      const inputs = sources.map((index) => shards[index]!);
      this.#kernel.multiply(this.#decodingMatrix(sources, missing), inputs, rebuilt, bytes);
    }
    return wanted.map((index) => shards[index] ?? rebuilt[missing.indexOf(index)]!);
  }

  #decodingMatrix(sources: readonly number[], missing: readonly number[]): KernelMatrix {
    const key = `${sources.join()}>${missing.join()}`;
    const matrix = this.#decoding.get(key) ?? kernelMatrix(decodingRows(this.#coding, sources, missing));
    this.#decoding.delete(key);
    this.#decoding.set(key, matrix);
    if (this.#decoding.size > PATTERNS_MAX) this.#decoding.delete(this.#decoding.keys().next().value!);
    return matrix;
  }
}

function cells(bytes: Uint8Array, cell: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * cell, (index + 1) * cell));
}

/** A codec on the SIMD kernel. `undefined` where the runtime has no WASM SIMD. */
export function createKernelCodec(
  profile: Profile,
  kernel: Kernel | undefined = sharedKernel(),
): ErasureCodec | undefined {
  return kernel && new KernelCodec(profile, kernel);
}

const codecs = new Map<string, ErasureCodec>();

/** The process's codec of a profile: on the SIMD kernel, or on the library where the runtime has no WASM SIMD. */
export function createCodec(profile: Profile): ErasureCodec {
  const key = formatProfile(profile);
  let codec = codecs.get(key);
  if (!codec) {
    codec = createKernelCodec(profile) ?? createLibraryCodec(profile);
    codecs.set(key, codec);
  }
  return codec;
}
