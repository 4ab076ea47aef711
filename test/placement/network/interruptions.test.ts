import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createHasher } from '#erasure';
import { isPreimage } from '../../../placement/network/beacon.ts';
import type { Observation } from '../../../placement/network/messages.ts';
import { readLog } from '../../../placement/oracle/logReader.ts';
import { replay } from '../../../placement/oracle/replay.ts';
import type { LogRecord } from '../../../placement/oracle/types.ts';
import { systemClock } from '../../../placement/time.ts';
import { activeMonitor, ERA_MS, TestNetwork, until } from './harness.ts';

const DAY_MS = 86_400_000;

test('a sleep longer than timers go ends in 12 days, not at once', async () => {
  vi.useFakeTimers();
  try {
    let ended = false;
    void systemClock.sleep(30 * DAY_MS).then(() => (ended = true));
    await vi.advanceTimersByTimeAsync(2 ** 30 - 1);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});

describe('network service', () => {
  let network: TestNetwork;

  beforeEach(async () => {
    network = await TestNetwork.start();
    await network.listen();
  });

  afterEach(async () => {
    await network.close();
  });

  test('an era that was opened while the clock was a day ahead is closed at once, and eras go on', async () => {
    await activeMonitor(network);
    const { clock } = network;
    const right = clock.now.bind(clock);
    clock.now = () => right() + DAY_MS;
    await network.nextEra();
    const ahead = network.service.era();
    expect(ahead.closesAt).toBeGreaterThan(right() + DAY_MS - ERA_MS);
    clock.now = right;
    const { at } = network.service.state;
    await network.nextEra();
    for (let i = 0; i < 3; i++) {
      const { era, opensAt, closesAt } = network.service.era();
      expect(era).toBe(ahead.era + 1 + i);
      expect(closesAt).toBeGreaterThan(right());
      expect(closesAt).toBeLessThanOrEqual(right() + 2 * ERA_MS);
      // HyperNodes share out the time in between.
      expect(closesAt - opensAt).toBeGreaterThan(0);
      expect(closesAt - opensAt).toBeLessThanOrEqual(2 * ERA_MS);
      await network.nextEra();
    }
    // The log's time has gone on too: eras are as long as they were.
    expect(network.service.state.at - at).toBeGreaterThanOrEqual(3 * ERA_MS);
    expect(network.service.state.at - at).toBeLessThan(10 * ERA_MS);
    await network.service.close();
    expect(await replay(join(network.folder, 'log'))).toMatchObject({ agree: true });
    await network.open();
  });

  test('what providers served before a restart is observed, and their space too, once', async () => {
    const token = await network.service.createToken('provider', 3, 1);
    for (const i of [1, 2, 3]) await network.addDaemon(i, token);
    await until(async () => {
      await network.registry.probe();
      return network.registry.candidates().length === 3;
    });
    const chunk = await network.storeChunk();
    await until(() => network.service.state.open !== undefined);
    await network.nextEra();
    const serve = async (): Promise<void> => {
      for (const [index, place] of network.catalog.records.get(chunk)!.shards.entries()) {
        await network.registry.get(place!.provider)!.transport.get({ chunk, index }, 0, 1);
      }
    };
    const heard = (): Promise<void> =>
      until(async () =>
        (await network.service.providers()).every(({ heartbeatAgeMs }) => heartbeatAgeMs === 0),
      );
    const last = (): Observation['providers'] => network.service.state.observation!.providers;

    await heard();
    await serve();
    await network.stop();
    network.clock.advance(ERA_MS + 1);
    await network.open();
    const { era } = network.service.state;
    network.service.start();
    await until(() => network.service.state.era > era && network.service.state.open !== undefined);
    expect(last().map(({ reads, space }) => [reads, space !== undefined])).toEqual([
      [1, true],
      [1, true],
      [1, true],
    ]);
    // They were told of, and are not told of again.
    await network.stop();
    await network.open();
    network.service.start();
    await network.nextEra();
    expect(last().map(({ reads }) => reads)).toEqual([0, 0, 0]);

    await serve();
    await network.stop();
    await network.open();
    network.service.start();
    await serve();
    await network.nextEra();
    expect(last().map(({ reads, egressBytes }) => [reads, egressBytes])).toEqual([
      [2, 2 * 16_384],
      [2, 2 * 16_384],
      [2, 2 * 16_384],
    ]);
  });

  test('what was seen is saved every minute, for a stop that comes without warning', async () => {
    await activeMonitor(network);
    const seen = async (): Promise<string> =>
      await readFile(join(network.folder, 'seen.json'), 'utf8').catch(() => '');
    await until(async () => (await seen()) !== '');
    const daemon = await network.addDaemon(1, await network.service.createToken('provider', 1, 1));
    await until(() => network.service.state.providers[daemon.id]?.state === 'vetting');
    await until(async () => (await network.service.providers())[0]?.heartbeatAgeMs !== undefined);
    expect(await seen()).not.toContain(daemon.id);
    await network.nextEra();
    await until(async () => (await seen()).includes(daemon.id));
  });

  test('what samples were drawn with is told at the close, and was fixed when the era opened', async () => {
    await activeMonitor(network);
    await network.nextEra();
    await network.nextEra();
    const { era } = network.service.state;
    const records: LogRecord[] = [];
    await network.service.close();
    for await (const { record } of readLog(join(network.folder, 'log'))) records.push(record);
    const reveals = records.flatMap((record) => (record.kind === 'era-opened' ? [record.reveal] : []));
    const told = records.flatMap((record) => (record.kind === 'assignments' ? [record] : []));
    expect(told.length).toBeGreaterThan(1);
    for (const { era: of, sampling } of told) {
      const next = Buffer.from(reveals[of + 1]!, 'hex');
      const expected = createHasher().hash(Buffer.concat([Buffer.from('shardway sampling '), next]));
      expect(sampling).toBe(Buffer.from(expected).toString('hex'));
      expect(isPreimage(reveals[of + 1]!, reveals[of]!)).toBe(true);
    }
    // Of the era that is open, nothing that is sent tells it.
    const folder = join(network.folder, `era-${era}`);
    const { sampling } = JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8')) as {
      sampling: string;
    };
    expect(sampling).toMatch(/^[0-9a-f]{64}$/);
    const sent = (await readdir(folder)).filter((name) => /^[0-9a-f]{32}\.json$/.test(name));
    expect(sent).toHaveLength(1);
    expect(await readFile(join(folder, sent[0]!), 'utf8')).not.toContain(sampling);
    await network.open();
  });
});
