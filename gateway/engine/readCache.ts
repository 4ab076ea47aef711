/**
 * Ciphertext of small bodies that were read lately. It was verified against its shards' roots when it came, and is decrypted, which verifies it again,
 * for every reader. Chunks never change, so nothing here can be out of date.
 */
import type { Extent } from './model.ts';

/** Longer extents cost their providers' time little compared with their bytes. */
const EXTENT_BYTES_MAX = 64 * 1024;
/** Bytes of an entry besides its own: key, buffer and map. */
const ENTRY_BYTES = 300;

export class ReadCache {
  readonly #bytesMax: number;
  /** In order of use, the latest last. */
  readonly #entries = new Map<string, Uint8Array>();
  #bytes = 0;

  /** @param bytesMax 0: keeps nothing */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether an extent may be kept. */
  takes({ length }: Extent): boolean {
    return length <= EXTENT_BYTES_MAX && length + ENTRY_BYTES <= this.#bytesMax;
  }

  /** Must not be changed. */
  get(extent: Extent): Uint8Array | undefined {
    const key = keyOf(extent);
    const bytes = this.#entries.get(key);
    if (!bytes) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, bytes);
    return bytes;
  }

  /** @param bytes the extent's; must not be changed any more */
  put(extent: Extent, bytes: Uint8Array): void {
    const key = keyOf(extent);
    if (this.#entries.has(key)) return;
    this.#entries.set(key, bytes);
    this.#bytes += bytes.length + ENTRY_BYTES;
    for (const [oldest, { length }] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#entries.delete(oldest);
      this.#bytes -= length + ENTRY_BYTES;
    }
  }
}

const keyOf = ({ chunk, offset, length }: Extent): string => `${chunk}/${offset}/${length}`;
