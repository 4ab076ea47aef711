/**
 * Ordered walks over a bucket's records in every partition. A position is the part of a key after kind and bucket id, so the same one
 * serves current and older versions: an older version sorts right behind its key's current one.
 */
import type { KeyValueStore } from '../metadata/types.ts';
import { versionCodec } from './codecs.ts';
import type { Context } from './context.ts';
import {
  AFTER_KEY,
  inBucket,
  invertSequence,
  KIND,
  OBJECT_KEY_AT,
  revertSequence,
  SEQUENCE_BYTES,
  TERMINATOR,
} from './keys.ts';
import type { Hex } from './model.ts';
import { justAfter } from './scan.ts';

export interface Item {
  readonly position: Uint8Array;
  readonly value: Uint8Array;
  /** Kind byte of the record. */
  readonly kind: number;
}

/** Entries [from, to) of one partition in order, about `limit` of them, and where to go on; undefined: that was the end. */
type Load = (
  from: Uint8Array,
  to: Uint8Array,
  limit: number,
) => Promise<{ items: Item[]; next: Uint8Array | undefined }>;

const PAGE_MIN = 8;
const PAGE_MAX = 1001;
/** How often a window of versions is read again because it changed meanwhile. */
const WINDOW_TRIES = 5;

/** Where to go on behind a page that was filled to its limit; undefined: it was not. */
function nextOf(items: readonly Item[], limit: number): Uint8Array | undefined {
  const last = items[items.length - 1];
  return last && items.length === limit ? justAfter(last.position) : undefined;
}

async function scanKind(
  kv: KeyValueStore,
  at: { partition: number; kind: number; bucket: Hex },
  from: Uint8Array,
  to: Uint8Array,
  limit: number,
): Promise<Item[]> {
  const { partition, kind, bucket } = at;
  const range = { from: inBucket(kind, bucket, from), to: inBucket(kind, bucket, to), limit };
  const entries = await kv.scan(partition, range);
  return entries.map(([key, value]) => ({ position: key.subarray(OBJECT_KEY_AT), value, kind }));
}

const loadKind =
  (kv: KeyValueStore, partition: number, bucket: Hex, kind: number): Load =>
  async (from, to, limit) => {
    const items = await scanKind(kv, { partition, kind, bucket }, from, to, limit);
    return { items, next: nextOf(items, limit) };
  };

/**
 * Current and older versions together. The two kinds are read one after the other, so a version that moves between them could be missed:
 * the current ones are read again, and once they are unchanged the window is one state. A walk that goes on in the midst of a key's versions
 * looks at its current version again: a version that has become current since would be missed too.
 */
const loadVersions =
  (kv: KeyValueStore, partition: number, bucket: Hex): Load =>
  async (from, to, limit) => {
    const at = { partition, bucket };
    const reached = versionIn(from);
    const readCurrent = async (): Promise<{ shown: Item[]; bound: Uint8Array | undefined }> => {
      const start = reached?.key ?? from;
      const items = await scanKind(kv, { ...at, kind: KIND.current }, start, to, limit);
      const last = items.length === limit ? items[items.length - 1] : undefined;
      return {
        shown: items.filter((item) => !reached || isBehind(item, reached)),
        bound: last && Buffer.concat([last.position, AFTER_KEY]),
      };
    };
    let current = await readCurrent();
    for (let tries = 1; ; tries++) {
      const older = await scanKind(kv, { ...at, kind: KIND.version }, from, current.bound ?? to, limit);
      const again = await readCurrent();
      if (tries < WINDOW_TRIES && !sameItems(current.shown, again.shown)) {
        current = again;
        continue;
      }
      const next = nextOf(older, limit) ?? current.bound;
      const shown = next ? current.shown.filter((item) => less(item.position, next)) : current.shown;
      const items = [...shown, ...older];
      items.sort((a, b) => Buffer.compare(a.position, b.position));
      return { items, next };
    }
  };

interface ReachedVersion {
  readonly key: Uint8Array;
  readonly sequence: number;
}

/** Position right behind a version of a key. */
export const behindVersion = (key: Uint8Array, sequence: number): Uint8Array =>
  justAfter(Buffer.concat([key, TERMINATOR, invertSequence(sequence)]));

