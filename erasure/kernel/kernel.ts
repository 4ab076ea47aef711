import { multiply } from '../field.ts';
import type { Matrix } from '../matrix.ts';
import { RELAXED_KERNEL, STRICT_KERNEL } from './kernel-wasm.ts';
import { BLOCK_BYTES, INPUT_AT, OUTPUT_AT, STRIDE_BYTES, TABLE_BYTES, TABLES_AT } from './layout.ts';

/** A matrix in the form that the kernel reads; see assembly/index.ts. */
export interface KernelMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly tables: Uint8Array;
}

interface KernelExports {
  readonly memory: WebAssembly.Memory;
  readonly multiply: (
    rows: number,
    columns: number,
    tables: number,
    input: number,
    output: number,
    stride: number,
    bytes: number,
  ) => void;
}

/** The kernel takes rows in groups of at most this many, and bytes in steps of STEP_BYTES. */
const GROUP_ROWS = 4;
const STEP_BYTES = 32;

/** The tables of all 256 coefficients. */
const coefficientTables = new Uint8Array(256 * TABLE_BYTES);
for (let coefficient = 0; coefficient < 256; coefficient++) {
  for (let nibble = 0; nibble < 16; nibble++) {
    coefficientTables[coefficient * TABLE_BYTES + nibble] = multiply(coefficient, nibble);
    coefficientTables[coefficient * TABLE_BYTES + 16 + nibble] = multiply(coefficient, nibble << 4);
  }
}

/** @param matrix at most PARITY_SHARDS_MAX rows of at most DATA_SHARDS_MAX columns */
export function kernelMatrix(matrix: Matrix): KernelMatrix {
  const columns = matrix[0]?.length ?? 0;
  const tables = new Uint8Array(matrix.length * columns * TABLE_BYTES);
  let at = 0;
  for (let first = 0; first < matrix.length; first += GROUP_ROWS) {
    const group = matrix.slice(first, first + GROUP_ROWS);
    for (let column = 0; column < columns; column++) {
      for (const row of group) {
        const from = row[column]! * TABLE_BYTES;
        tables.set(coefficientTables.subarray(from, from + TABLE_BYTES), at);
        at += TABLE_BYTES;
      }
    }
  }
  return { rows: matrix.length, columns, tables };
}

/** One instance of the WASM kernel. Its memory holds one block of each slice and never grows. */
export class Kernel {
  readonly #exports: KernelExports;
  readonly #memory: Uint8Array;
  #loaded: KernelMatrix | undefined;

  constructor(code: Uint8Array<ArrayBuffer>) {
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as KernelExports;
    this.#memory = new Uint8Array(this.#exports.memory.buffer);
  }

  /**
   * outputs = matrix × inputs, byte by byte, over `bytes` bytes of each slice.
   * @param inputs as many as the matrix has columns; @param outputs as many as it has rows
   */
  multiply(
    matrix: KernelMatrix,
    inputs: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
    bytes: number,
  ): void {
    this.#load(matrix);
    for (let from = 0; from < bytes; from += BLOCK_BYTES) {
      this.#multiplyBlock(matrix, inputs, outputs, from, Math.min(BLOCK_BYTES, bytes - from));
    }
  }

  #load(matrix: KernelMatrix): void {
    if (this.#loaded === matrix) return;
    this.#memory.set(matrix.tables, TABLES_AT);
    this.#loaded = matrix;
  }

  #multiplyBlock(
    matrix: KernelMatrix,
    inputs: readonly Uint8Array[],
    outputs: readonly Uint8Array[],
    from: number,
    bytes: number,
  ): void {
    const memory = this.#memory;
    for (let column = 0, at = INPUT_AT; column < matrix.columns; column++, at += STRIDE_BYTES) {
      const input = inputs[column]!;
      memory.set(input.length === bytes ? input : input.subarray(from, from + bytes), at);
    }
    // The end of the last step is what an earlier call left there: bytes do not mix, and it is not copied out.
    const steps = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
    const { rows, columns } = matrix;
    this.#exports.multiply(rows, columns, TABLES_AT, INPUT_AT, OUTPUT_AT, STRIDE_BYTES, steps);
    for (let row = 0, at = OUTPUT_AT; row < rows; row++, at += STRIDE_BYTES) {
      outputs[row]!.set(memory.subarray(at, at + bytes), from);
    }
  }
}

let shared: Kernel | undefined;
let tried = false;

/** The process's kernel, relaxed SIMD where the runtime has it; `undefined` where it has no SIMD at all. */
export function sharedKernel(): Kernel | undefined {
  if (!tried) {
    tried = true;
    const code = [RELAXED_KERNEL, STRICT_KERNEL]
      .map(decodeKernel)
      .find((bytes) => WebAssembly.validate(bytes));
    if (code) shared = new Kernel(code);
  }
  return shared;
}

/** @param base64 one of the constants of kernel-wasm.ts */
export function decodeKernel(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(base64, 'base64'));
}
