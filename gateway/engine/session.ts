/**
 * The intents of this process. Before a chunk id is used, a durable reservation covers it; so whatever a crash leaves at providers
 * without a chunk record is found by the reservations of dead sessions. Ids are reserved in ranges, ahead of need.
 */
import type { ChunkId } from '#placement';
import type { Check, KeyValueStore } from '../metadata/types.ts';
import { reservationCodec } from './codecs.ts';
import { newShortId } from './context.ts';
import { reservationKey, sessionKey } from './keys.ts';
import type { Hex } from './model.ts';
import { EngineError } from './types.ts';

/** Value of a session's life record. Reclaim deletes it first, so that no late commit of a dead session applies. */
const ALIVE = Buffer.of(1);

interface Range {
  /** The session is known in the partition. */
  isEntered: boolean;
  next: number;
  to: number;
  /** Counters whose chunk is neither recorded nor certainly gone. */
  readonly unsettled: Set<number>;
  extending: Promise<void> | undefined;
}

/** 4 hex digits of partition, 16 of session, 12 of counter. */
export const chunkIdOf = (partition: number, session: Hex, counter: number): ChunkId =>
  partition.toString(16).padStart(4, '0') + session + counter.toString(16).padStart(12, '0');

export const partitionOfId = (id: ChunkId): number => Number.parseInt(id.slice(0, 4), 16);
export const sessionOfId = (id: ChunkId): Hex => id.slice(4, 20);
export const counterOfId = (id: ChunkId): number => Number.parseInt(id.slice(20), 16);

export class Session {
  readonly id: Hex = newShortId();
  readonly #kv: KeyValueStore;
  readonly #reservedIds: number;
  readonly #ranges = new Map<number, Range>();
  readonly #abandoned = new Set<ChunkId>();
  #doubts = 0;
  #isLost = false;

  constructor(kv: KeyValueStore, reservedIds: number) {
    this.#kv = kv;
    this.#reservedIds = reservedIds;
  }

  /** Holds as long as no one has declared this session dead. @throws EngineError 'Unavailable' once that is known to have happened */
  alive(): Check {
    if (this.#isLost) throw declaredDead();
    return { key: sessionKey(this.id), value: ALIVE };
  }

  /** Another process has declared this one dead: whatever checks `alive` fails from now on. */
  lose(): void {
    this.#isLost = true;
  }

  /** Makes the session known in a partition, so that commits there may check `alive`. */
  async enter(partition: number): Promise<void> {
    const range = this.#range(partition);
    if (!range.isEntered) await this.#extend(partition, range);
  }

  /**
   * Among several processes, once and before anything else: one that is declared dead has to lose its life in every partition, and may not
   * come to a new one afterwards.
   */
  async enterAll(): Promise<void> {
    const partitions = Array.from({ length: this.#kv.partitions }, (_, partition) => partition);
    const reservation = reservationCodec.encode({ unsettled: [], from: 0, to: 0 });
    const puts = [
      [reservationKey(this.id), reservation],
      [sessionKey(this.id), ALIVE],
    ] as const;
    await Promise.all(
      partitions.map(async (partition) => {
        await this.#kv.commit(partition, { puts });
        this.#range(partition).isEntered = true;
      }),
    );
  }

  /** An id never used before, durably reserved. */
  async take(partition: number): Promise<ChunkId> {
    const range = this.#range(partition);
    while (range.next >= range.to) await this.#extend(partition, range);
    const counter = range.next++;
    range.unsettled.add(counter);
    if (range.to - range.next < this.#reservedIds / 2) {
      // Ahead of need. Should it fail, the next taker that finds the range used up meets the error.
      this.#extend(partition, range).catch(() => undefined);
    }
    return chunkIdOf(partition, this.id, counter);
  }

  /** The chunk is recorded, or certainly has no shard anywhere. */
  settle(id: ChunkId): void {
    this.#ranges.get(partitionOfId(id))?.unsettled.delete(counterOfId(id));
    this.#abandoned.delete(id);
  }

  /** This session has taken the id, and may yet name the chunk in a commit. */
  holds(id: ChunkId): boolean {
    const range = this.#ranges.get(partitionOfId(id));
    return sessionOfId(id) === this.id && range !== undefined && range.unsettled.has(counterOfId(id));
  }

  /** By partition: every id with a smaller counter is settled. */
  settledBelow(): number[] {
    return Array.from({ length: this.#kv.partitions }, (_, partition) => {
      const range = this.#ranges.get(partition);
      // Ids are taken, and kept here, in order.
      const [first] = range?.unsettled ?? [];
      return first ?? range?.next ?? 0;
    });
  }

  /** The chunk will never be recorded; reclaim deletes what there is of it. */
  abandon(id: ChunkId): void {
    this.#abandoned.add(id);
  }

  abandoned(): ChunkId[] {
    return [...this.#abandoned];
  }

  /** A commit's outcome stayed unknown: only this session's death can clear it up. */
  doubt(): void {
    this.#doubts++;
  }

  /** Ends the session, and takes back its reservations where nothing is open; reclaim clears the others. */
  async close(): Promise<void> {
    for (const [partition, range] of this.#ranges) {
      await range.extending?.catch(() => undefined);
      if (!range.isEntered) continue;
      const isOpen = range.unsettled.size > 0 || this.#doubts > 0;
      const deletes = isOpen ? [sessionKey(this.id)] : [sessionKey(this.id), reservationKey(this.id)];
      await this.#kv.commit(partition, { deletes });
    }
    this.#ranges.clear();
  }

  #range(partition: number): Range {
    let range = this.#ranges.get(partition);
    if (!range) {
      range = { isEntered: false, next: 0, to: 0, unsettled: new Set(), extending: undefined };
      this.#ranges.set(partition, range);
    }
    return range;
  }

  #extend(partition: number, range: Range): Promise<void> {
    range.extending ??= this.#reserve(partition, range).finally(() => {
      range.extending = undefined;
    });
    return range.extending;
  }

  async #reserve(partition: number, range: Range): Promise<void> {
    const to = range.to + this.#reservedIds;
    const reservation = { unsettled: [...range.unsettled], from: range.next, to };
    const puts: [Uint8Array, Uint8Array][] = [
      [reservationKey(this.id), reservationCodec.encode(reservation)],
    ];
    const first = !range.isEntered;
    if (first) puts.push([sessionKey(this.id), ALIVE]);
    const kept = await this.#kv.commit(partition, first ? { puts } : { checks: [this.alive()], puts });
    if (!kept) throw declaredDead();
    range.isEntered = true;
    range.to = to;
  }
}

function declaredDead(): EngineError {
  return new EngineError('Unavailable', 'This process was declared dead by another, and starts anew');
}
