import { digestKernel } from './kernel.ts';
import type { DigestKernel } from './kernel.ts';
import { CRC_INPUT_AT, CRC_INPUT_BYTES, CRC_SLICES, CRC_TABLES_AT } from './layout.ts';

/** x⁶⁴ + … of CRC-64/NVME with its bits reversed (NVM Command Set Specification 1.0d, 5.2.1.3.4). */
const POLYNOMIAL = 0x9a6c9329ac4bc9b5n;

/** The CRC's register after more bytes; initial and final XOR are the caller's. */
export type Crc64Step = (register: bigint, bytes: Uint8Array) => bigint;

let shared: Crc64Step | undefined;

/** CRC-64/NVME on the process's kernel; `undefined` where the runtime has no WASM SIMD. */
export function crc64NvmeStep(): Crc64Step | undefined {
  const kernel = digestKernel();
  if (kernel) shared ??= stepOn(kernel);
  return shared;
}

function stepOn(kernel: DigestKernel): Crc64Step {
  fillTables(kernel);
  return (register, bytes) => {
    let crc = register;
    for (let from = 0; from < bytes.length; from += CRC_INPUT_BYTES) {
      const piece =
        from === 0 && bytes.length <= CRC_INPUT_BYTES ? bytes : bytes.subarray(from, from + CRC_INPUT_BYTES);
      kernel.memory.set(piece, CRC_INPUT_AT);
      crc = kernel.crc64(crc, CRC_INPUT_AT, piece.length);
    }
    return BigInt.asUintN(64, crc);
  };
}

/** Entry (slice, byte): the byte's remainder after as many more zero bytes as the slice's number. */
function fillTables({ view }: DigestKernel): void {
  const at = (slice: number, byte: number): number => CRC_TABLES_AT + slice * 2048 + byte * 8;
  for (let byte = 0; byte < 256; byte++) {
    let entry = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) entry = entry & 1n ? (entry >> 1n) ^ POLYNOMIAL : entry >> 1n;
    view.setBigUint64(at(0, byte), entry, true);
  }
  for (let slice = 1; slice < CRC_SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = view.getBigUint64(at(slice - 1, byte), true);
      const zero = view.getBigUint64(at(0, Number(before & 255n)), true);
      view.setBigUint64(at(slice, byte), (before >> 8n) ^ zero, true);
    }
  }
}
