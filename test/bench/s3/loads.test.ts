import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { casesOf } from '../../../bench/s3/cases.ts';
import type { Client } from '../../../bench/s3/client.ts';
import { announce, contentOf } from '../../../bench/s3/content.ts';
import { takeAway } from '../../../bench/s3/drives.ts';
import { strideOf } from '../../../bench/s3/loads.ts';
import { mixedOperations } from '../../../bench/s3/mixed.ts';
import { SECTIONS, bytesOf, formatBytes, readOptions } from '../../../bench/s3/options.ts';
import { watch } from '../../../bench/s3/processes.ts';
import { peerSide } from '../../../bench/s3/side.ts';

test('a stride meets every number', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), (count) => {
      const stride = strideOf(count);
      const met = new Set(Array.from({ length: count }, (_, at) => (at * stride) % count));
      expect(met.size).toBe(count);
    }),
  );
});

test('content is decided by its number, also when the pool has grown', () => {
  announce(5000);
  const before = Buffer.from(contentOf(300, 5000));
  expect(before.equals(contentOf(301, 5000))).toBe(false);
  announce(200_000);
  expect(before.equals(contentOf(300, 5000))).toBe(true);
});

test('the mix is 45 GET, 30 HEAD, 15 PUT, 10 DELETE, and reads only what is there', async () => {
  announce(10);
  const [lanes, count] = [3, 60];
  const there = new Set(Array.from({ length: count }, (_, at) => `m/${String(at).padStart(9, '0')}`));
  const counts = { get: 0, head: 0, put: 0, remove: 0 };
  const expectThere = (key: string): void => expect(there.has(key), key).toBe(true);
  const store = {
    get: async (key: string) => void (expectThere(key), counts.get++),
    head: async (key: string) => void (expectThere(key), counts.head++),
    put: async (key: string) => void (there.add(key), counts.put++),
    remove: async (key: string) => void (expectThere(key), there.delete(key), counts.remove++),
  } as unknown as Client;
  const next = mixedOperations({ prefix: 'm/', count, size: 10 }, lanes);
  for (let turn = 0; turn < 2000; turn++) await next(turn % lanes)!(store);
  expect(counts.remove + counts.get + counts.head + counts.put).toBe(2000);
  expect([counts.get, counts.head, counts.put, counts.remove]).toEqual(
    [900, 600, 300, 200].map((expected) => expect.closeTo(expected, -1)),
  );
  expect(there.size).toBe(count + counts.put - counts.remove);
});

test('drives are taken away, with a file in their place, and come back whole', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shardway-drives-'));
  try {
    const drives = ['a', 'b'].map((name) => join(folder, name));
    for (const drive of drives) {
      mkdirSync(drive);
      writeFileSync(join(drive, 'shard'), 'x');
    }
    const back = takeAway(drives);
    for (const drive of drives) expect(statSync(drive).isFile()).toBe(true);
    back();
    expect(readdirSync(folder).sort()).toEqual(['a', 'b']);
    for (const drive of drives) expect(readdirSync(drive)).toEqual(['shard']);
    expect(() => takeAway([drives[0]!, join(folder, 'none')])).toThrow('ENOENT');
    expect(statSync(drives[0]!).isDirectory()).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a watch counts the CPU time and the memory of a process', () => {
  const meter = watch({ pids: [process.pid] });
  const before = process.cpuUsage();
  const held = Buffer.alloc(64 * 2 ** 20, 1);
  const spent = (): number => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6;
  };
  while (spent() < 0.3) held[0]! ^= 1;
  const usage = meter.stop();
  expect(usage.cpuSeconds).toBeGreaterThan(0.2);
  expect(usage.peakRssBytes).toBeGreaterThan(held.length);
  expect(usage.peakAnonymousBytes).toBeGreaterThan(held.length);
});

describe('the command line', () => {
  test('leaves out what moves too much at a time, unless sizes and concurrency are both given', () => {
    const largest = (args: string[]): number =>
      Math.max(
        ...casesOf('put', readOptions(args, SECTIONS)!).map(
          ({ size = 0, concurrency }) => size * concurrency,
        ),
      );
    expect(largest([])).toBe(100 * 2 ** 20 * 16);
    expect(largest(['--sizes', '100MiB', '--concurrency', '64'])).toBe(100 * 2 ** 20 * 64);
  });

  test('has every workload, at every size and concurrency', () => {
    const options = readOptions(['--sizes', '4KiB,1MiB', '--concurrency', '1,16'], SECTIONS)!;
    expect(casesOf('get', options).map(({ name }) => name)).toEqual([
      'get 4 KiB ×1',
      'get 4 KiB ×16',
      'get 1 MiB ×1',
      'get 1 MiB ×16',
    ]);
    const names = options.sections.flatMap((section) =>
      section === 'codec' ? [] : casesOf(section, options).map(({ name }) => name),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test('refuses what it does not know', () => {
    const wrong: Record<string, string> = {
      '--only nothing': 'nothing is none of',
      '--sizes 4KB': 'not a size',
      '--sizes 0': 'not a size',
      '--rounds 0': 'not a whole number',
      '--keys 1.5': 'not a whole number',
      '--speed 9': 'Unknown option',
    };
    for (const [args, message] of Object.entries(wrong)) {
      expect(() => readOptions(args.split(' '), SECTIONS), args).toThrow(message);
    }
  });

  test('keeps secrets out of reports', () => {
    const said = readOptions(
      ['--peer', 'minio=http://127.0.0.1:1,access,secret,pid=5', '--server', 'http://127.0.0.1:2,a,secret'],
      SECTIONS,
    )!.said;
    expect(said).toBe('--peer minio=http://127.0.0.1:1,…,pid=5 --server http://127.0.0.1:2,…');
  });

  test('sizes are read and said in powers of two', () => {
    expect(['512', '4KiB', '10MiB', '2GiB'].map(bytesOf)).toEqual([512, 4096, 10485760, 2 ** 31]);
    expect([512, 4096, 10485760, 1.5 * 2 ** 30].map(formatBytes)).toEqual([
      '512 B',
      '4 KiB',
      '10 MiB',
      '1.5 GiB',
    ]);
  });
});

test('a peer is given with its account and how to watch it', () => {
  const peer = peerSide('minio=http://127.0.0.1:9,key,secret/+=,pid=3+4,version=1', ['/d1']);
  expect(peer).toMatchObject({
    name: 'minio',
    version: '1',
    endpoint: { url: 'http://127.0.0.1:9', accessKey: 'key', secretKey: 'secret/+=' },
    watched: { pids: [3, 4] },
    drives: ['/d1'],
  });
  expect(peer.sync).toContain('synced');
  expect(peerSide('x=http://h:1,a,b,cgroup=/sys/fs/cgroup/x').watched).toEqual({
    cgroup: '/sys/fs/cgroup/x',
  });
  for (const wrong of [
    'minio',
    'a=b,c,d',
    'a=http://h:1,key',
    'a=http://h:1,k,s,pid=x',
    'a=http://h:1,k,s,no=1',
  ]) {
    expect(() => peerSide(wrong), wrong).toThrow('is given as');
  }
});
