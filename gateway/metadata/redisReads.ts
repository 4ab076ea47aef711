/** Reads of one partition: the gets of one turn of the event loop travel in one command. */

import { MetadataError } from './types.ts';
import type { Bytes, Entry, Range } from './types.ts';
import { scriptCommand } from './redisCalls.ts';
import type { RedisCalls } from './redisCalls.ts';
import { replyFailure, toMetadataError } from './redisErrors.ts';
import { SentCommand } from './redisLink.ts';
import type { RedisPartition } from './redisPartition.ts';
import type { ReplicaAcks, Sequences } from './redisReplicas.ts';
import { LOST, READ, SCAN } from './redisScripts.ts';

/** Values that share a command. */
const GETS_MAX = 256;
/** The parser cuts values out of what it received; smaller ones are copied, so that they do not keep all of that in memory. */
const COPY_BELOW_BYTES = 0x8000;
const DESCENDING = '1';
const OPEN_BOUND = Buffer.from('(');
const CLOSED_BOUND = Buffer.from('[');

interface Get {
  readonly key: Buffer;
  readonly resolve: (value: Bytes | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export class RedisReads {
  readonly #calls: RedisCalls;
  readonly #partition: RedisPartition;
  readonly #marker: Buffer;
  readonly #acks: ReplicaAcks;
  #queue: Get[] = [];

  constructor(calls: RedisCalls, partition: RedisPartition, marker: Buffer, acks: ReplicaAcks) {
    this.#calls = calls;
    this.#partition = partition;
    this.#marker = marker;
    this.#acks = acks;
  }

  get(key: Bytes): Promise<Bytes | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#queue.length === 0) setImmediate(() => this.#flush());
      this.#queue.push({ key: Buffer.from(key), resolve, reject });
    });
  }

  async scan({ from, to, limit, reverse = false }: Range): Promise<Entry[]> {
    if (limit === 0 || Buffer.compare(from, to) >= 0) return [];
    const lower = Buffer.concat([CLOSED_BOUND, from]);
    const upper = Buffer.concat([OPEN_BOUND, to]);
    const bounds = reverse ? [upper, lower] : [lower, upper];
    const args = [this.#marker, ...bounds, String(limit), reverse ? DESCENDING : ''];
    const command = scriptCommand(SCAN, this.#partition, args);
    const { reply, command: sent } = await this.#calls.run(this.#partition, { command, kind: 'read' });
    const [sequences, keys, ...values] = reply as [Sequences, Buffer[], ...(Buffer | null)[][]];
    await this.#acks.read(sent, this.#partition, sequences);
    const flat = values.flat();
    return keys.map((key, at) => {
      const value = flat[at];
      if (!value) throw torn();
      return [copy(key), own(value)];
    });
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (let at = 0; at < queue.length; at += GETS_MAX) void this.#fetch(queue.slice(at, at + GETS_MAX));
  }

  async #fetch(gets: readonly Get[]): Promise<void> {
    try {
      const [marker, ...found] = await this.#read(gets.map(({ key }) => key));
      if (!marker?.equals(this.#marker)) throw toMetadataError(replyFailure(LOST), false);
      gets.forEach(({ resolve }, at) => {
        const value = found[at];
        resolve(value ? own(value) : undefined);
      });
    } catch (error) {
      for (const { reject } of gets) reject(error);
    }
  }

  /** Marker and values. */
  async #read(keys: readonly Buffer[]): Promise<(Buffer | null)[]> {
    const partition = this.#partition;
    if (this.#acks.needed) {
      const command = scriptCommand(READ, partition, keys);
      const { reply, command: sent } = await this.#calls.run(partition, { command, kind: 'read' });
      const [sequences, ...values] = reply as [Sequences, ...(Buffer | null)[]];
      await this.#acks.read(sent, partition, sequences);
      return values;
    }
    const command = (): SentCommand => new SentCommand('hmget', [partition.values, '', ...keys]);
    const { reply } = await this.#calls.run(partition, { command, kind: 'read' });
    return reply as (Buffer | null)[];
  }
}

function own(value: Buffer): Bytes {
  return value.length < COPY_BELOW_BYTES ? copy(value) : value;
}

function copy(value: Buffer): Bytes {
  return new Uint8Array(value);
}

function torn(): MetadataError {
  return new MetadataError('Corrupt', 'the metadata store lists a key without its value');
}
