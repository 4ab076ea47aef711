import type { NodeMemory } from '../nodes.ts';
import { decodeKernel } from './kernel.ts';
import { TREE_KERNEL } from './tree-wasm.ts';

interface TreeExports {
  readonly memory: WebAssembly.Memory;
  readonly raise: (input: number, nodes: number, output: number) => void;
  readonly hashBlock: (message: number, length: number, output: number) => void;
}

/** The compiler puts its own few constants below, from 1024 on. */
const NODES_AT = 2048;
/** How far beyond its input the kernel may read. */
const MARGIN_BYTES = 256;
const PAGE_BYTES = 65_536;

/** Inner nodes on the WASM SIMD kernel, four at a time. */
export class TreeKernel implements NodeMemory {
  readonly #exports: TreeExports;
  #memory: Buffer;

  constructor(code: Uint8Array<ArrayBuffer>) {
    this.#exports = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as TreeExports;
    this.#memory = this.#view();
  }

  room(bytes: number): Buffer {
    const missing = bytes + MARGIN_BYTES - this.#memory.length;
    if (missing > 0) {
      this.#exports.memory.grow(Math.ceil(missing / PAGE_BYTES));
      this.#memory = this.#view();
    }
    return this.#memory;
  }

  raise(from: number, count: number, to: number): void {
    this.#exports.raise(NODES_AT + from, count, NODES_AT + to);
  }

  hashBlock(from: number, length: number, to: number): void {
    this.#exports.hashBlock(NODES_AT + from, length, NODES_AT + to);
  }

  #view(): Buffer {
    return Buffer.from(this.#exports.memory.buffer, NODES_AT);
  }
}

let shared: TreeKernel | undefined;

/** The process's kernel; `undefined` where the runtime has no WASM SIMD. */
export function sharedTreeKernel(): TreeKernel | undefined {
  if (!shared) {
    const code = decodeKernel(TREE_KERNEL);
    if (WebAssembly.validate(code)) shared = new TreeKernel(code);
  }
  return shared;
}
