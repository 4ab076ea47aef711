import { alignedMemory } from '../alignedMemory.ts';

/** Memory that is kept for the next stripes rather than given back to the system; more is let go. */
const POOL_BYTES_MAX = 24 * 2 ** 20;

/** Stripe buffers in use over and over: fresh memory costs about as much as coding it. */
export class StripePool {
  readonly #free = new Map<number, Uint8Array[]>();
  #bytes = 0;

  /** Memory with whatever is in it. */
  take(size: number): Uint8Array {
    const bytes = this.#free.get(size)?.pop();
    if (!bytes) return alignedMemory(size);
    this.#bytes -= size;
    return bytes;
  }

  give(bytes: Uint8Array): void {
    if (this.#bytes + bytes.length > POOL_BYTES_MAX) return;
    this.#bytes += bytes.length;
    const free = this.#free.get(bytes.length);
    if (free) free.push(bytes);
    else this.#free.set(bytes.length, [bytes]);
  }
}

/** A cell on its way to a provider, held by one user to begin with. */
export interface Cell {
  readonly bytes: Uint8Array;
  /** One more will use it. */
  retain(): void;
  /** Called when one has done with it. Not called by those that were broken off: then its memory is not used again. */
  release(): void;
}

/** The cells of a coded stripe, which share one buffer. @param onUnused called when no one uses any of them */
export function sharedCells(cells: readonly Uint8Array[], onUnused: () => void): Cell[] {
  let users = cells.length;
  const retain = (): void => {
    users++;
  };
  const release = (): void => {
    users--;
    if (users === 0) onUnused();
  };
  return cells.map((bytes) => ({ bytes, retain, release }));
}
