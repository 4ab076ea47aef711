/** Names of a partition's keys. The hash tag in braces puts them in one slot of a cluster. */

import { Command } from 'ioredis';

export class RedisPartition {
  readonly number: number;
  /** Sorted set of the keys. */
  readonly index: Buffer;
  /** Hash of the values. */
  readonly values: Buffer;
  /** Hash of two numbers: `s`, of the last batch that wrote, and `c`, of the last that is known to be on enough replicas. */
  readonly sequence: Buffer;
  readonly slot: number;
  /** Milliseconds of the monotonic clock since when nothing has come through; undefined: the last call did. */
  failingSince: number | undefined;

  constructor(prefix: string, number: number) {
    this.number = number;
    this.index = keyOf(prefix, number, 'i');
    this.values = keyOf(prefix, number, 'v');
    this.sequence = keyOf(prefix, number, 's');
    this.slot = new Command('get', [this.index]).getSlot();
  }
}

export const keyOf = (prefix: string, partition: number, name: string): Buffer =>
  Buffer.from(`{${prefix}:${partition}}${name}`);
