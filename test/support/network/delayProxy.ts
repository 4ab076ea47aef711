import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { Transform } from 'node:stream';

export interface DelayProxy {
  readonly port: number;
  setDelay(delayMs: number): void;
  /** Refuses connections and cuts those that are open, as a machine that is down. */
  setDown(down: boolean): void;
  close(): Promise<void>;
}

/** A long way to a server: every byte arrives `delayMs` later, in each direction, whatever it belongs to. */
export async function startDelayProxy(target: { port: number }, firstDelayMs: number): Promise<DelayProxy> {
  let delayMs = firstDelayMs;
  const open = new Set<Socket>();
  let isDown = false;
  const server = createServer((near) => {
    if (isDown) {
      near.destroy();
      return;
    }
    const far = connect(target.port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true);
      open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        // One that ended has more on its way.
        if (!from.readableEnded) to.destroy();
      });
      from.pipe(delayed(() => delayMs)).pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    setDelay(ms) {
      delayMs = ms;
    },
    setDown(down) {
      isDown = down;
      if (down) for (const socket of open) socket.destroy();
    },
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Delays each piece without holding up those behind it, and keeps their order. */
function delayed(delayMs: () => number): Transform {
  const waiting: Buffer[] = [];
  let lastDueAt = 0;
  let onEmpty: (() => void) | undefined;
  return new Transform({
    highWaterMark: 16 * 1024 * 1024,
    transform(bytes: Buffer, _encoding, done) {
      const now = performance.now();
      lastDueAt = Math.max(lastDueAt, now + delayMs());
      waiting.push(bytes);
      setTimeout(() => {
        this.push(waiting.shift()!);
        if (waiting.length === 0) onEmpty?.();
      }, lastDueAt - now);
      done();
    },
    flush(done) {
      onEmpty = done;
      if (waiting.length === 0) done();
    },
  });
}
