import { alignedMemory } from '../alignedMemory.ts';

/** Memory that is kept for the next stripes rather than given back to the system; more is let go. */
const POOL_BYTES_MAX = 40 * 2 ** 20;

/** A buffer that smaller stripes share. */
interface Slab {
  readonly bytes: Uint8Array;
  readonly pieces: readonly Uint8Array[];
  unused: number;
  /** Its pieces are not kept any more. */
  isLetGo: boolean;
}

/**
 * Stripe buffers in use over and over: fresh memory costs about as much as coding it, and what is let go is only gone once the collector has noticed.
 * Where smaller stripes are wanted than lie here, they share a larger one's buffer, until none of them is in use.
 */
export class StripePool {
  readonly #free = new Map<number, Set<Uint8Array>>();
  readonly #slabs = new WeakMap<Uint8Array, Slab>();
  #bytes = 0;

  /** Memory with whatever is in it. */
  take(size: number): Uint8Array {
    return this.#taken(size) ?? this.#split(size) ?? alignedMemory(size);
  }

  give(bytes: Uint8Array): void {
    const slab = this.#slabs.get(bytes);
    if (slab?.isLetGo) return;
    if (this.#bytes + bytes.length > POOL_BYTES_MAX) {
      // One piece kept is a whole buffer kept, and the piece that it lacks may never come back.
      if (slab) this.#letGo(slab);
      return;
    }
    this.#keep(bytes);
    if (!slab) return;
    slab.unused++;
    if (slab.unused < slab.pieces.length) return;
    this.#letGo(slab);
    this.give(slab.bytes);
  }

  #letGo(slab: Slab): void {
    slab.isLetGo = true;
    for (const piece of slab.pieces) this.#drop(piece);
  }

  #taken(size: number): Uint8Array | undefined {
    const [bytes] = this.#free.get(size) ?? [];
    if (!bytes) return undefined;
    this.#drop(bytes);
    const slab = this.#slabs.get(bytes);
    if (slab) slab.unused--;
    return bytes;
  }

  #split(size: number): Uint8Array | undefined {
    for (const [whole, free] of this.#free) {
      const count = Math.floor(whole / size);
      const [bytes] = free;
      if (count < 2 || !bytes || this.#slabs.has(bytes)) continue;
      this.#drop(bytes);
      const pieces = Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      const slab = { bytes, pieces, unused: count, isLetGo: false };
      for (const piece of pieces) {
        this.#slabs.set(piece, slab);
        this.#keep(piece);
      }
      return this.#taken(size);
    }
    return undefined;
  }

  #keep(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    const free = this.#free.get(bytes.length);
    if (free) free.add(bytes);
    else this.#free.set(bytes.length, new Set([bytes]));
  }

  #drop(bytes: Uint8Array): void {
    if (this.#free.get(bytes.length)?.delete(bytes)) this.#bytes -= bytes.length;
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
