/**
 * A connection to a server, to the master that Sentinels name, or to the masters of a cluster. ioredis connects, authenticates, follows
 * failovers and knows which node serves a slot; it never queues, repeats or redirects a command of ours, so that the caller always
 * knows whether a command was sent: see redisCalls.ts.
 */

import { Cluster, Command } from 'ioredis';
import type { Redis } from 'ioredis';
import type { RedisAddress } from './redisAddress.ts';
import { connect, replicasBySentinel } from './redisClient.ts';
import type { ClientOptions } from './redisClient.ts';

/** Knows whether and where it was written. */
export class SentCommand extends Command {
  /** The connection it was written to. */
  socket: object | undefined;
  /** The client of the server it was meant for. */
  node: Redis | undefined;

  constructor(name: string, args: (string | Buffer)[]) {
    // Replies stay bytes.
    super(name, args, { replyEncoding: null });
  }

  override toWritable(socket: object): string | Buffer {
    this.socket = socket;
    return super.toWritable(socket);
  }
}

export class RedisLink {
  readonly #client: Redis | Cluster;
  readonly #address: RedisAddress;
  readonly #options: ClientOptions;
  /** Why the last attempt to connect failed; '' while connected. */
  #trouble = '';

  /** Connects in the background. @throws MetadataError 'Unavailable' when the file of authorities cannot be read */
  constructor(address: RedisAddress, options: ClientOptions) {
    this.#address = address;
    this.#options = options;
    this.#client = connect(address, options);
    this.#client.on('error', (error: Error) => this.#note(error));
    this.#client.on('node error', (error: Error) => this.#note(error));
    this.#client.on('ready', () => (this.#trouble = ''));
  }

  get trouble(): string {
    return this.#trouble;
  }

  /** Connections were made or have gone. */
  onChange(listener: () => void): void {
    const client = this.#client;
    const events = client instanceof Cluster ? ['ready', 'close', '+node', '-node'] : ['ready', 'close'];
    for (const event of events) client.on(event, listener);
  }

  /** One attempt at one node. Rejects at once while there is no connection. */
  async send(command: SentCommand, slot: number): Promise<unknown> {
    const client = this.#client;
    if (!(client instanceof Cluster)) {
      command.node = client;
      return await client.sendCommand(command);
    }
    // With a target named, even one still to be found, ioredis leaves redirections and lost connections to the caller.
    const target: { slot: number; redis?: Redis } = { slot };
    const answer = client.sendCommand(command, undefined, target);
    command.node = target.redis;
    return await answer;
  }

  /** Finds out anew which node is the master, or the masters. */
  async renew(): Promise<void> {
    const client = this.#client;
    if (client instanceof Cluster) {
      await new Promise<void>((resolve) => client.refreshSlotsCache(() => resolve()));
    } else if (client.status === 'ready') client.disconnect(true);
  }

  masters(): readonly Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
  }

  /** Replicas that Sentinels know, also those that are away; 0 without Sentinels. @throws Error when none answers */
  async listedReplicas(): Promise<number> {
    if (this.#address.mode !== 'sentinel') return 0;
    return await replicasBySentinel(this.#address, this.#options);
  }

  close(): void {
    this.#client.disconnect();
  }

  #note(error: Error & { lastNodeError?: Error }): void {
    const { message } = error.lastNodeError ?? error;
    this.#trouble = message === '' ? 'no connection' : message;
  }
}
