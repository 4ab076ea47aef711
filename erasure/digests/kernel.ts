import { DIGEST_KERNEL } from './digests-wasm.ts';

/** The kernel's exports; see source.ts. */
export interface DigestKernel {
  readonly memory: Uint8Array;
  /** Little-endian, whatever the machine's order: addresses, states and tables. */
  readonly view: DataView;
  /** MD5 of `blocks` blocks of 64 bytes of each of the first two, three, eight lanes. */
  readonly two: (blocks: number) => void;
  readonly three: (blocks: number) => void;
  readonly eight: (blocks: number) => void;
  /** The CRC's register, bit-reversed and without initial or final XOR, after more bytes. */
  readonly crc64: (crc: bigint, from: number, bytes: number) => bigint;
}

let shared: DigestKernel | undefined;
let tried = false;

/** The process's kernel; `undefined` where the runtime has no WASM SIMD. */
export function digestKernel(): DigestKernel | undefined {
  if (!tried) {
    tried = true;
    const code = decodeDigestKernel();
    if (WebAssembly.validate(code)) shared = load(code);
  }
  return shared;
}

export function decodeDigestKernel(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(DIGEST_KERNEL, 'base64'));
}

function load(code: Uint8Array<ArrayBuffer>): DigestKernel {
  const { memory, ...functions } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports as Pick<
    DigestKernel,
    'two' | 'three' | 'eight' | 'crc64'
  > & { memory: WebAssembly.Memory };
  return { ...functions, memory: new Uint8Array(memory.buffer), view: new DataView(memory.buffer) };
}
