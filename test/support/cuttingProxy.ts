/** A TCP proxy that cuts connections at a chosen moment: after what the client sent went on to the server, before its answer comes back. */

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export class CuttingProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #mark: Buffer | undefined;
  /** Requests cut so far. */
  cuts = 0;

  private constructor(target: number) {
    this.#server = createServer((client) => this.#serve(client, connect(target, '127.0.0.1')));
  }

  static async start(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next request that holds these bytes goes on to the server; no byte of its answer comes back, and the connection ends. */
  cutAfter(mark: string): void {
    this.#mark = Buffer.from(mark);
  }

  /** Ends all connections. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket, server: Socket): void {
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    let isCut = false;
    client.on('data', (piece: Buffer) => {
      if (this.#mark && piece.includes(this.#mark)) {
        this.#mark = undefined;
        isCut = true;
      }
      server.write(piece);
    });
    server.on('data', (piece) => {
      if (isCut) {
        this.cuts++;
        client.destroy();
      } else client.write(piece);
    });
    for (const [one, other] of [pair, [server, client]] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
