/**
 * Commits of one partition. Those that arrive while a batch is under way wait and share the next one: one script call, in the order of
 * their arrival. A batch whose answer is lost is 'Unknown' to all its callers and never sent again.
 */

import { setImmediate } from 'node:timers/promises';
import { copyCommit } from './commitCopy.ts';
import type { OwnedCommit } from './commitCopy.ts';
import { scriptCommand } from './redisCalls.ts';
import type { RedisCalls } from './redisCalls.ts';
import { replyFailure, toMetadataError } from './redisErrors.ts';
import type { RedisPartition } from './redisPartition.ts';
import type { ReplicaAcks } from './redisReplicas.ts';
import { COMMIT } from './redisScripts.ts';
import type { Bytes, Commit } from './types.ts';

/** Bounds of a batch: the server runs nothing else meanwhile. */
const BATCH_BYTES_MAX = 8 * 1_024 * 1_024;
const BATCH_WRITES_MAX = 2_000;
const APPLIED = 0x31;
const REFUSED = 0x65;

interface Pending {
  readonly commit: OwnedCommit;
  readonly resolve: (applied: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export class RedisCommits {
  readonly #calls: RedisCalls;
  readonly #partition: RedisPartition;
  readonly #marker: Buffer;
  readonly #acks: ReplicaAcks;
  #queue: Pending[] = [];
  #running: Promise<void> | undefined;

  constructor(calls: RedisCalls, partition: RedisPartition, marker: Buffer, acks: ReplicaAcks) {
    this.#calls = calls;
    this.#partition = partition;
    this.#marker = marker;
    this.#acks = acks;
  }

  submit(commit: Commit): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ commit: copyCommit(commit), resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when everything submitted so far is settled. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    do {
      await setImmediate();
      await this.#step(this.#take());
    } while (this.#queue.length > 0);
    this.#running = undefined;
  }

  #take(): readonly Pending[] {
    let bytes = 0;
    let writes = 0;
    const over = this.#queue.findIndex(({ commit }, index) => {
      bytes += commit.bytes;
      writes += commit.puts.length + commit.deletes.length;
      return index > 0 && (bytes > BATCH_BYTES_MAX || writes > BATCH_WRITES_MAX);
    });
    return this.#queue.splice(0, over === -1 ? this.#queue.length : over);
  }

  async #step(batch: readonly Pending[]): Promise<void> {
    try {
      const command = scriptCommand(COMMIT, this.#partition, batchArguments(this.#marker, batch));
      const { reply, command: sent } = await this.#calls.run(this.#partition, { command, kind: 'commit' });
      const [answers, sequence, refusal] = reply as [Buffer, number, Buffer?];
      if (sequence > 0) await this.#acks.commit(sent, this.#partition, sequence);
      batch.forEach(({ resolve, reject }, at) => {
        if (answers[at] === REFUSED) reject(toMetadataError(replyFailure(String(refusal)), true));
        else resolve(answers[at] === APPLIED);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** As COMMIT takes them. */
function batchArguments(marker: Buffer, batch: readonly Pending[]): (string | Buffer)[] {
  let counts = '';
  const args: (string | Buffer)[] = [marker, counts];
  for (const { commit } of batch) {
    const { checks, puts, deletes } = commit;
    const absent: Bytes[] = [];
    for (const { key, value } of checks) {
      if (value === null) absent.push(key);
      else args.push(key as Buffer, value as Buffer);
    }
    for (const key of absent) args.push(key as Buffer);
    for (const [key, value] of puts) args.push(key as Buffer, value as Buffer);
    for (const key of deletes) args.push(key as Buffer);
    counts += `${checks.length - absent.length} ${absent.length} ${puts.length} ${deletes.length};`;
  }
  args[1] = counts;
  return args;
}
