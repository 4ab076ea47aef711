/**
 * With `replicas=n`, nothing counts that n replicas do not have: a commit resolves, and a value is returned, only after they confirmed.
 * Otherwise a caller could read on a master what a failover then takes back. Servers confirm by WAITAOF where they know it, so that
 * replicas have it on disk, else by WAIT; both speak of what their own connection wrote. A partition that has not been written to since
 * its last confirmation needs no asking: its two sequence numbers are equal.
 */

import type { Redis } from 'ioredis';
import { failureOf } from './redisErrors.ts';
import { SentCommand } from './redisLink.ts';
import type { RedisPartition } from './redisPartition.ts';
import { MetadataError } from './types.ts';

/** Last and confirmed, as decimal digits; null: none yet. */
export type Sequences = readonly [Buffer | null, Buffer | null];

export class ReplicaAcks {
  readonly #replicas: number;
  readonly #timeoutMs: number;
  readonly #connections = new WeakMap<object, ConnectionAcks>();

  /** `replicas`: how many must confirm; with 0 nothing is waited for. */
  constructor(replicas: number, timeoutMs: number) {
    this.#replicas = replicas;
    this.#timeoutMs = timeoutMs;
  }

  get needed(): boolean {
    return this.#replicas > 0;
  }

  /** After a batch of commits that has this sequence number. @throws MetadataError 'Unknown' */
  async commit(sent: SentCommand, partition: RedisPartition, sequence: number): Promise<void> {
    if (!this.needed) return;
    try {
      const connection = this.#connectionOf(sent);
      await this.#confirm(connection);
      connection.note(partition, String(sequence));
    } catch (error) {
      throw new MetadataError('Unknown', `a commit was not confirmed: ${(error as Error).message}`);
    }
  }

  /** After a read that met these sequence numbers. @throws MetadataError 'Unavailable' */
  async read(sent: SentCommand, partition: RedisPartition, [last, confirmed]: Sequences): Promise<void> {
    if (!this.needed || last === null || (confirmed && last.equals(confirmed))) return;
    try {
      const connection = this.#connectionOf(sent);
      // Behind everything that was read, so that confirming it confirms that.
      await connection.send('hset', [partition.sequence, 'b', '']);
      await this.#confirm(connection);
      connection.note(partition, last);
    } catch (error) {
      const why = (error as Error).message;
      throw new MetadataError('Unavailable', `what was read is not confirmed by replicas: ${why}`);
    }
  }

  async #confirm(connection: ConnectionAcks): Promise<void> {
    const reached = await connection.next();
    if (reached >= this.#replicas) return;
    throw new Error(`${reached} of ${this.#replicas} replicas have it after ${this.#timeoutMs} ms`);
  }

  #connectionOf({ node, socket }: SentCommand): ConnectionAcks {
    if (!node || !socket) throw new Error('the server that answered is not known');
    let connection = this.#connections.get(socket);
    if (!connection) {
      connection = new ConnectionAcks(node, socket, [String(this.#replicas), String(this.#timeoutMs)]);
      this.#connections.set(socket, connection);
    }
    return connection;
  }
}

/** The server serves nothing else on a connection that waits, so one wait is under way at a time, and everyone who came meanwhile shares the next. */
class ConnectionAcks {
  readonly #node: Redis;
  readonly #socket: object;
  readonly #args: readonly string[];
  #hasWaitAof = true;
  #current: Promise<unknown> = Promise.resolve();
  #next: Promise<number> | undefined;

  constructor(node: Redis, socket: object, args: readonly string[]) {
    this.#node = node;
    this.#socket = socket;
    this.#args = args;
  }

  next(): Promise<number> {
    this.#next ??= this.#after(this.#current);
    return this.#next;
  }

  async #after(current: Promise<unknown>): Promise<number> {
    await current;
    this.#next = undefined;
    const waiting = this.#wait();
    this.#current = waiting.catch(() => undefined);
    return await waiting;
  }

  /** For those who read next; should it get lost, they ask for themselves. */
  note({ sequence }: RedisPartition, confirmed: string | Buffer): void {
    this.send('hset', [sequence, 'c', confirmed]).catch(() => undefined);
  }

  /** @throws Error also when another connection has taken this one's place */
  async send(name: string, args: (string | Buffer)[]): Promise<unknown> {
    if (this.#node.stream !== this.#socket) throw new Error('the connection was lost');
    const command = new SentCommand(name, args);
    const answer = await this.#node.sendCommand(command);
    if (command.socket !== this.#socket) throw new Error('the connection was lost');
    return answer;
  }

  async #wait(): Promise<number> {
    try {
      if (!this.#hasWaitAof) return Number(await this.send('wait', [...this.#args]));
      // The master's own log is synced before it answers a write.
      const [, replicas] = (await this.send('waitaof', ['0', ...this.#args])) as [number, number];
      return replicas;
    } catch (error) {
      const { message } = failureOf(error, true);
      if (!this.#hasWaitAof || !/unknown command/i.test(message)) throw new Error(message, { cause: error });
      this.#hasWaitAof = false;
      return await this.#wait();
    }
  }
}
