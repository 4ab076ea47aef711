/** The erasure room's only door. */
export * from './types.ts';
export * from './profile.ts';
export { createCodec, createKernelCodec } from './codec.ts';
export { createLibraryCodec } from './library-codec.ts';
export { createHasher, createNativeHasher, createWasmHasher } from './hash.ts';
export { createProver, type Prover } from './prover.ts';
export { startMd5, type Md5 } from './digests/md5-pool.ts';
export { crc64NvmeStep, type Crc64Step } from './digests/crc64.ts';
