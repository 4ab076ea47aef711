/** Workers and registered providers: one worker runs the network service, all know whom it has let in. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { honestProviders, startNetwork } from '../support/network/network.ts';
import { freePort } from '../support/redis.ts';
import { freshClientOf } from '../support/server.ts';

test('every worker writes to registered providers, and another takes the network over from one that is killed', async () => {
  const network = await startNetwork({
    eraSeconds: 3600,
    providers: honestProviders(6),
    monitors: [],
    env: { SHARDWAY_WORKERS: '3', SHARDWAY_NETWORK_LISTEN: `127.0.0.1:${await freePort()}` },
  });
  const { server } = network;
  const s3 = freshClientOf(network.server, network.server);
  try {
    await s3.send(new CreateBucketCommand({ Bucket: 'network' }));
    // A worker knows of a provider a second after it was let in, and uses it when it has answered.
    const writable = async (): Promise<boolean> => {
      const probes = Array.from({ length: 24 }, async (_, key) => {
        await s3.send(new PutObjectCommand({ Bucket: 'network', Key: `probe/${key}`, Body: 'probe' }));
      });
      return (await Promise.allSettled(probes)).every(({ status }) => status === 'fulfilled');
    };
    await network.until('that every worker writes', writable, (all) => all, 60);
    const write = async (round: string): Promise<void> => {
      for (let key = 0; key < 20; key++) {
        await s3.send(
          new PutObjectCommand({ Bucket: 'network', Key: `${round}/${key}`, Body: `${round} ${key}` }),
        );
      }
    };
    await write('before');
    const leaderOf = async (): Promise<number> =>
      (JSON.parse(await readFile(join(server.data, 'admin.json'), 'utf8')) as { pid: number }).pid;
    const former = await leaderOf();
    process.kill(former, 'SIGKILL');
    await network.until(
      'another that runs the network',
      async () => {
        const leader = await leaderOf().catch(() => former);
        const summaries = leader === former ? [] : await network.summaries().catch(() => []);
        return summaries.length;
      },
      (providers) => providers === 6,
      60,
    );
    // Its listener is back at the address that the providers know.
    await network.until(
      'heartbeats',
      async () => (await fetch(server.networkUrl!).catch(() => undefined)) !== undefined,
      (answered) => answered,
      30,
    );
    await network.until('that every worker writes again', writable, (all) => all, 60);
    await write('after');
    for (const round of ['before', 'after']) {
      for (let key = 0; key < 20; key++) {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'network', Key: `${round}/${key}` }));
        expect(await Body!.transformToString()).toBe(`${round} ${key}`);
      }
    }
  } finally {
    s3.destroy();
    await network.stop();
  }
});
