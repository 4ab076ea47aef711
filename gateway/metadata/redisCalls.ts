/**
 * Commands with their attempts. What certainly did not run is tried again for a while: a slot that moved, a master that is being
 * replaced, a script that the server has forgotten, a connection that is being made. What was sent and not answered is tried again
 * only when running it twice does no harm.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { failureOf, isHopeless, toMetadataError, troubleText } from './redisErrors.ts';
import type { Failure } from './redisErrors.ts';
import { SentCommand } from './redisLink.ts';
import type { RedisLink } from './redisLink.ts';
import type { RedisPartition } from './redisPartition.ts';
import type { Script } from './redisScripts.ts';

const PAUSE_MS = 25;
const PAUSE_MS_MAX = 200;
/** Answers after which the node that serves the slot has to be looked up. */
const ELSEWHERE = new Set(['MOVED', 'READONLY', 'CLUSTERDOWN', 'MASTERDOWN']);

export interface Call {
  /** A fresh command for each attempt; by its source when the server has forgotten the script. */
  readonly command: (forgotten: boolean) => SentCommand;
  readonly kind: 'read' | 'commit';
}

export interface Answer {
  readonly reply: unknown;
  /** What it answers: knows the connection. */
  readonly command: SentCommand;
}

export function scriptCommand(
  { source, sha }: Script,
  { index, values, sequence }: RedisPartition,
  args: readonly (string | Buffer)[],
): (forgotten: boolean) => SentCommand {
  return (forgotten) =>
    forgotten
      ? new SentCommand('eval', [source, '3', index, values, sequence, ...args])
      : new SentCommand('evalsha', [sha, '3', index, values, sequence, ...args]);
}

export class RedisCalls {
  readonly #link: RedisLink;
  readonly #patienceMs: number;
  #closed = false;

  /** `patienceMs`: how long a call is tried again; nothing, once a partition has been out of reach for as long. */
  constructor(link: RedisLink, patienceMs: number) {
    this.#link = link;
    this.#patienceMs = patienceMs;
  }

  /** @throws MetadataError */
  async run(partition: RedisPartition, call: Call): Promise<Answer> {
    const deadline = (partition.failingSince ?? performance.now()) + this.#patienceMs;
    for (let attempt = 1, forgotten = false; ; attempt++) {
      const command = call.command(forgotten);
      try {
        const reply = await this.#link.send(command, partition.slot);
        partition.failingSince = undefined;
        return { reply, command };
      } catch (error) {
        const failure = failureOf(error, command.socket !== undefined);
        if (failure.code === 'NOSCRIPT' && !forgotten) {
          forgotten = true;
          continue;
        }
        if (failure.again) partition.failingSince ??= performance.now();
        if (!this.#mayRetry(failure, call, deadline)) throw this.#errorOf(failure, call);
        if (ELSEWHERE.has(failure.code)) await this.#link.renew();
        await sleep(Math.min(PAUSE_MS * attempt, PAUSE_MS_MAX));
      }
    }
  }

  /** No call is tried again from now on. */
  close(): void {
    this.#closed = true;
  }

  #mayRetry({ executed, again }: Failure, { kind }: Call, deadline: number): boolean {
    if (!again || this.#closed || performance.now() >= deadline) return false;
    if (executed === 'perhaps') return kind === 'read';
    return !isHopeless(this.#link.trouble);
  }

  #errorOf(failure: Failure, { kind }: Call): Error {
    const { trouble } = this.#link;
    const detailed =
      failure.code === '' && failure.executed === 'no' && trouble !== ''
        ? { ...failure, message: troubleText(trouble) }
        : failure;
    return toMetadataError(detailed, kind === 'commit');
  }
}
