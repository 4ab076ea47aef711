import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  openProviders,
  parseProviderList,
  PlacementError,
  systemClock,
  type ProviderRegistry,
} from '#placement';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BucketCredentials } from '../../placement/registry/bucketLocation.ts';
import type { ProviderEntry } from '../../placement/registry/providerList.ts';
import { startGateway, type Gateway } from '../support/gateway.ts';
import { scratch } from './directories.ts';
import { cellsOf, newChunkId, sampleBytes } from './shards.ts';
import { newLocation, putObject, removeObject } from './transports/buckets.ts';

const SECRET = 'correct-horse-battery-staple';
const credentials: BucketCredentials = (name) =>
  name === 'BACKUP' ? { accessKey: 'AK', secretKey: SECRET } : undefined;

function parse(text: string): ProviderEntry {
  return parseProviderList(text, credentials)[0]!;
}

function refusal(text: string): string {
  try {
    parse(text);
  } catch (error) {
    return error instanceof PlacementError ? error.message : `not a PlacementError: ${String(error)}`;
  }
  return 'taken';
}

describe('a bucket in the list', () => {
  test('has a place, a capacity and keys by name', () => {
    const [entry, directory] = parseProviderList(
      'eu/fra1/acme=s3://cold-store/shard/way/?endpoint=https://s3.acme.example&region=eu-1&capacity=1.5TB&credentials=BACKUP,/data',
      credentials,
    );
    expect(entry).toEqual({
      endpoint: 's3://cold-store/shard/way?endpoint=https://s3.acme.example',
      domain: { region: 'eu', site: 'fra1', operator: 'acme' },
      bucket: {
        endpoint: 'https://s3.acme.example',
        region: 'eu-1',
        bucket: 'cold-store',
        prefix: 'shard/way/',
        forcePathStyle: true,
        credentials: expect.any(Function),
        capacity: 1_500_000_000_000,
      },
    });
    expect(entry!.bucket!.credentials()).toEqual({ accessKey: 'AK', secretKey: SECRET });
    expect(`${JSON.stringify(entry)} ${inspect(entry, { depth: 9 })}`).not.toContain(SECRET);
    expect(directory!.bucket).toBeUndefined();
  });

  test('at AWS needs no endpoint, and alone is a failure domain of its own', () => {
    const { endpoint, domain, bucket } = parse('s3://cold-store?capacity=100GiB&credentials=BACKUP');
    expect(endpoint).toBe('s3://cold-store');
    expect(domain).toEqual({ region: 'local', site: endpoint, operator: endpoint });
    expect(bucket).toMatchObject({
      region: 'us-east-1',
      prefix: '',
      forcePathStyle: false,
      capacity: 100 * 2 ** 30,
    });
    expect(bucket!.endpoint).toBeUndefined();
  });

  test.each([
    ['s3://cold-store?credentials=BACKUP', /capacity=100GB/],
    ['s3://cold-store?capacity=0&credentials=BACKUP', /capacity=100GB/],
    ['s3://cold-store?capacity=1e9&credentials=BACKUP', /capacity=100GB/],
    ['s3://cold-store?capacity=1GB', /credentials=NAME/],
    ['s3://cold-store?capacity=1GB&credentials=OTHER', /credentials OTHER, which are not set/],
    ['s3://cold-store?capacity=1GB&credentials=BACKUP&secret=x', /unknown parameter 'secret'/],
    ['s3://cold-store?capacity=1GB&capacity=2GB&credentials=BACKUP', /twice/],
    ['s3://cold-store?capacity=1GB&credentials=BACKUP&endpoint=ftp://a', /endpoint like/],
    ['s3://cold-store?capacity=1GB&credentials=BACKUP&endpoint=https://u:p@a', /endpoint like/],
    ['s3://cold-store?capacity=1GB&credentials=BACKUP&pathStyle=yes', /pathStyle=true/],
    ['s3://cold-store?capacity=1GB&credentials=BACKUP&region=a b', /region like/],
    ['s3://Cold_Store?capacity=1GB&credentials=BACKUP', /names a bucket/],
    ['s3://cold-store/a//b?capacity=1GB&credentials=BACKUP', /single slashes/],
    ['s3://cold-store/a%00b?capacity=1GB&credentials=BACKUP', /single slashes/],
    ['s3:cold-store', /after s3:\/\//],
    ['eu/fra1/acme=s3://cold-store', /capacity=100GB|credentials=NAME/],
  ])('%s is refused', (text, why) => {
    expect(refusal(text)).toMatch(why);
  });

  test('that names its keys where they do not belong is refused without telling them', () => {
    const message = refusal(`s3://AKIA:${SECRET}@cold-store?capacity=1GB&credentials=BACKUP`);
    expect(message).toMatch(/s3:\/\/bucket/);
    expect(message).not.toMatch(/AKIA|correct-horse/);
  });
});

describe('a registry with buckets', () => {
  let gateway: Gateway;
  let folder: Awaited<ReturnType<typeof scratch>>;
  let opened: ProviderRegistry[];
  let location: Awaited<ReturnType<typeof newLocation>>;
  beforeAll(async () => {
    gateway = await startGateway();
  });
  afterAll(() => gateway.stop());
  beforeEach(async () => {
    folder = await scratch();
    opened = [];
    location = await newLocation(gateway, { prefix: 'p/' });
  });
  afterEach(async () => {
    await Promise.all(opened.map((registry) => registry.close()));
    await folder.remove();
  });

  const listed = (change = ''): string =>
    `eu/fra1/acme=s3://${location.bucket}/p?endpoint=${gateway.endpoint}&capacity=1GB&credentials=BACKUP${change}`;
  const open = async (
    list: string,
    known?: ReturnType<ProviderRegistry['identities']>,
  ): Promise<ProviderRegistry> => {
    const entries = parseProviderList(list, () => location.credentials());
    const registry = await openProviders({ entries, clock: systemClock, ...(known && { known }) });
    opened.push(registry);
    return registry;
  };
  const error = async (list: string): Promise<string> =>
    open(list).then(
      () => 'opened',
      (reason: unknown) => (reason instanceof PlacementError ? reason.message : String(reason)),
    );

  test('opens them beside directories, under identities that stay', async () => {
    const first = await open(`${listed()},${join(folder.path, '1')}`);
    expect(first.warnings).toEqual([]);
    expect(first.candidates()).toHaveLength(2);
    const { info, transport } = first.all().find(({ info: { endpoint } }) => endpoint.startsWith('s3:'))!;
    expect(info).toMatchObject({ capacity: 1e9, free: 1e9, state: 'active', domain: { region: 'eu' } });
    await transport.put({ chunk: newChunkId(), index: 0 }, cellsOf(sampleBytes(1000)));
    const second = await open(listed(), first.identities());
    expect(second.all().map(({ info: { id } }) => id)).toEqual([info.id]);
    expect(second.all()[0]!.info.free).toBe(1e9 - 1000 - 32 - 48);
    expect(JSON.stringify([first.identities(), first.all().map(({ info: all }) => all)])).not.toContain(
      gateway.credentials.secretAccessKey,
    );
  });

  test('refuses one bucket twice, one that holds other things, and one that is not there', async () => {
    expect(await error(`${listed()},${listed()}`)).toMatch(/both marked as provider/);
    const foreign = { ...location, prefix: 'q/' };
    await putObject(gateway, foreign, 'q/thesis.tex', 'mine');
    expect(await error(listed().replace('/p?', '/q?'))).toMatch(/not a provider's/);
    expect(await error(listed().replace(location.bucket, 'nowhere'))).toMatch(
      /cannot be used: .*NoSuchBucket/,
    );
  });

  test('opens a known one that is out of reach or has lost its marker with a warning', async () => {
    const first = await open(listed());
    const known = first.identities();
    const { id } = known[0]!;
    await removeObject(gateway, location, 'p/provider.json');
    const emptied = await open(listed(), known);
    expect(emptied.warnings).toEqual([
      expect.stringMatching(/is empty. It is not used until it is repaired/),
    ]);
    expect([emptied.all()[0]!.info.id, emptied.candidates()]).toEqual([id, []]);
    await emptied.revive();
    expect(emptied.candidates()).toHaveLength(1);
    const elsewhere = known.map((one) => ({
      ...one,
      endpoint: one.endpoint.replace(location.bucket, 'nowhere'),
    }));
    const lost = await open(listed().replace(location.bucket, 'nowhere'), elsewhere);
    expect(lost.warnings).toEqual([expect.stringMatching(/cannot be used/)]);
    expect([lost.all()[0]!.info.id, lost.candidates()]).toEqual([id, []]);
  });
});
