import { digestKernel } from './kernel.ts';
import type { DigestKernel } from './kernel.ts';
import { LANE_BYTES, LANES_AT, slotAt, slotBytes, SLOTS, SPARE_STATE_AT } from './layout.ts';

const BLOCK_BYTES = 64;
/** Lanes of the widest kernel. */
const LANES = 8;
/** From so many messages on the widest kernel is the fastest, though some of its lanes are idle (bench:digests). */
const WIDE_MIN = 6;
/** A call handles at least so many bytes per lane where all have them: calls cost, too. */
const RUN_BYTES_MIN = 16 * 1024;
/** A message less behind than this does not join: the others' runs would become short. */
const JOIN_BYTES_MIN = 4096;
/** RFC 1321, 3.3. */
const INITIAL_STATE = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476] as const;

/** MD5 of one message among others. */
export interface Md5 {
  /** Copies the bytes: they may be used anew at once. */
  update(bytes: Uint8Array): void;
  /** Once, after the last update. 16 bytes. */
  digest(): Buffer;
  /** Gives up a message that was not finished; nothing afterwards. */
  release(): void;
}

/** An MD5 one message at a time, such as node:crypto's. */
export type LoneMd5 = Pick<Md5, 'digest'> & { update(bytes: Uint8Array): unknown };

/**
 * MD5 of messages that arrive at the same time, hashed side by side. Each may be behind by what its slot holds; whoever needs room, or
 * its digest, takes those along that are behind most. A message that was the only one until its slot was full goes on alone: for
 * one, there is something faster.
 */
export class Md5Pool {
  readonly #kernel: DigestKernel;
  readonly #free = Array.from({ length: SLOTS }, (_, index) => SLOTS - 1 - index);
  readonly #under: Slot[] = [];
  #lone = 0;

  constructor(kernel: DigestKernel) {
    this.#kernel = kernel;
  }

  /** @param createLone for a message that goes on alone @returns `undefined` when all slots are taken */
  start(createLone: () => LoneMd5): Md5 | undefined {
    // The lowest first, so that a quiet process touches little memory.
    const index = this.#free.pop();
    if (index === undefined) return undefined;
    const slot = new Slot(this.#kernel, index);
    this.#under.push(slot);
    let lone: LoneMd5 | undefined;
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      if (lone) this.#lone--;
      else this.#leave(slot);
    };
    const assertUnder = (): void => {
      // Another message may have the slot by now.
      if (ended) throw new Error('this MD5 has ended');
    };
    return {
      update: (bytes) => {
        assertUnder();
        if (!lone && this.#isAlone() && slot.overflows(bytes.length)) {
          lone = createLone();
          lone.update(slot.bytes());
          this.#lone++;
          this.#leave(slot);
        }
        if (lone) lone.update(bytes);
        else this.#update(slot, bytes);
      },
      digest: () => {
        assertUnder();
        const digest = lone?.digest() ?? this.#finish(slot);
        end();
        return digest;
      },
      release: end,
    };
  }

