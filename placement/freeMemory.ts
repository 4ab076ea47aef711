/** Smaller memory is left to the garbage collector: it may be part of Node's pool, whose users take less than this. */
const FREED_BYTES_MIN = 4096;

/**
 * Gives memory back at once, where these bytes are all of their buffer; they are empty afterwards. The collector sees only the small object in front of
 * a buffer: at some hundred MB a second it would mark the whole heap many times a second to find those that have died.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (bytes.byteLength < FREED_BYTES_MIN || bytes.byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
