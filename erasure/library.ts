import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The WASM exports of @subspace/reed-solomon-erasure.wasm; addresses and counts of bytes. Results other than 0 are refusals. */
interface LibraryExports {
  readonly memory: WebAssembly.Memory;
  readonly __wbindgen_malloc: (bytes: number) => number;
  readonly __wbindgen_free: (address: number, bytes: number) => void;
  readonly encode: (stripe: number, bytes: number, data: number, parity: number) => number;
  readonly reconstruct: (
    stripe: number,
    bytes: number,
    data: number,
    parity: number,
    flags: number,
    flagCount: number,
  ) => number;
}

/** The library leaks up to 30 KB a call (darrenldl/reed-solomon-erasure#74); an instance this large is replaced. */
export const LIBRARY_MEMORY_MAX_BYTES = 64 * 1024 * 1024;

/**
 * The WASM of @subspace/reed-solomon-erasure.wasm without its JavaScript: that frees the flags of `reconstruct` a
 * second time after the callee did, which corrupts the heap for the next call.
 */
export class Library {
  #module: object | undefined;
  #exports: LibraryExports | undefined;

  /** Bytes that the library holds between calls; bounded, whatever was coded. */
  get memoryBytes(): number {
    return this.#exports?.memory.buffer.byteLength ?? 0;
  }

  /**
   * Codes the stripe of k+m cells that `fill` writes, and reads the result before its memory is freed.
   * @param present which shards `fill` writes; the rest of the stripe is rebuilt
   */
  code(
    data: number,
    present: readonly boolean[],
    cell: number,
    fill: (stripe: Uint8Array) => void,
    read: (stripe: Uint8Array) => void,
  ): void {
    const library = this.#instance();
    const parity = present.length - data;
    const bytes = present.length * cell;
    const stripe = library.__wbindgen_malloc(bytes);
    fill(new Uint8Array(library.memory.buffer, stripe, bytes));
    if (present.slice(0, data).includes(false)) {
      const flags = library.__wbindgen_malloc(present.length);
      new Uint8Array(library.memory.buffer).set(present.map(Number), flags);
      check(library.reconstruct(stripe, bytes, data, parity, flags, present.length));
    }
    // `reconstruct` rebuilds data only; parity follows from it.
    if (present.slice(data).includes(false)) check(library.encode(stripe, bytes, data, parity));
    read(new Uint8Array(library.memory.buffer, stripe, bytes));
    library.__wbindgen_free(stripe, bytes);
    if (library.memory.buffer.byteLength <= LIBRARY_MEMORY_MAX_BYTES) this.#exports = library;
  }

  /** Taken out for the call: one that traps on the way is not used again. */
  #instance(): LibraryExports {
    this.#module ??= new WebAssembly.Module(libraryCode());
    const exports = this.#exports ?? (new WebAssembly.Instance(this.#module).exports as LibraryExports);
    this.#exports = undefined;
    return exports;
  }
}

/** Arguments were checked before, so a refusal is a bug of ours. */
function check(result: number): void {
  if (result !== 0) throw new Error(`reed-solomon-erasure returned ${result}`);
}

function libraryCode(): Uint8Array<ArrayBuffer> {
  const { resolve } = createRequire(import.meta.url);
  return readFileSync(resolve('@subspace/reed-solomon-erasure.wasm/dist/reed_solomon_erasure_bg.wasm'));
}
