/**
 * Memory that begins on a page's boundary, which direct writes to a disk ask for. JavaScript cannot choose or see where a buffer lies;
 * a WebAssembly memory always begins on a page.
 */

/** What file systems and disks ask of the memory, the place in the file and the length of a direct write, or less. */
export const ALIGNMENT = 4096;
const WASM_PAGE_BYTES = 64 * 1024;

const aligned = new WeakSet<ArrayBufferLike>();

/** Zeros, `size` of them. The system may give no more of it than it needs; then the memory is an ordinary one. */
export function alignedMemory(size: number): Uint8Array {
  const pages = Math.ceil(size / WASM_PAGE_BYTES);
  try {
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    aligned.add(buffer);
    return new Uint8Array(buffer, 0, size);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return Buffer.allocUnsafeSlow(size);
  }
}

/** Known to begin where a direct write may. */
export function isAligned(bytes: Uint8Array): boolean {
  return bytes.byteOffset % ALIGNMENT === 0 && aligned.has(bytes.buffer);
}
