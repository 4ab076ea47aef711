import { formatBytes } from './options.ts';
import type { BenchOptions, Workload } from './options.ts';
import { FOLDER_KEYS } from './types.ts';
import type { Load, ObjectSet } from './types.ts';

/** One line of the results: a load at one size and concurrency. */
export interface Case {
  readonly name: string;
  readonly workload: Workload;
  /** Bytes of an object; of a part, of an upload in parts. */
  readonly size: number | undefined;
  readonly concurrency: number;
  /** What is counted per second beside operations. */
  readonly unit: 'bytes' | 'keys' | undefined;
  /** Goes once around instead of for so many seconds; then this is the limit. */
  readonly secondsMax?: number;
  /** Written once a side, before the case, and kept: several cases share a set. */
  readonly needs?: { readonly objects: ObjectSet; readonly folders: boolean };
  /** Written before every run, for the run changes it; removed afterwards. */
  readonly consumes?: (round: number) => ObjectSet;
  readonly load: (round: number) => Load;
  /** Removed after every run. */
  readonly leaves?: (round: number) => string;
}

const MiB = 2 ** 20;
/** What one run may write, and what a set that is read may hold. */
const WRITTEN_MAX = 4096 * MiB;
const READ_SET_BYTES = 256 * MiB;
const READ_SET_COUNT = 1000;
const READ_SET_LEAST = 8;
/** Of HEAD, lists and deletes: the body does not matter, and is small. */
const SMALL = 1024;
const MIXED_BYTES = MiB;
const PART_BYTES = 5 * MiB;
const PARTS = 4;
/** A listing of a million keys may take a peer minutes. */
const WALK_SECONDS_MAX = 600;
const DELETE_BATCH = 1000;
const LISTED = 'listed/';

/** The cases of a workload, smallest first. */
export function casesOf(workload: Workload, options: BenchOptions): Case[] {
  const { sizes, concurrency, keys } = options;
  const grid = (make: (size: number, clients: number) => Case): Case[] =>
    sizes.flatMap((size) =>
      concurrency
        .filter((clients) => size * clients <= options.inFlightMax)
        .map((clients) => make(size, clients)),
    );
  switch (workload) {
    case 'put':
      return grid(putCase);
    case 'get':
      return grid((size, clients) => getCase('get', size, clients));
    case 'degraded':
      return grid((size, clients) => getCase('degraded', size, clients));
    case 'head':
      return concurrency.map(headCase);
    case 'mixed':
      return concurrency.map((clients) => mixedCase(clients));
    case 'multipart':
      return concurrency.filter((clients) => clients <= 16).map(multipartCase);
    case 'delete':
      return [deleteCase(options.batches * DELETE_BATCH)];
    case 'list':
      return [listCase('list', keys)];
    case 'folders':
      return [listCase('folders', keys)];
  }
}

const named = (workload: string, size: number | undefined, clients: number): string =>
  `${workload}${size === undefined ? '' : ` ${formatBytes(size)}`} ×${clients}`;

function putCase(size: number, concurrency: number): Case {
  const prefix = (round: number): string => `put/${size}/${concurrency}/${round}/`;
  return {
    name: named('put', size, concurrency),
    workload: 'put',
    size,
    concurrency,
    unit: 'bytes',
    load: (round) => ({ kind: 'put', prefix: prefix(round), size, bytesMax: WRITTEN_MAX }),
    leaves: prefix,
  };
}

function readSet(size: number): ObjectSet {
  const fitting = Math.floor(READ_SET_BYTES / size);
  const count = Math.max(READ_SET_LEAST, Math.min(READ_SET_COUNT, fitting));
  return { prefix: `read/${size}/`, count, size };
}

function getCase(workload: 'get' | 'degraded', size: number, concurrency: number): Case {
  const objects = readSet(size);
  return {
    name: named(workload, size, concurrency),
    workload,
    size,
    concurrency,
    unit: 'bytes',
    needs: { objects, folders: false },
    load: () => ({ kind: 'get', objects }),
  };
}

function headCase(concurrency: number): Case {
  const objects = readSet(SMALL);
  return {
    name: named('head', undefined, concurrency),
    workload: 'head',
    size: undefined,
    concurrency,
    unit: undefined,
    needs: { objects, folders: false },
    load: () => ({ kind: 'head', objects }),
  };
}

function mixedCase(concurrency: number): Case {
  const set = (round: number): ObjectSet => ({
    prefix: `mixed/${concurrency}/${round}/`,
    count: Math.max(256, concurrency * 4),
    size: MIXED_BYTES,
  });
  return {
    name: named('mixed', MIXED_BYTES, concurrency),
    workload: 'mixed',
    size: MIXED_BYTES,
    concurrency,
    unit: 'bytes',
    consumes: set,
    load: (round) => ({ kind: 'mixed', objects: set(round) }),
    leaves: (round) => set(round).prefix,
  };
}

function multipartCase(concurrency: number): Case {
  const prefix = (round: number): string => `multipart/${concurrency}/${round}/`;
  return {
    name: `multipart ${PARTS} × ${formatBytes(PART_BYTES)} ×${concurrency}`,
    workload: 'multipart',
    size: PART_BYTES,
    concurrency,
    unit: 'bytes',
    load: (round) => ({
      kind: 'multipart',
      prefix: prefix(round),
      parts: PARTS,
      partBytes: PART_BYTES,
      bytesMax: WRITTEN_MAX,
    }),
    leaves: prefix,
  };
}

function deleteCase(count: number): Case {
  const set = (round: number): ObjectSet => ({
    prefix: `deleted/${round}/`,
    // The warm-up is one request.
    count: round === 0 ? DELETE_BATCH : count,
    size: SMALL,
  });
  return {
    name: `DeleteObjects of ${DELETE_BATCH}`,
    workload: 'delete',
    size: undefined,
    concurrency: 1,
    unit: 'keys',
    secondsMax: WALK_SECONDS_MAX,
    consumes: set,
    load: (round) => ({ kind: 'deleteObjects', objects: set(round), batch: DELETE_BATCH }),
  };
}

function listCase(kind: 'list' | 'folders', keys: number): Case {
  const what = kind === 'list' ? 'flat' : `by folders of ${FOLDER_KEYS}`;
  return {
    name: `list ${keys} keys, ${what}`,
    workload: kind,
    size: undefined,
    concurrency: 1,
    unit: 'keys',
    secondsMax: WALK_SECONDS_MAX,
    needs: { objects: { prefix: LISTED, count: keys, size: SMALL }, folders: true },
    load: () => ({ kind, prefix: LISTED, keys }),
  };
}
