import type { Case } from './cases.ts';
import { peerKind } from './side.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

interface Target {
  readonly work: string;
  readonly applies: (one: Pick<Case, 'workload' | 'size' | 'concurrency'>) => boolean;
  /** How many times the peer's speed ours should be, by the peer's product. */
  readonly ratio: Readonly<Partial<Record<string, number>>>;
}

/** What Shardway means to reach on the same machine, in the same run, with the peers' durability beside ours. */
const TARGETS: readonly Target[] = [
  {
    work: '4 KiB PUT, 16 clients or more',
    applies: ({ workload, size, concurrency }) => workload === 'put' && size === 4 * KiB && concurrency >= 16,
    ratio: { minio: 5, seaweedfs: 1, cloudserver: 10 },
  },
  {
    work: '4 KiB GET',
    applies: ({ workload, size }) => workload === 'get' && size === 4 * KiB,
    ratio: { minio: 2, seaweedfs: 0.8, cloudserver: 6 },
  },
  {
    work: 'HEAD',
    applies: ({ workload }) => workload === 'head',
    ratio: { minio: 3, seaweedfs: 1, cloudserver: 8 },
  },
  {
    work: 'DeleteObjects of 1,000',
    applies: ({ workload }) => workload === 'delete',
    ratio: { minio: 15, seaweedfs: 2, cloudserver: 20 },
  },
  {
    work: 'list of flat keys',
    applies: ({ workload }) => workload === 'list',
    ratio: { minio: 40, seaweedfs: 1, cloudserver: 20 },
  },
  {
    work: '1 to 10 MiB PUT',
    applies: ({ workload, size = 0 }) => workload === 'put' && size >= MiB && size <= 10 * MiB,
    ratio: { minio: 1, seaweedfs: 0.8, cloudserver: 4 },
  },
  {
    work: 'large GET',
    applies: ({ workload, size = 0 }) => workload === 'get' && size >= 10 * MiB,
    ratio: { minio: 1, seaweedfs: 0.9, cloudserver: 4 },
  },
  {
    work: 'large GET with m shards lost',
    applies: ({ workload, size = 0 }) => workload === 'degraded' && size >= 10 * MiB,
    ratio: { minio: 0.8 },
  },
];

/** The target of a case against a peer of this name, or undefined where none is set. */
export function targetOf(
  one: Pick<Case, 'workload' | 'size' | 'concurrency'>,
  peer: string,
): { readonly work: string; readonly ratio: number } | undefined {
  const kind = peerKind(peer);
  const target = TARGETS.find(({ applies }) => applies(one));
  const ratio = kind === undefined ? undefined : target?.ratio[kind];
  return target === undefined || ratio === undefined ? undefined : { work: target.work, ratio };
}
