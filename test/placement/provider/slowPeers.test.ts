import { expect, test } from 'vitest';
import { SlowPeers } from '../../../placement/provider/slowPeers.ts';
import { ManualClock } from '../manualClock.ts';

const RULE = { bytesPerSecondMin: 1024, windowMs: 30_000 };

/** Runs `windows` windows, calling `second` in each second, and tells in which one the peer was cut. */
async function cutAfter(
  windows: number,
  second: (at: number, transfer: ReturnType<SlowPeers['begin']>) => void,
): Promise<number | undefined> {
  const clock = new ManualClock();
  const peers = new SlowPeers(RULE, clock);
  const stopping = new AbortController();
  const running = peers.run(stopping.signal);
  let cut: number | undefined;
  let at = 0;
  const transfer = peers.begin(() => (cut ??= at));
  for (; at < windows * 30; at++) {
    second(at, transfer);
    clock.advance(1000);
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
  }
  stopping.abort();
  await running;
  return cut;
}

test('a peer that gives less than the least is cut at the end of the window', async () => {
  const speeds = [0, 10, 1000, 1023].map((bytes) =>
    cutAfter(3, (_, transfer) => {
      transfer.moved(bytes);
      transfer.waiting();
    }),
  );
  expect(await Promise.all(speeds)).toEqual([29, 29, 29, 29]);
});

test('a peer that gives the least, in whatever bursts, is not cut', async () => {
  const even = cutAfter(5, (_, transfer) => {
    transfer.moved(1024);
    transfer.waiting();
  });
  const bursts = cutAfter(5, (at, transfer) => {
    transfer.waiting();
    if (at % 30 !== 15) return;
    transfer.moved(31 * 1024);
    transfer.waiting();
  });
  expect(await Promise.all([even, bursts])).toEqual([undefined, undefined]);
});

test('time that we take ourselves is not held against the peer', async () => {
  // Waited for in one second of three: a disk that is slow.
  const cut = cutAfter(5, (at, transfer) => {
    if (at % 3 === 0) transfer.waiting();
    else transfer.moved(1);
  });
  expect(await cut).toBeUndefined();
});

test('a peer that begins late in a window is judged at the end of the next', async () => {
  expect(await cutAfter(3, (at, transfer) => void (at === 20 && transfer.waiting()))).toBe(59);
});

test('a transfer that has ended is not cut', async () => {
  const clock = new ManualClock();
  const peers = new SlowPeers(RULE, clock);
  const stopping = new AbortController();
  const running = peers.run(stopping.signal);
  const transfer = peers.begin(() => expect.unreachable());
  transfer.waiting();
  peers.end(transfer);
  clock.advance(30_000);
  stopping.abort();
  await running;
});

test('a sender with a grant may pause for a quarter of an hour, and is cut when nothing comes for longer', async () => {
  const pauses = cutAfter(90, (at, transfer) => {
    transfer.bePatient();
    transfer.moved(at % 900 === 899 ? 256 * 1024 : 0);
    transfer.waiting();
  });
  const silent = cutAfter(90, (_, transfer) => {
    transfer.bePatient();
    transfer.waiting();
  });
  expect(await pauses).toBeUndefined();
  expect(await silent).toBe(64 * 30 - 1);
});
