import { randomInt } from 'node:crypto';
import { announce, contentOf, folderOf, keyOf } from './content.ts';
import type { NextOperation, Operation } from './lanes.ts';
import { mixedOperations } from './mixed.ts';
import { FOLDER_KEYS } from './types.ts';
import type { Load, ObjectSet } from './types.ts';

/** Objects that are read back after a run of PUTs. */
const SAMPLE_MAX = 6;
/** Pages of a listing whose keys are counted one by one. */
const COUNTED_EVERY = 16;

export interface RunningLoad {
  readonly next: NextOperation;
  /** Some numbers whose PUT was acknowledged. */
  written?(): readonly number[];
}

export function startLoad(load: Load, lanes: number): RunningLoad {
  switch (load.kind) {
    case 'put':
      return puts(load.prefix, load.size, load.bytesMax);
    case 'putRepeated':
      return putsRepeated(load.prefix, load.size);
    case 'get':
      return cycle(load.objects, (key, { size }) => async (client) => {
        await client.get(key, size);
        return { bytes: size };
      });
    case 'head':
      return cycle(load.objects, (key, { size }) => async (client) => {
        await client.head(key, size);
        return {};
      });
    case 'range':
      return cycle(load.objects, (key, { size }) => async (client) => {
        const first = randomInt(size - load.length + 1);
        await client.range(key, first, first + load.length - 1, false);
        return { bytes: load.length };
      });
    case 'mixed':
      return { next: mixedOperations(load.objects, lanes) };
    case 'list':
      return pages(load.prefix, load.keys);
    case 'firstPage':
      return { next: () => firstPage(load.prefix, Math.min(load.keys, FOLDER_KEYS)) };
    case 'folders':
      return folders(load.prefix, load.keys);
    case 'deleteObjects':
      return batches(load.objects, load.batch);
    case 'multipart':
      return uploads(load);
  }
}

function puts(prefix: string, size: number, bytesMax: number): RunningLoad {
  let number = 0;
  const first: number[] = [];
  const last: number[] = [];
  const operation = (at: number): Operation => {
    return async (client) => {
      await client.put(keyOf(prefix, at), contentOf(at, size));
      if (first.length < SAMPLE_MAX / 2) first.push(at);
      else last[at % (SAMPLE_MAX / 2)] = at;
      return { bytes: size };
    };
  };
  return {
    next: () => (number * size < bytesMax ? operation(number++) : undefined),
    written: () => [...first, ...last.filter((at) => at !== undefined)],
  };
}

const PIECE_BYTES = 2 ** 20;

function putsRepeated(prefix: string, length: number): RunningLoad {
  announce(PIECE_BYTES);
  const body = { piece: contentOf(0, PIECE_BYTES), length };
  let number = 0;
  const operation = (key: string): Operation => {
    return async (client) => {
      await client.put(key, body);
      return { bytes: length };
    };
  };
  return { next: () => operation(keyOf(prefix, number++)) };
}

/** All objects in a scattered order, again and again. */
function cycle(objects: ObjectSet, operation: (key: string, objects: ObjectSet) => Operation): RunningLoad {
  const stride = strideOf(objects.count);
  let at = 0;
  return {
    next: () => {
      at = (at + stride) % objects.count;
      return operation(keyOf(objects.prefix, at), objects);
    },
  };
}

/** Near the golden section and coprime to the count, so that the steps meet every number. */
export function strideOf(count: number): number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let stride = Math.max(1, Math.round(count * 0.618));
  while (common(stride, count) !== 1) stride++;
  return stride;
}

/** One client walks; a page needs the one before. */
function pages(prefix: string, keys: number): RunningLoad {
  let token: string | undefined;
  let seen = 0;
  let number = 0;
  let ended = false;
  const operation: Operation = async (client) => {
    const page = await client.list(prefix, token);
    if (number++ % COUNTED_EVERY === 0) expectKeys(page.text.split('<Key>').length - 1, page.keys);
    seen += page.keys;
    token = page.next;
    ended = token === undefined;
    if (ended) expectKeys(seen, keys);
    return { keys: page.keys };
  };
  return { next: (lane) => (lane === 0 && !ended ? operation : undefined) };
}

function firstPage(prefix: string, keys: number): Operation {
  return async (client) => {
    const page = await client.list(prefix, undefined);
    expectKeys(page.keys, keys);
    return { keys: page.keys };
  };
}

/** The folders' names themselves first, by the first client alone; then a page of each. */
function folders(prefix: string, keys: number): RunningLoad {
  const count = Math.ceil(keys / FOLDER_KEYS);
  let folder = -1;
  let token: string | undefined;
  let prefixes = 0;
  const names: Operation = async (client) => {
    const page = await client.list(prefix, token, '/');
    prefixes += page.text.split('<CommonPrefixes>').length - 1;
    token = page.next;
    if (token === undefined) {
      expectKeys(prefixes, count);
      folder = 0;
    }
    return { keys: page.keys };
  };
  const operation = (at: number): Operation => {
    const expected = Math.min(FOLDER_KEYS, keys - at * FOLDER_KEYS);
    return async (client) => {
      const page = await client.list(folderOf(prefix, at), undefined, '/');
      expectKeys(page.keys, expected);
      return { keys: page.keys };
    };
  };
  return {
    next: (lane) => {
      if (folder === -1) return lane === 0 ? names : undefined;
      return folder < count ? operation(folder++) : undefined;
    },
  };
}

function expectKeys(seen: number, expected: number): void {
  if (seen !== expected) throw new Error(`a listing of ${seen} keys instead of ${expected}`);
}

function batches({ prefix, count }: ObjectSet, batch: number): RunningLoad {
  let at = 0;
  const operation = (from: number, to: number): Operation => {
    const keys = Array.from({ length: to - from }, (_, index) => keyOf(prefix, from + index));
    return async (client) => {
      await client.removeAll(keys);
      return { keys: keys.length };
    };
  };
  return {
    next: () => {
      const from = at;
      at = Math.min(count, at + batch);
      return from < at ? operation(from, at) : undefined;
    },
  };
}

function uploads({ prefix, parts, partBytes, bytesMax }: Load & { kind: 'multipart' }): RunningLoad {
  let number = 0;
  const operation = (at: number): Operation => {
    return async (client) => {
      const key = keyOf(prefix, at);
      const uploadId = await client.startUpload(key);
      const etags: string[] = [];
      for (let part = 1; part <= parts; part++) {
        etags.push(await client.putPart(key, uploadId, part, contentOf(at + part, partBytes)));
      }
      await client.completeUpload(key, uploadId, etags);
      return { bytes: parts * partBytes };
    };
  };
  const bytes = parts * partBytes;
  return { next: () => (number * bytes < bytesMax ? operation(number++) : undefined) };
}
