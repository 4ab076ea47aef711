import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sampleBytes, sealOf } from '../shards.ts';
import { TestNetwork, until } from './harness.ts';

let network: TestNetwork;
let emptied: boolean;
beforeEach(async () => {
  emptied = false;
  network = await TestNetwork.start({ isEmptied: () => emptied });
  await network.listen();
});
afterEach(() => network.close());

test('a provider is gone only when no shard is on its way there and it has been emptied', async () => {
  const token = await network.service.createToken('provider', 1, 1);
  const { id } = await network.addDaemon(1, token);
  await until(() => network.service.state.open !== undefined);
  await until(async () => {
    await network.registry.probe();
    return network.registry.candidates().length === 1;
  });
  const stateNow = (): string | undefined => network.service.state.providers[id]?.state;
  const gate = Promise.withResolvers<undefined>();
  const bytes = sampleBytes(100_000);
  const cells = async function* (): AsyncGenerator<Uint8Array, undefined> {
    yield bytes.subarray(0, 50_000);
    await gate.promise;
    yield bytes.subarray(50_000);
  };
  const name = { chunk: randomBytes(16).toString('hex'), index: 0 };
  const put = network.registry.get(id)!.transport.put(name, { cells: cells(), seal: () => sealOf(bytes) });
  await until(() => network.registry.openPuts(id) === 1);

  await network.service.commandProvider(id, 'exit');
  emptied = true;
  for (let era = 0; era < 3; era++) await network.nextEra();
  expect(stateNow()).toBe('exiting');
  gate.resolve(undefined);
  await put;
  expect(network.registry.openPuts(id)).toBe(0);

  emptied = false;
  await network.nextEra();
  expect(stateNow()).toBe('exiting');
  emptied = true;
  await network.nextEra();
  expect(stateNow()).toBe('gone');
  expect(network.registry.get(id)).toBeUndefined();
});
