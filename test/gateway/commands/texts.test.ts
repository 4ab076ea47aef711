import { describe, expect, test } from 'vitest';
import type { GatewayStatus, JobReport } from '../../../gateway/admin/types.ts';
import { repairText } from '../../../gateway/commands/repairText.ts';
import { statusText } from '../../../gateway/commands/statusText.ts';

const PROVIDER = {
  id: 'a'.repeat(32),
  endpoint: 'http://10.0.0.1:9100',
  state: 'active',
  reachable: true,
  writable: true,
  capacityBytes: 1e12,
  freeBytes: 5e11,
  score: 0.997_5,
};
const NETWORK = {
  gateway: 'c'.repeat(32),
  era: 41,
  closesAt: Date.UTC(2030, 0, 2, 3, 4, 5),
  providers: { active: 2 },
  monitors: { active: 7 },
  groups: 7,
  groupsMin: 7,
  ledgerRoot: undefined,
};
const STATUS: GatewayStatus = {
  version: '1.2.3',
  endpoint: 'http://127.0.0.1:9000',
  uptimeSeconds: 5,
  region: 'us-east-1',
  profile: '4+2',
  metadata: 'lmdb',
  metadataDurability: { state: 'strong', reasons: [], reachable: true },
  buckets: 1,
  chunksAwaitingRepair: 0,
  awaitingReclaim: { bodies: 0, chunks: 0, countedMax: 10_000 },
  providers: [PROVIDER],
  writeQuorum: 5,
  writable: true,
};

describe('status', () => {
  test('with the metadata store away says so, and what can be told without it', () => {
    const { buckets, chunksAwaitingRepair, awaitingReclaim, ...rest } = STATUS;
    const text = statusText({
      ...rest,
      writable: false,
      metadataDurability: { state: 'strong', reasons: [], reachable: false },
    });
    expect([buckets, chunksAwaitingRepair, awaitingReclaim]).not.toContain(undefined);
    expect(text).toContain(
      'metadata lmdb\nThe metadata store CANNOT BE REACHED\nNOT writable, nor readable, ',
    );
    expect(text).toContain(PROVIDER.id);
    expect(text).not.toMatch(/undefined|await/);
  });

  test('says what waits to be reclaimed, and who does the background work', () => {
    expect(statusText(STATUS)).not.toMatch(/reclaimed|background/i);
    const processes = [
      { host: 'a', pid: 1, data: '/x', background: false, self: true },
      { host: 'a', pid: 2, data: '/x', background: false, self: false },
      { host: 'b', pid: 1, data: '/x', background: true, self: false },
    ];
    const awaitingReclaim = { bodies: 10_000, chunks: 7, countedMax: 10_000 };
    const text = statusText({ ...STATUS, processes, awaitingReclaim });
    expect(text).toContain(
      '10000 or more deleted bodies and 7 chunks wait for their space to be reclaimed\n',
    );
    expect(text).toContain('Processes that serve this store: 3, of 2 gateways\n');
    expect(text).toContain('Background work: process 1 of the gateway with data folder /x on b\n');
    expect(statusText({ ...STATUS, processes: processes.slice(0, 2) })).toContain('NO process does the');
  });

  test('names the providers that are unreachable', () => {
    const away = { ...PROVIDER, id: 'b'.repeat(32), reachable: false, writable: false };
    const text = statusText({ ...STATUS, providers: [PROVIDER, away] });
    expect(text).toContain(`UNREACHABLE: ${away.id} (${away.endpoint})\n`);
    expect(text).toContain(`${away.id}  active, unreachable (no writes)  score 99.75 %`);
    expect(statusText(STATUS)).not.toContain('UNREACHABLE');
    expect(statusText(STATUS)).not.toMatch(/era|HyperNode/i);
  });

  test('tells of the era, the groups and the applicants', () => {
    const text = statusText({ ...STATUS, network: NETWORK });
    expect(text).toContain('Era 41 is open until 2030-01-02T03:04:05.000Z');
    expect(text).toContain('HyperNodes: 7 active, in 7 independent groups; 7 are needed\n');
    expect(text).not.toContain('approv');
    const waiting = statusText({
      ...STATUS,
      network: {
        ...NETWORK,
        closesAt: undefined,
        groups: 5,
        providers: { active: 2, applied: 1 },
        monitors: { active: 5, applied: 3 },
      },
    });
    expect(waiting).toContain('No era is open');
    expect(waiting).toContain('in 5 independent groups; TOO FEW: 7 are needed to decide anything');
    expect(waiting).toContain(
      '1 provider waits for approval: `shardway providers list`, then `shardway providers approve <id>`',
    );
    expect(waiting).toContain('3 hypernodes wait for approval: `shardway hypernodes list`');
  });

  test('a network of nobody is no cause for alarm', () => {
    const nobody = { ...NETWORK, providers: {}, monitors: {}, groups: 0 };
    expect(statusText({ ...STATUS, network: nobody })).not.toContain('TOO FEW');
  });
});

describe('a repair', () => {
  const report: JobReport = { ok: true, summary: '9 chunks examined', details: {} };

  test('that left nothing lacking says no more', () => {
    expect(repairText(report)).toBe(report.summary);
  });

  test('says how many chunks lack redundancy for which reason, and where to look', () => {
    const stuck = (chunk: string, shard: number) => ({
      id: chunk.repeat(32),
      reason: `shard ${shard}: no provider is free to take it; shard 5: no provider is free to take it; provider ${'d'.repeat(32)}: the disk is full`,
    });
    const text = repairText({
      ...report,
      ok: false,
      details: {
        waiting: 4,
        unreadable: ['1'.repeat(32)],
        failed: [stuck('2', 0), stuck('3', 4), { id: '4'.repeat(32), reason: '' }],
      },
    });
    expect(text.split('\n')).toEqual([
      '9 chunks examined',
      expect.stringContaining('Why'),
      '  4  waits for shards of an unreachable provider, which is given time to return',
      '  2  no provider is free to take it',
      '  2  the disk is full',
      expect.stringMatching(/^ {2}1 {2}too few of its shards can be read now/),
      '  1  no reason is known',
      expect.stringContaining('`shardway repair --json`'),
    ]);
  });
});