  #isAlone(): boolean {
    return this.#under.length + this.#lone === 1;
  }

  #update(slot: Slot, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      if (slot.held === slot.size) this.#run(slot, bytes.length - from);
      from += slot.take(bytes, from);
    }
  }

  #finish(slot: Slot): Buffer {
    this.#update(slot, slot.pad());
    while (slot.held > 0) this.#run(slot, slot.held);
    return slot.state();
  }

  /** Hashes some of what the slot holds, `wanted` bytes at most unless that were little; it holds a block or more. */
  #run(slot: Slot, wanted: number): void {
    const lanes = this.#companions(slot);
    let count = lanes.length;
    if (count > 3 && count < WIDE_MIN) count = 3;
    let blocks = Math.max(wanted, RUN_BYTES_MIN) / BLOCK_BYTES;
    for (let lane = 0; lane < count; lane++) blocks = Math.min(blocks, lanes[lane]!.blocks);
    blocks = Math.max(1, Math.floor(blocks));
    this.#seat(lanes, count);
    if (count <= 2) this.#kernel.two(blocks);
    else if (count === 3) this.#kernel.three(blocks);
    else this.#kernel.eight(blocks);
    for (let lane = 0; lane < count; lane++) lanes[lane]!.drop(blocks);
  }

  /** The slot, then those that can go along, most behind first; LANES at most. */
  #companions(slot: Slot): Slot[] {
    const others = this.#under.filter(
      (other) => other !== slot && other.blocks * BLOCK_BYTES >= JOIN_BYTES_MIN,
    );
    others.sort((a, b) => b.blocks - a.blocks);
    others.length = Math.min(others.length, LANES - 1);
    return [slot, ...others];
  }

  #seat(slots: readonly Slot[], count: number): void {
    const { view } = this.#kernel;
    for (let lane = 0; lane < LANES; lane++) {
      const at = LANES_AT + lane * LANE_BYTES;
      view.setUint32(at, lane < count ? slots[lane]!.stateAt : SPARE_STATE_AT, true);
      view.setUint32(at + 4, slots[lane < count ? lane : 0]!.next, true);
    }
  }

  #leave(slot: Slot): void {
    this.#under.splice(this.#under.indexOf(slot), 1);
    this.#free.push(slot.index);
  }
}

let shared: Md5Pool | undefined;

/** MD5 in the process's pool; `undefined` where the runtime has no WASM SIMD, or too many messages are under way already. */
export function startMd5(createLone: () => LoneMd5): Md5 | undefined {
  const kernel = digestKernel();
  if (kernel) shared ??= new Md5Pool(kernel);
  return shared?.start(createLone);
}

/** A ring of one message's bytes that are still to be hashed. */
class Slot {
  readonly index: number;
  /** Bytes it has room for. */
  readonly size: number;
  readonly stateAt: number;
  readonly #kernel: DigestKernel;
  readonly #at: number;
  #from = 0;
  /** Bytes taken so far. */
  #length = 0;
  held = 0;

  constructor(kernel: DigestKernel, index: number) {
    this.index = index;
    this.#kernel = kernel;
    this.size = slotBytes(index);
    this.#at = slotAt(index);
    this.stateAt = this.#at + this.size;
    for (const [word, value] of INITIAL_STATE.entries()) {
      kernel.view.setUint32(this.stateAt + word * 4, value, true);
    }
  }

  /** Whole blocks that lie in one run. */
  get blocks(): number {
    return Math.floor(Math.min(this.held, this.size - this.#from) / BLOCK_BYTES);
  }

  /** Address of the next block. */
  get next(): number {
    return this.#at + this.#from;
  }

  /** Is nothing hashed yet, and no room for so many bytes more? */
  overflows(bytes: number): boolean {
    return this.held === this.#length && this.held + bytes > this.size;
  }

  /** All it holds of a message of which nothing is hashed yet. */
  bytes(): Uint8Array {
    return this.#kernel.memory.subarray(this.#at, this.#at + this.held);
  }

  /** @returns how many of the bytes from `from` on it had room for, in one run */
  take(bytes: Uint8Array, from: number): number {
    const to = (this.#from + this.held) % this.size;
    const room = Math.min(this.size - this.held, this.size - to);
    const taken = Math.min(room, bytes.length - from);
    const piece = taken === bytes.length ? bytes : bytes.subarray(from, from + taken);
    this.#kernel.memory.set(piece, this.#at + to);
    this.held += taken;
    this.#length += taken;
    return taken;
  }

  drop(blocks: number): void {
    const bytes = blocks * BLOCK_BYTES;
    this.#from = (this.#from + bytes) % this.size;
    this.held -= bytes;
  }

  /** What RFC 1321 puts after the message: a one bit, zeros, and the message's bits as a little-endian u64. */
  pad(): Uint8Array {
    const padding = Buffer.alloc(BLOCK_BYTES - ((this.#length + 8) % BLOCK_BYTES) + 8);
    padding[0] = 0x80;
    padding.writeBigUInt64LE(BigInt(this.#length) * 8n, padding.length - 8);
    return padding;
  }

  state(): Buffer {
    return Buffer.from(this.#kernel.memory.subarray(this.stateAt, this.stateAt + 16));
  }
}