/** The version that a position lies right behind; undefined where it lies between keys. */
function versionIn(position: Uint8Array): ReachedVersion | undefined {
  const at = position.indexOf(0);
  if (at === -1 || position.length <= at + SEQUENCE_BYTES) return undefined;
  return { key: position.subarray(0, at), sequence: revertSequence(position.subarray(at + 1)) };
}

/** Does a current version come after the one reached? Other keys do; the same key's does when it is older. */
const isBehind = ({ position, value }: Item, { key, sequence }: ReachedVersion): boolean =>
  Buffer.compare(position, key) !== 0 || versionCodec.decode(value).sequence < sequence;

const less = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) < 0;

function sameItems(a: readonly Item[], b: readonly Item[]): boolean {
  return (
    a.length === b.length &&
    a.every((item, i) => {
      const other = b[i]!;
      return (
        Buffer.compare(item.position, other.position) === 0 && Buffer.compare(item.value, other.value) === 0
      );
    })
  );
}

/** One partition's walk. Pages start small after a seek and grow while they are used up. */
class Cursor {
  readonly #load: Load;
  readonly #to: Uint8Array;
  #next: Uint8Array | undefined;
  #items: Item[] = [];
  #at = 0;
  #page: number;

  constructor(load: Load, from: Uint8Array, to: Uint8Array, page: number) {
    this.#load = load;
    this.#to = to;
    this.#next = from;
    this.#page = page;
  }

  get item(): Item | undefined {
    return this.#items[this.#at];
  }

  get starved(): boolean {
    return this.#at >= this.#items.length && this.#next !== undefined;
  }

  async fill(): Promise<void> {
    while (this.starved) {
      if (!less(this.#next!, this.#to)) {
        this.#next = undefined;
        return;
      }
      const { items, next } = await this.#load(this.#next!, this.#to, this.#page);
      this.#items = items;
      this.#at = 0;
      this.#next = next;
      this.#page = Math.min(this.#page * 4, PAGE_MAX);
    }
  }

  advance(): void {
    this.#at++;
  }

  /** To the first item at or after a position; within the page at hand where it lies there. */
  seek(position: Uint8Array): void {
    const last = this.#items[this.#items.length - 1];
    if (last && !less(last.position, position)) {
      while (this.item && less(this.item.position, position)) this.#at++;
      return;
    }
    this.#at = this.#items.length;
    if (this.#next && less(this.#next, position)) {
      this.#next = position;
      this.#page = PAGE_MIN;
    }
  }
}

/** What to walk: one kind of record, or current and older versions together. */
export type Walked = 'current' | 'versions' | 'upload';

/** All partitions' cursors as one, in order. */
export class Walk {
  readonly #cursors: readonly Cursor[];

  /** @param page entries of a partition to read at first */
  constructor(
    context: Context,
    walked: Walked,
    bucket: Hex,
    range: { from: Uint8Array; to: Uint8Array },
    page: number,
  ) {
    const { kv } = context;
    const size = Math.min(Math.max(page, 2), PAGE_MAX);
    this.#cursors = Array.from({ length: kv.partitions }, (_, partition) => {
      const load =
        walked === 'versions'
          ? loadVersions(kv, partition, bucket)
          : loadKind(kv, partition, bucket, KIND[walked]);
      return new Cursor(load, range.from, range.to, size);
    });
  }

  /** The next item, which stays the next until `advance` or `seek`. Only waits where a partition's page is used up. */
  peek(): Item | undefined | Promise<Item | undefined> {
    return this.#cursors.some((cursor) => cursor.starved) ? this.#fill() : this.#first()?.item;
  }

  advance(): void {
    this.#first()?.advance();
  }

  seek(position: Uint8Array): void {
    for (const cursor of this.#cursors) cursor.seek(position);
  }

  async #fill(): Promise<Item | undefined> {
    await Promise.all(this.#cursors.map((cursor) => cursor.fill()));
    return this.#first()?.item;
  }

  #first(): Cursor | undefined {
    let first: Cursor | undefined;
    for (const cursor of this.#cursors) {
      if (!cursor.item) continue;
      if (!first || less(cursor.item.position, first.item!.position)) first = cursor;
    }
    return first;
  }
}
