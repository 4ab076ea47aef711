import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LEAF_BYTES } from '#erasure';
import { LocalDirectory, systemClock } from '#placement';
import { startProvider, type RunningProvider } from '../../../placement/provider/daemon.ts';
import { denialStatementSchema, proofStatementSchema } from '../../../placement/network/messages.ts';
import { openStatement } from '../../../placement/network/signed.ts';
import { newChunkId, sampleBytes, wholeOf } from '../shards.ts';
import { newFolder, newGateway, newMonitor } from './setting.ts';
import type { KnownShard, TestGateway } from './testGateway.ts';

/** A provider's process, with these shards stored before it starts. */
async function daemon(
  gateway: TestGateway,
  lengths: readonly number[],
): Promise<{ data: string; shards: KnownShard[]; start: () => Promise<RunningProvider> }> {
  const data = await newFolder();
  const start = async (): Promise<RunningProvider> => {
    const provider = await startProvider({
      data,
      listen: { host: '127.0.0.1', port: 0 },
      gateway: gateway.url,
      region: 'north',
      site: 'one',
      operator: 'host',
      networkPrefix: '198.51.100.0/24',
      storageClass: 'ssd',
      capacity: 1e9,
      clock: systemClock,
    });
    onTestFinished(() => provider.stop());
    await gateway.called('providers');
    return provider;
  };
  const once = await start();
  await once.stop();
  const directory = new LocalDirectory(join(data, 'shards'), once.id);
  const shards: KnownShard[] = [];
  for (const length of lengths) {
    const [chunk, source] = [newChunkId(), wholeOf(sampleBytes(length, shards.length + 1))];
    await directory.put({ chunk, index: 0 }, source);
    shards.push({ chunk, index: 0, root: Buffer.from(source.seal().root).toString('hex'), length });
  }
  await directory.close();
  return { data, shards, start };
}

async function fileOf(data: string, { chunk, index }: KnownShard): Promise<string> {
  const folder = join(data, 'shards');
  const names = await readdir(folder, { recursive: true });
  return join(
    folder,
    names.find((name) => name.endsWith(`${chunk}.${index}`))!,
  );
}

test('a provider that keeps one shard, has lost one and spoilt one is reported as just that', async () => {
  const gateway = await newGateway();
  const { data, shards, start } = await daemon(gateway, [9 * LEAF_BYTES + 5, LEAF_BYTES, 3 * LEAF_BYTES]);
  await rm(await fileOf(data, shards[1]!));
  const spoilt = await fileOf(data, shards[2]!);
  const bytes = await readFile(spoilt);
  bytes[100]! ^= 1;
  await writeFile(spoilt, bytes);
  const { id, identity, endpoint } = await start();
  gateway.tasks = (monitor) => {
    const provider = { id, publicKey: identity.publicKey, endpoint };
    const task = gateway.task(monitor, provider, shards);
    return [{ ...task, throughput: gateway.run(monitor, provider, shards[0]!, 2, 5) }];
  };
  gateway.openEra(8);
  await newMonitor(gateway);
  const [finding] = (await gateway.report()).findings;
  expect(finding).toMatchObject({ provider: id, probes: 4, answered: 4 });
  expect(finding!.audits.map(({ outcome }) => outcome)).toEqual(['ok', 'missing', 'wrong']);
  expect(finding!.throughput[0]).toBeGreaterThan(0);
  const [ok, missing, wrong] = finding!.audits.map(({ evidence }) => evidence);
  for (const proof of [ok, wrong])
    expect(openStatement(proof, 'proof', proofStatementSchema).signer).toBe(id);
  expect(openStatement(missing, 'denial', denialStatementSchema).value.reason).toBe('NotFound');
});
