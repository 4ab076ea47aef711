/** What a process says of its readers to who reclaims. */
import { expect, test } from 'vitest';
import { AllPins, ReadEpochs } from '../../../gateway/engine/epochs.ts';
import { EPOCH_KEY } from '../../../gateway/engine/keys.ts';
import { epochCodec } from '../../../gateway/engine/memberRecords.ts';
import { Pins } from '../../../gateway/engine/pins.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';

const idOf = (number: number): string => number.toString(16).padStart(32, '0');

async function setting() {
  const kv = openMemoryStore();
  const pins = new Pins();
  const epochs = new ReadEpochs(kv, pins);
  const raise = async (epoch: number): Promise<boolean> => {
    await kv.commit(0, { puts: [[EPOCH_KEY, epochCodec.encode(epoch)]] });
    const isNew = await epochs.note();
    await pins.quiesce();
    return isNew;
  };
  return { kv, pins, epochs, raise };
}

test('an epoch is passed with the bodies that are still held from before, and without those that came later', async () => {
  const { pins, epochs, raise } = await setting();
  const release = pins.pin(idOf(1));
  expect(await raise(1)).toBe(true);
  expect(await raise(1)).toBe(false);
  pins.pin(idOf(2));
  expect(epochs.report()).toEqual({ passed: 1, pins: [idOf(1)] });
  release();
  expect(epochs.report()).toEqual({ passed: 1, pins: [] });
  await raise(2);
  expect(epochs.report()).toEqual({ passed: 2, pins: [idOf(2)] });
});

test('a body held by one reader after another counts as held since the first', async () => {
  const { pins, epochs, raise } = await setting();
  const first = pins.pin(idOf(1));
  await raise(1);
  const second = pins.pin(idOf(1));
  first();
  first();
  expect(epochs.report().pins).toEqual([idOf(1)]);
  second();
  expect(epochs.report().pins).toEqual([]);
  expect(pins.has(idOf(1))).toBe(false);
});

test('with more readers from before than can be listed, an epoch is not passed until enough of them are done', async () => {
  const { pins, epochs, raise } = await setting();
  const releases = Array.from({ length: 1_002 }, (_, number) => pins.pin(idOf(number)));
  await raise(1);
  expect(epochs.report()).toEqual({ passed: 0, pins: [] });
  releases[500]!();
  expect(epochs.report().passed).toBe(0);
  releases[700]!();
  const { passed, pins: listed } = epochs.report();
  expect([passed, listed.length]).toEqual([1, 1_000]);
  // More readers change nothing about it.
  for (let number = 2_000; number < 3_000; number++) pins.pin(idOf(number));
  expect(epochs.report().pins).toHaveLength(1_000);
});

test('a reader that is still looking for its version keeps an epoch from being passed', async () => {
  const { kv, pins, epochs } = await setting();
  const found = Promise.withResolvers<void>();
  const reading = pins.resolving(async () => {
    await found.promise;
    return pins.pin(idOf(1));
  });
  await kv.commit(0, { puts: [[EPOCH_KEY, epochCodec.encode(1)]] });
  await epochs.note();
  await new Promise((wake) => setImmediate(wake));
  expect(epochs.report()).toEqual({ passed: 0, pins: [] });
  found.resolve();
  await reading;
  await new Promise((wake) => setImmediate(wake));
  expect(epochs.report()).toEqual({ passed: 1, pins: [idOf(1)] });
});

const SILENT = {
  beat: 1,
  group: 'g',
  dying: false,
  passed: 0,
  pins: [],
  uploading: [],
  quietAt: [],
  settledBelow: [],
};

test('who ends waits for nobody any more, and takes everything to be read', async () => {
  const { kv, pins } = await setting();
  let sleeps = 0;
  const all: AllPins = new AllPins(pins, {
    kv,
    clock: {
      now: () => 0,
      sleep: async () => {
        if (++sleeps === 3) all.giveUp();
      },
    },
    alive: () => ({ key: EPOCH_KEY, value: null }),
    look: async () => undefined,
    others: () => new Map([[idOf(1), SILENT]]),
  });
  await all.quiesce();
  expect(sleeps).toBe(3);
  expect(all.has(idOf(2))).toBe(true);
});
