/**
 * A provider process that can be told to misbehave: `node provider.ts '<JSON of ProviderProcessOptions>'`. It is the real daemon with a
 * fault in front of its storage or its network.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransportError, startProvider, systemClock } from '#placement';
import type { ProviderOptions, ShardName, ShardTransport } from '#placement';
import { faulty, type Fault } from '../../../placement/transports/faults.ts';
import { startDelayProxy } from './delayProxy.ts';

export type Misbehaviour =
  /** Loses this share of its shards, silently. */
  | { readonly kind: 'drops'; readonly share: number }
  /** Serves wrong bytes for this share of its shards. */
  | { readonly kind: 'corrupts'; readonly share: number }
  /** A slow machine: everything takes that much longer, the round trip too. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The same, from the first SIGUSR2 on. */
  | { readonly kind: 'slows'; readonly ms: number }
  /** Off for half of every period. */
  | { readonly kind: 'flaps'; readonly periodMs: number }
  /** Says it offers far more than the bytes it has. */
  | { readonly kind: 'overclaims'; readonly realBytes: number }
  /** Keeps its shards with others and fetches what it is asked for, which takes that long. */
  | { readonly kind: 'outsources'; readonly ms: number };

interface ProviderProcessOptions extends Omit<ProviderOptions, 'clock' | 'decorate' | 'onEvent'> {
  readonly misbehaviour?: Misbehaviour;
}

async function run({ misbehaviour, ...options }: ProviderProcessOptions): Promise<void> {
  const token = process.env['SHARDWAY_TOKEN'];
  const isDelayed =
    misbehaviour?.kind === 'slow' || misbehaviour?.kind === 'slows' || misbehaviour?.kind === 'flaps';
  const listen = isDelayed ? { host: '127.0.0.1', port: await freePort() } : options.listen;
  const proxy = isDelayed
    ? await startDelayProxy({ port: listen.port }, misbehaviour.kind === 'slow' ? misbehaviour.ms / 2 : 0)
    : undefined;
  const provider = await startProvider({
    ...options,
    ...(token !== undefined && { token }),
    listen,
    ...(proxy && { advertise: `http://127.0.0.1:${proxy.port}` }),
    clock: systemClock,
    decorate: (storage) => misbehaving(storage, misbehaviour),
    onEvent: (event) =>
      process.stderr.write(
        `${JSON.stringify('error' in event ? { ...event, error: String(event.error) } : event)}\n`,
      ),
  });
  process.stdout.write(`${JSON.stringify({ id: provider.id, endpoint: provider.endpoint })}\n`);
  if (proxy && misbehaviour?.kind === 'slows') {
    process.on('SIGUSR2', () => proxy.setDelay(misbehaviour.ms / 2));
  }
  const flapping = new AbortController();
  if (proxy && misbehaviour?.kind === 'flaps') void flap(proxy, misbehaviour.periodMs, flapping.signal);
  await new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()));
  flapping.abort();
  await provider.stop();
  await proxy?.close();
}

async function flap(
  proxy: { setDown(down: boolean): void },
  periodMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (let down = true; !signal.aborted; down = !down) {
    await sleep(periodMs / 2, undefined, { signal }).catch(() => undefined);
    proxy.setDown(down && !signal.aborted);
  }
}

/** The same shards every time, so that what is lost stays lost. */
function isAmong(name: ShardName, share: number): boolean {
  const digest = createHash('sha256').update(`${name.chunk}.${name.index}`).digest();
  return digest.readUInt32BE() / 2 ** 32 < share;
}

function misbehaving(storage: ShardTransport, misbehaviour: Misbehaviour | undefined): ShardTransport {
  const faults = (fault: Fault, share = 1): ShardTransport =>
    faulty(
      storage,
      { seed: 1, rules: [{ operations: ['get', 'prove'], fault, shards: (name) => isAmong(name, share) }] },
      systemClock,
    );
  switch (misbehaviour?.kind) {
    case 'drops':
      return faults({ kind: 'fail', error: 'NotFound' }, misbehaviour.share);
    case 'corrupts':
      return faults({ kind: 'flip' }, misbehaviour.share);
    case 'outsources':
      return faults({ kind: 'latency', ms: misbehaviour.ms });
    case 'overclaims':
      return filling(storage, misbehaviour.realBytes);
    case 'slow':
    case 'slows':
    case 'flaps':
    case undefined:
      return storage;
  }
}

/** A disk that is full after so many bytes, and does not say so. */
function filling(storage: ShardTransport, bytes: number): ShardTransport {
  let left = bytes;
  return {
    get: (name, first, count, signal) => storage.get(name, first, count, signal),
    delete: (name, signal) => storage.delete(name, signal),
    list: (after, limit, signal) => storage.list(after, limit, signal),
    prove: (name, leaf, signal) => storage.prove(name, leaf, signal),
    space: (signal) => storage.space(signal),
    close: () => storage.close(),
    put: async (name, source, signal) => {
      if (left <= 0) throw new TransportError('NoSpace', 'the disk is full');
      await storage.put(name, source, signal);
      left -= source.seal().length;
    },
  };
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

await run(JSON.parse(process.argv[2] ?? '{}') as ProviderProcessOptions);
