/** Placement's view of the metadata: chunk records, the repair queue and notes. */
import type { ChunkCatalog, ChunkId, ChunkRecord, RepairEntry } from '#placement';
import type { Bytes, KeyValueStore } from '../metadata/types.ts';
import { chunkCodec } from './codecs.ts';
import { chunkKey, homeOf, idAt, KIND, noteKey, ofKind, repairKey } from './keys.ts';
import type { StoredChunk } from './model.ts';
import { justAfter } from './scan.ts';

/** Partition of the notes. */
const NOTES = 0;
const TRIES_MAX = 20;
const CHUNK_ID = /^[0-9a-f]{32}$/;

export function createCatalog(kv: KeyValueStore): ChunkCatalog {
  return new Catalog(kv);
}

class Catalog implements ChunkCatalog {
  readonly #kv: KeyValueStore;

  constructor(kv: KeyValueStore) {
    this.#kv = kv;
  }

  async get(id: ChunkId): Promise<ChunkRecord | undefined> {
    return (await this.#find(id))?.stored.record;
  }

  async compareAndSet(expected: ChunkRecord, next: ChunkRecord): Promise<boolean> {
    const key = chunkKey(expected.id);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await this.#find(expected.id);
      if (!found || !sameRecord(found.stored.record, expected)) return false;
      // A copy touches the record without changing where its shards lie: then the bytes differ and the record does not.
      const value = chunkCodec.encode({ ...found.stored, record: next });
      const done = await this.#kv.commit(homeOf(expected.id), {
        checks: [{ key, value: found.value }],
        puts: [[key, value]],
      });
      if (done) return true;
    }
    return false;
  }

  async list(after: ChunkId | undefined, limit: number): Promise<ChunkRecord[]> {
    const records: ChunkRecord[] = [];
    let last = after;
    while (records.length < limit) {
      const page = await this.#scan(KIND.chunk, last, limit - records.length);
      if (page.length === 0) break;
      for (const [key, value] of page) {
        const { record, deleting } = chunkCodec.decode(value);
        if (!deleting) records.push(record);
        last = idAt(key, 1, 16);
      }
    }
    return records;
  }

  async enqueueRepair(
    id: ChunkId,
    reason: string,
    join?: (given: string, reason: string) => string,
  ): Promise<void> {
    const key = repairKey(id);
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (!(await this.#find(id))) return;
      const given = join && (await this.#kv.get(homeOf(id), key));
      const text = join && given ? join(Buffer.from(given).toString('utf8'), reason) : reason;
      const checks = join ? [{ key, value: given ?? null }] : [];
      if (await this.#kv.commit(homeOf(id), { checks, puts: [[key, Buffer.from(text)]] })) return;
    }
    throw new Error(`The repair entry of chunk ${id} changes all the time`);
  }

  async dequeueRepair(id: ChunkId, reason?: string): Promise<void> {
    if (!this.#isHere(id)) return;
    const key = repairKey(id);
    // An entry with another reason by now stays: the check fails, and nothing is applied.
    const checks = reason === undefined ? [] : [{ key, value: Buffer.from(reason) }];
    await this.#kv.commit(homeOf(id), { checks, deletes: [key] });
  }

  async repairQueue(after: ChunkId | undefined, limit: number): Promise<ChunkId[]> {
    const page = await this.#scan(KIND.repair, after, limit);
    return page.map(([key]) => idAt(key, 1, 16));
  }

  async repairEntries(after: ChunkId | undefined, limit: number): Promise<RepairEntry[]> {
    const page = await this.#scan(KIND.repair, after, limit);
    return page.map(([key, reason]) => ({
      id: idAt(key, 1, 16),
      reason: Buffer.from(reason).toString('utf8'),
    }));
  }

  async getNote(name: string): Promise<string | undefined> {
    const value = await this.#kv.get(NOTES, noteKey(name));
    return value && Buffer.from(value).toString('utf8');
  }

  async setNote(name: string, value: string): Promise<void> {
    await this.#kv.commit(NOTES, { puts: [[noteKey(name), Buffer.from(value, 'utf8')]] });
  }

  #isHere(id: ChunkId): boolean {
    return CHUNK_ID.test(id) && homeOf(id) < this.#kv.partitions;
  }

  /** A chunk that is not being deleted. */
  async #find(id: ChunkId): Promise<{ value: Bytes; stored: StoredChunk } | undefined> {
    if (!this.#isHere(id)) return undefined;
    const value = await this.#kv.get(homeOf(id), chunkKey(id));
    const stored = value && chunkCodec.decode(value);
    return value && stored && !stored.deleting ? { value, stored } : undefined;
  }

  /** Ids start with their partition, so partition after partition is in order of id. */
  async #scan(kind: number, after: ChunkId | undefined, limit: number): Promise<(readonly [Bytes, Bytes])[]> {
    const { from, to } = ofKind(kind);
    const entries: (readonly [Bytes, Bytes])[] = [];
    for (let partition = after ? homeOf(after) : 0; partition < this.#kv.partitions; partition++) {
      if (entries.length >= limit) break;
      const start =
        after && partition === homeOf(after)
          ? justAfter(Buffer.concat([Buffer.of(kind), Buffer.from(after, 'hex')]))
          : from;
      entries.push(...(await this.#kv.scan(partition, { from: start, to, limit: limit - entries.length })));
    }
    return entries;
  }
}

/** Does a record say the same about where the shards lie? Every repair adds one to the generation. */
function sameRecord(a: ChunkRecord, b: ChunkRecord): boolean {
  return a.generation === b.generation && a.length === b.length;
}
