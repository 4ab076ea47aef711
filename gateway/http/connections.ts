import type { Server } from 'node:http';
import net from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';

/** Connections that the kernel keeps until they are accepted; Node's 511 makes a crowd of clients wait for retransmissions, seconds. */
export const BACKLOG = 4096;
/**
 * Ms. A request is lost that is on its way while its connection is closed, and some clients do not send it again. So while draining a
 * connection stays open until it brings a request, whose answer then says that it closes, or nothing for this long.
 */
const IDLE_MS = 1000;
/** Ms. How often idle connections are looked for while draining. */
const SWEEP_MS = 50;

/** As last looked at while draining. */
interface Connection {
  /** With more, a request has begun. */
  bytesRead: number;
  /** By performance.now(). */
  activeAt: number;
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
  #requestAt = -Infinity;

  /** @param isUnderWay whether a request of the connection is being answered */
  constructor(server: Server, secure: boolean, isUnderWay: (socket: Socket) => boolean) {
    this.#server = server;
    this.#isUnderWay = isUnderWay;
    server.on('connection', (socket: Socket) => {
      this.#accepted += 1;
      this.#acceptedAt = performance.now();
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
    // Where nobody has asked for a while, nobody is about to.
    const isQuiet = now - this.#requestAt >= IDLE_MS && !this.#isBusy();
    const since = isQuiet ? -Infinity : now;
    for (const [socket, connection] of this.#open) connection.bytesRead = socket.bytesRead;
    await this.#acceptWaiting();
    this.#stopListening();
    this.#closeIdle(since);
    // Right after the event loop has read what has arrived: a busy turn may have kept it waiting.
    const sweep = setInterval(() => setImmediate(() => this.#closeIdle(since)), SWEEP_MS);
    await closed;
    clearInterval(sweep);
    clearTimeout(deadline);
    // Ends the server's timers.
    this.#server.close();
    return whole;
  }

  #add(socket: Socket): void {
    this.#open.set(socket, { bytesRead: 0, activeAt: performance.now() });
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

  /** @param since when idle connections began to count as idle, at the earliest */
  #closeIdle(since: number): void {
    const idleSince = performance.now() - IDLE_MS;
    if (this.#open.size === 0 && Math.max(since, this.#acceptedAt) <= idleSince) {
      for (const socket of this.#carriers) socket.destroy();
    }
    for (const [socket, connection] of this.#open) {
      const isAnswering = this.#isAnswering(socket);
      if (isAnswering || socket.bytesRead !== connection.bytesRead) {
        connection.bytesRead = socket.bytesRead;
        connection.activeAt = performance.now();
      }
      if (isAnswering) continue;
      if (Math.max(since, connection.activeAt) <= idleSince) socket.destroy();
    }
  }
}
