/**
 * The marker that every partition carries: format, number of partitions, identity of the store. It is made at first use and compared
 * ever after, so that foreign, newer, incomplete and replaced data are refused.
 */

import { randomUUID } from 'node:crypto';
import type { RedisAddress } from './redisAddress.ts';
import { scriptCommand } from './redisCalls.ts';
import type { RedisCalls } from './redisCalls.ts';
import { SentCommand } from './redisLink.ts';
import { keyOf, RedisPartition } from './redisPartition.ts';
import { MARK } from './redisScripts.ts';
import { MetadataError } from './types.ts';

const FORMAT = 1;
const MARKER = /^shardway ([0-9]{1,9}) (?:([0-9]{1,9}) ([0-9a-f-]{36})$)?/;
/**
 * Every list reads a page of every partition, and one server runs one command at a time: there more of them bring nothing. A cluster
 * spreads them over its masters.
 */
const DEFAULT_PARTITIONS = { single: 1, sentinel: 1, cluster: 16 } as const;

export interface RedisFormat {
  readonly marker: Buffer;
  readonly partitions: readonly RedisPartition[];
}

/**
 * Reads the markers, or makes them in an empty store. Several gateways may do so at once: the first partition's marker decides.
 * @throws MetadataError 'Corrupt' for data that is not a whole store of this format, 'Unavailable' for a server that does not answer or other partitions than asked for
 */
export async function openFormat(calls: RedisCalls, address: RedisAddress): Promise<RedisFormat> {
  const { prefix } = address;
  const root = new RedisPartition(prefix, 0);
  const fresh = `shardway ${FORMAT} ${address.partitions ?? DEFAULT_PARTITIONS[address.mode]} ${randomUUID()}`;
  const found = (await mark(calls, root, '')) ?? (await mark(calls, root, fresh)) ?? '';
  const count = partitionsOf(found, prefix);
  if (address.partitions !== undefined && address.partitions !== count) {
    throw new MetadataError(
      'Unavailable',
      `the metadata in the store has ${count} partitions, fixed at its first use: leave out partitions=${address.partitions}`,
    );
  }
  const partitions = [root];
  for (let number = 1; number < count; number++) partitions.push(new RedisPartition(prefix, number));
  await markAll(calls, partitions, { prefix, marker: found });
  return { marker: Buffer.from(found), partitions };
}

/** Once all partitions are marked, a note says so: from then on one without its marker has lost its data. */
async function markAll(
  calls: RedisCalls,
  partitions: readonly RedisPartition[],
  { prefix, marker }: { prefix: string; marker: string },
): Promise<void> {
  const root = partitions[0] as RedisPartition;
  const note = keyOf(prefix, 0, 'ready');
  const ready = await calls.run(root, { command: () => new SentCommand('get', [note]), kind: 'read' });
  const complete = Buffer.isBuffer(ready.reply) && ready.reply.toString() === marker;
  const markers = await Promise.all(
    partitions.slice(1).map(async (partition) => mark(calls, partition, complete ? '' : marker)),
  );
  markers.forEach((found, at) => {
    if (found !== marker) {
      const what = found === undefined ? 'is gone' : 'does not belong to the others';
      throw new MetadataError(
        'Corrupt',
        `partition ${at + 1} of the metadata under the prefix ${prefix} ${what}`,
      );
    }
  });
  if (!complete)
    await calls.run(root, { command: () => new SentCommand('set', [note, marker]), kind: 'read' });
}

/** The marker there, after setting this one where there is nothing; undefined: nothing. Setting it twice does no harm. */
async function mark(
  calls: RedisCalls,
  partition: RedisPartition,
  marker: string,
): Promise<string | undefined> {
  const { reply } = await calls.run(partition, {
    command: scriptCommand(MARK, partition, [marker]),
    kind: 'read',
  });
  return Buffer.isBuffer(reply) ? reply.toString() : undefined;
}

function partitionsOf(marker: string, prefix: string): number {
  const [, format, partitions] = MARKER.exec(marker) ?? [];
  const where = `under the prefix ${prefix}`;
  if (format === undefined) {
    throw new MetadataError(
      'Corrupt',
      `the store holds keys ${where} that Shardway did not write: choose another prefix`,
    );
  }
  if (Number(format) > FORMAT) {
    throw new MetadataError(
      'Corrupt',
      `the metadata ${where} has format ${format}, written by a newer gateway; this one reads up to ${FORMAT}`,
    );
  }
  const count = Number(partitions);
  if (!(count >= 1)) throw new MetadataError('Corrupt', `the metadata ${where} has a damaged marker`);
  return count;
}
