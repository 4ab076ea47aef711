import type { Server } from 'node:http';
import net from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

/** Connections that the kernel keeps until they are accepted; Node's 511 makes a crowd of clients wait for retransmissions, seconds. */
export const BACKLOG = 4096;
/**
 * A request is lost that is on its way while its connection is closed, and some clients do not send it again. So while draining a
 * connection stays open until it brings a request, whose answer then says that it closes, or nothing for this many looks: a second, if the
 * process does not stand still. The clock would count the time that a busy machine gives neither us nor the client.
 */
const IDLE_LOOKS = 20;
/** Ms between looks. */
const LOOK_MS = 50;
const IDLE_MS = IDLE_LOOKS * LOOK_MS;

/** As last looked at while draining. */
interface Connection {
  /** By performance.now(). */
  readonly openedAt: number;
  /** With more, a request has begun. */
  bytesRead: number;
  /** Looks since it last was not idle. */
  idle: number;
}

/** The connections of a listener, and how they end when it does. */
export class Connections {
  readonly #server: Server;
  readonly #isUnderWay: (socket: Socket) => boolean;
  readonly #open = new Map<Socket, Connection>();
  /** Over TLS: what carries each of them, and those that have not come through their handshake. */
  readonly #carriers = new Set<Socket>();
  #accepted = 0;
  #acceptedAt = -Infinity;
  /** Looks since a connection was accepted. */
  #unvisited = 0;
  #requestAt = -Infinity;

  /** @param isUnderWay whether a request of the connection is being answered */
  constructor(server: Server, secure: boolean, isUnderWay: (socket: Socket) => boolean) {
    this.#server = server;
    this.#isUnderWay = isUnderWay;
    server.on('connection', (socket: Socket) => {
      this.#accepted += 1;
      this.#acceptedAt = performance.now();
      this.#unvisited = 0;
      if (secure) this.#carry(socket);
      else this.#add(socket);
    });
    if (secure) server.on('secureConnection', (socket: Socket) => this.#add(socket));
  }

  /** A request has ended. Of so many this must cost nothing: the rest is found out while draining. */
  served(): void {
    this.#requestAt = performance.now();
  }

  /**
   * Stops listening, waits until requests under way have ended and connections are idle, and cuts what is left after the deadline.
   * @returns true when no request had to be cut
   */
  async drain(deadlineMs: number): Promise<boolean> {
    const closed = new Promise<void>((resolve) => {
      this.#server.once('close', () => resolve());
    });
    let whole = true;
    const deadline = setTimeout(() => {
      whole = !this.#isBusy();
      this.#stopListening();
      for (const socket of [...this.#open.keys(), ...this.#carriers]) socket.destroy();
    }, deadlineMs);
    const now = performance.now();
    // Where nobody has asked for a while, nobody is about to; after a standstill somebody may be.
    const isQuiet = now - this.#requestAt >= IDLE_MS && !this.#isBusy();
    const idleSince = (at: number): number => (isQuiet && now - at >= IDLE_MS ? IDLE_LOOKS - 2 : 0);
    for (const [socket, connection] of this.#open) {
      connection.bytesRead = socket.bytesRead;
      connection.idle = idleSince(connection.openedAt);
    }
    this.#unvisited = idleSince(this.#acceptedAt);
    await this.#acceptWaiting();
    this.#stopListening();
    // Right after the event loop has read what has arrived: a busy turn may have kept it waiting.
    const looks = setInterval(() => setImmediate(() => this.#closeIdle()), LOOK_MS);
    await closed;
    clearInterval(looks);
    clearTimeout(deadline);
    // Ends the server's timers.
    this.#server.close();
    return whole;
  }

  #add(socket: Socket): void {
    this.#open.set(socket, { openedAt: performance.now(), bytesRead: 0, idle: 0 });
    socket.once('close', () => this.#open.delete(socket));
  }

  #carry(socket: Socket): void {
    this.#carriers.add(socket);
    socket.once('close', () => this.#carriers.delete(socket));
  }

  #isBusy(): boolean {
    return this.#open.keys().some((socket) => this.#isAnswering(socket));
  }

  /** Or an answer is not on its way to the last byte. */
  #isAnswering(socket: Socket): boolean {
    return this.#isUnderWay(socket) || socket.writableLength > 0;
  }

  /** Accepts those that wait in the kernel, which would reset them. Of a crowd, each turn of the event loop accepts but one. */
  async #acceptWaiting(): Promise<void> {
    for (let turns = 0; turns < BACKLOG && this.#server.listening; turns++) {
      const before = this.#accepted;
      await turn();
      // The first turn may have been half over.
      if (turns > 0 && this.#accepted === before) return;
    }
  }

  /** The server's own `close` would close idle connections, too, and look for stalled heads no more. */
  #stopListening(): void {
    net.Server.prototype.close.call(this.#server);
  }

  #closeIdle(): void {
    if (++this.#unvisited >= IDLE_LOOKS && this.#open.size === 0) {
      for (const socket of this.#carriers) socket.destroy();
    }
    for (const [socket, connection] of this.#open) {
      const isIdle = socket.bytesRead === connection.bytesRead && !this.#isAnswering(socket);
      connection.idle = isIdle ? connection.idle + 1 : 0;
      connection.bytesRead = socket.bytesRead;
      if (connection.idle >= IDLE_LOOKS) socket.destroy();
    }
  }
}
