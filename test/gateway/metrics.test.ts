import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createMetrics } from '../../gateway/admin/metrics.ts';
import type { Gauges } from '../../gateway/admin/metrics.ts';
import { registryOfAll } from '../../gateway/allMetrics.ts';

let isAway = false;

async function asked<T>(value: T): Promise<T> {
  if (isAway) throw new Error('the metadata store cannot be reached');
  return value;
}

const gauges: Gauges = {
  awaitingRepair: () => asked(3),
  awaitingReclaim: () => asked({ bodies: 2, chunks: 1, countedMax: 10 }),
  metadata: () => ({ state: 'strong', reasons: [], reachable: !isAway }),
  role: () => ({ background: true, processes: 1 }),
  admission: () => undefined,
  network: () => undefined,
  durability: () =>
    asked({ whole: { nines: 9, expectedLossBytes: 0, worstDomain: [] }, byBucket: {} } as never),
  providers: () => [{ id: 'p', freeBytes: 1, capacityBytes: 2, writable: true }],
};

test('while the metadata store is away, what it would have said is left out and the rest is told', async () => {
  const { registry, onRequest } = createMetrics(gauges);
  onRequest({ operation: 'GetObject', status: 503, seconds: 1, bytesIn: 0, bytesOut: 0 });
  const scrapes = [registry, registryOfAll(registry, async () => [])];
  const samples = async (): Promise<string[]> => {
    const all = await Promise.all(scrapes.map(async (one) => await one.metrics()));
    const [own, ofAll] = all.map((text) =>
      text.split('\n').filter((line) => /^shardway_(?!.*_bucket)/.test(line)),
    );
    expect(ofAll).toEqual(own);
    return own!;
  };
  expect(await samples()).toEqual(
    expect.arrayContaining([
      'shardway_chunks_awaiting_repair 3',
      'shardway_awaiting_reclaim{kind="body"} 2',
      'shardway_metadata_reachable 1',
    ]),
  );
  isAway = true;
  const away = await samples();
  expect(away).toEqual(
    expect.arrayContaining([
      'shardway_metadata_reachable 0',
      'shardway_provider_writable{provider="p"} 1',
      'shardway_s3_requests_total{operation="GetObject",status="503"} 1',
    ]),
  );
  expect(away.join('\n')).not.toMatch(/awaiting|durability|network_era/);
});

test('docs/metrics.md has a row for each metric', async () => {
  const text = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const { registry } = createMetrics(gauges);
  const rows = registry
    .getMetricsAsArray()
    .filter(({ name }) => name.startsWith('shardway_'))
    .map(({ name, help }) => `${name}: ${help}`);
  const documented = [...text.matchAll(/^\| `(\w+)` \| \w+ \| [^|]*\| ([^|]+) \|$/gm)].map(
    ([, name, help]) => `${name}: ${help}`,
  );
  expect(new Set(documented)).toEqual(new Set(rows));
});
