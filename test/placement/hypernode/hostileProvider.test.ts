import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LEAF_BYTES } from '#erasure';
import { createIdentity } from '../../../placement/network/identity.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { encodeSigned, SIGNED_HEADER } from '../../../placement/provider/wire.ts';
import type { Script, ScriptedProvider } from './scriptedProvider.ts';
import { newGateway, newMonitor, newProvider } from './setting.ts';
import type { KnownShard, TestGateway } from './testGateway.ts';

/** Work goes on for the neighbour while the other does its worst. */
async function besideNeighbour(
  hostile: { id: string; publicKey: string; endpoint: string },
  shards: readonly KnownShard[],
): Promise<{ outcomes: string[]; answered: number; throughput: number[] }> {
  const [gateway, neighbour] = [await newGateway(), await newProvider()];
  const own = neighbour.hold();
  gateway.tasks = (monitor) => [
    hostileTask(gateway, monitor, hostile, shards),
    gateway.task(monitor, neighbour, [own]),
  ];
  gateway.openEra(1);
  await newMonitor(gateway, { limits: { probes: 2, answerMs: 800, readMs: 800 } });
  const { findings, connectivity } = await gateway.report();
  expect(connectivity.reached * 2).toBeGreaterThanOrEqual(connectivity.checked);
  expect(findings[1]).toMatchObject({ provider: neighbour.id, probes: 2, answered: 2 });
  expect(findings[1]!.audits.map(({ outcome }) => outcome)).toEqual(['ok']);
  const { audits, answered, throughput } = findings[0]!;
  return { outcomes: audits.map(({ outcome }) => outcome), answered, throughput };
}

function hostileTask(
  gateway: TestGateway,
  monitor: string,
  hostile: { id: string; publicKey: string; endpoint: string },
  shards: readonly KnownShard[],
): ReturnType<TestGateway['task']> {
  const task = gateway.task(monitor, hostile, shards);
  const [shard] = shards;
  return shard ? { ...task, throughput: gateway.run(monitor, hostile, shard, 0, 1) } : task;
}

async function hostileProvider(script: Script): Promise<[ScriptedProvider, KnownShard[]]> {
  const provider = await newProvider();
  provider.script = script;
  return [provider, [provider.hold()]];
}

/** Says hello as it should, and answers everything else by `answer`. */
function otherwise(answer: (response: Parameters<Script>[1]) => void): Script {
  return (route, response) => {
    if (route === 'hello') return false;
    answer(response);
    return true;
  };
}

/** A server of bare sockets under a provider's name. */
async function bareServer(
  onSocket: (socket: Socket) => void,
): Promise<{ id: string; publicKey: string; endpoint: string }> {
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { id, publicKey } = createIdentity();
  return { id, publicKey, endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const FAKE: KnownShard = { chunk: 'fa'.repeat(16), index: 0, root: '00'.repeat(32), length: LEAF_BYTES };

describe('a provider harms nothing', () => {
  test('that takes connections and says nothing', async () => {
    const seen = await besideNeighbour(await bareServer(() => undefined), [FAKE]);
    expect(seen).toMatchObject({ outcomes: ['silent'], answered: 0 });
  });

  test('that sends headers without end', async () => {
    const line = `x-more: ${'x'.repeat(4000)}\r\n`;
    const endless = await bareServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const more = (): void => {
        while (!socket.destroyed && socket.write(line));
      };
      socket.on('drain', more);
      more();
    });
    expect(await besideNeighbour(endless, [FAKE])).toMatchObject({ outcomes: ['silent'], answered: 0 });
  });

  test('that sends interim answers without end', async () => {
    const endless = await bareServer((socket) => {
      const more = (): void => {
        if (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n')) setImmediate(more);
      };
      socket.on('drain', more);
      socket.once('data', more);
    });
    expect(await besideNeighbour(endless, [FAKE])).toMatchObject({ outcomes: ['silent'], answered: 0 });
  });

  test('with huge headers', async () => {
    const [provider, shards] = await hostileProvider(
      otherwise((response) => {
        response.setHeader('x-huge', 'h'.repeat(60_000));
        response.end('x');
      }),
    );
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], throughput: [0] });
  });

  test('with a body without end', async () => {
    const [provider, shards] = await hostileProvider(
      otherwise((response) => {
        response.writeHead(200);
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        };
        response.on('drain', more);
        more();
      }),
    );
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], throughput: [0] });
  });

  test('that says it has more than it may have', async () => {
    const [provider, shards] = await hostileProvider(
      otherwise((response) => {
        response.writeHead(200, { 'content-length': 1e12 });
        response.flushHeaders();
      }),
    );
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], throughput: [0] });
  });

  test('that trickles', async () => {
    const [provider, shards] = await hostileProvider(
      otherwise((response) => {
        response.writeHead(200, { 'content-length': LEAF_BYTES });
        const timer = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(timer));
      }),
    );
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], throughput: [0] });
  });

  test('that redirects: nobody follows', async () => {
    let hits = 0;
    const elsewhere = createHttpServer((_, response) => {
      hits++;
      response.end();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void elsewhere.close());
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/latest/meta-data`;
    const [provider, shards] = await hostileProvider((_route, response) => {
      response.writeHead(307, { location }).end();
      return true;
    });
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], answered: 0 });
    expect(hits).toBe(0);
  });

  test.each([
    ['deep JSON', '['.repeat(4000)],
    ['the prototype', '{"__proto__":{"provider":"x"},"constructor":1}'],
    ['numbers that are none', '{"version":1,"time":1e999}'],
    ['no JSON', '\u0000\u0001<html>'],
  ])('whose hello is %s', async (_what, body) => {
    const [provider, shards] = await hostileProvider((_route, response) => {
      const signed = encodeSigned(signStatement(createIdentity(), 'hello', {}));
      response.writeHead(200, { [SIGNED_HEADER]: signed, 'content-length': body.length }).end(body);
      return true;
    });
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], answered: 0 });
  });

  test('that signs the hello of another identity, or the nonce of another hello', async () => {
    const [provider, shards] = await hostileProvider((route, response) => {
      if (route !== 'hello') return false;
      const { id, publicKey, session } = provider;
      const body = JSON.stringify({ version: 1, provider: id, publicKey, session, time: 1 });
      const signer = provider.asked.length % 2 === 0 ? provider.identity : createIdentity();
      const signed = encodeSigned(signStatement(signer, 'hello', { nonce: '00'.repeat(32), session }));
      response.writeHead(200, { [SIGNED_HEADER]: signed }).end(body);
      return true;
    });
    expect(await besideNeighbour(provider, shards)).toMatchObject({ outcomes: ['silent'], answered: 0 });
  });

  test('that signs a proof for another challenge', async () => {
    const [provider, shards] = await hostileProvider((route, response) => {
      if (route !== 'prove') return false;
      const { chunk, index } = shards[0]!;
      const about = { provider: provider.id, chunk, index, leaf: 0, nonce: '11'.repeat(32) };
      const said = { ...about, leafHash: '00'.repeat(32), path: '' };
      const signed = encodeSigned(signStatement(provider.identity, 'proof', said));
      response.writeHead(200, { [SIGNED_HEADER]: signed }).end('leaf');
      return true;
    });
    expect((await besideNeighbour(provider, shards)).outcomes).toEqual(['silent']);
  });
});
