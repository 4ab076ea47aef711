import { isIPv6, type Socket } from 'node:net';

export interface ConnectionLimits {
  readonly connectionsMax: number;
  readonly addressConnectionsMax: number;
  /** Ms that a connection is kept idle while nobody on it is known. */
  readonly strangerIdleMs: number;
}

interface Peer {
  readonly socket: Socket;
  readonly key: string;
  readonly network: string;
  isKnown: boolean;
  requests: number;
  idle: NodeJS.Timeout | undefined;
}

/**
 * The connections of a listener. Nobody takes all of them: those of one address are bounded, and where there is no room, the oldest on which
 * nobody has shown who he is makes way for the newest.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  /** In the order in which they came. */
  readonly #peers = new Map<string, Peer>();
  readonly #strangers = new Set<Peer>();
  readonly #networks = new Map<string, Set<Peer>>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** A new connection, before TLS. It is destroyed where there is no room for it. */
  add(socket: Socket): void {
    const network = networkOf(socket.remoteAddress);
    const neighbours = this.#networks.get(network) ?? new Set<Peer>();
    const { connectionsMax, addressConnectionsMax } = this.#limits;
    const hasRoom =
      (neighbours.size < addressConnectionsMax || this.#dropStranger(neighbours)) &&
      (this.#peers.size < connectionsMax || this.#dropStranger(this.#strangers));
    if (!hasRoom) {
      socket.destroy();
      return;
    }
    const key = keyOf(socket);
    const peer: Peer = { socket, key, network, isKnown: false, requests: 0, idle: undefined };
    this.#peers.set(key, peer);
    this.#strangers.add(peer);
    this.#networks.set(network, neighbours.add(peer));
    socket.once('close', () => this.#forget(peer));
  }

  /** A request begins on this connection, TLS or not. */
  busy(socket: Socket): void {
    const peer = this.#peers.get(keyOf(socket));
    if (peer === undefined) return;
    peer.requests++;
    clearTimeout(peer.idle);
  }

  /** Its answer is out. */
  idle(socket: Socket): void {
    const peer = this.#peers.get(keyOf(socket));
    if (peer === undefined || --peer.requests > 0 || peer.isKnown) return;
    peer.idle = setTimeout(() => peer.socket.destroy(), this.#limits.strangerIdleMs).unref();
  }

  /** Whoever is on this connection has shown who he is. */
  know(socket: Socket): void {
    const peer = this.#peers.get(keyOf(socket));
    if (peer === undefined) return;
    peer.isKnown = true;
    this.#strangers.delete(peer);
  }

  isKnown(socket: Socket): boolean {
    return this.#peers.get(keyOf(socket))?.isKnown === true;
  }

  /** Ends all. */
  destroy(): void {
    for (const { socket } of this.#peers.values()) socket.destroy();
  }

  #dropStranger(among: ReadonlySet<Peer>): boolean {
    for (const peer of among) {
      if (peer.isKnown) continue;
      this.#forget(peer);
      peer.socket.destroy();
      return true;
    }
    return false;
  }

  #forget(peer: Peer): void {
    clearTimeout(peer.idle);
    if (this.#peers.get(peer.key) === peer) this.#peers.delete(peer.key);
    this.#strangers.delete(peer);
    const neighbours = this.#networks.get(peer.network);
    if (neighbours?.delete(peer) === true && neighbours.size === 0) this.#networks.delete(peer.network);
  }
}

/** The same for a connection and for the TLS in it. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

/** Whoever has one IPv6 address has a /64 of them. */
export function networkOf(address: string | undefined): string {
  if (address === undefined || !isIPv6(address)) return address ?? 'others';
  if (address.startsWith('::ffff:')) return address.slice('::ffff:'.length);
  const [head = '', tail = ''] = address.split('::');
  const front = head.split(':').filter((group) => group !== '');
  const back = tail.split(':').filter((group) => group !== '');
  const zeroes = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...zeroes, ...back].slice(0, 4).join(':');
}
