import { describe, expect, test } from 'vitest';
import { GroupCommit } from '../../../gateway/metadata/groupCommit.ts';
import type { Backend, Writes } from '../../../gateway/metadata/groupCommit.ts';
import { MetadataError } from '../../../gateway/metadata/types.ts';
import type { Bytes, Commit } from '../../../gateway/metadata/types.ts';
import { bytes, text } from './keyValueStoreContract.ts';

/** Applies to a map, but only when the test says how the sync ended. */
class ManualBackend implements Backend {
  readonly stored = new Map<string, Bytes>();
  readonly batches: { readonly keys: string[]; readonly end: (error?: MetadataError) => void }[] = [];
  #begun = Promise.withResolvers<void>();

  read(key: Bytes): Bytes | undefined {
    return this.stored.get(text(key) as string);
  }

  apply(writes: Writes): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = (error?: MetadataError): void => {
      if (error) return reject(error);
      for (const [key, { value }] of writes) {
        if (value) this.stored.set(key, value);
        else this.stored.delete(key);
      }
      resolve();
    };
    this.batches.push({ keys: [...writes.keys()], end });
    this.#begun.resolve();
    return promise;
  }

  /** Waits for batch number `index` to begin. */
  async batch(index: number): Promise<(typeof this.batches)[number]> {
    while (this.batches.length <= index) {
      await this.#begun.promise;
      this.#begun = Promise.withResolvers();
    }
    return this.batches[index] as (typeof this.batches)[number];
  }
}

const put = (key: string, check?: string | null): Commit => ({
  checks: check === undefined ? [] : [{ key: bytes(key), value: check === null ? null : bytes(check) }],
  puts: [[bytes(key), bytes(`v${key}`)]],
});
const NEVER_MS = 2 ** 30;

describe('GroupCommit', () => {
  test('commits made while a batch is under way share the next one', async () => {
    const backend = new ManualBackend();
    const commits = new GroupCommit(backend, NEVER_MS);
    const first = commits.submit(put('a'));
    const one = await backend.batch(0);
    const others = ['b', 'c', 'd'].map((key) => commits.submit(put(key)));
    one.end();
    expect(await first).toBe(true);
    const two = await backend.batch(1);
    two.end();
    expect(await Promise.all(others)).toEqual([true, true, true]);
    expect(backend.batches.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c', 'd']]);
  });

  test('a check that fails against stored data is answered without waiting for the batch', async () => {
    const backend = new ManualBackend();
    backend.stored.set('a', bytes('1'));
    const commits = new GroupCommit(backend, NEVER_MS);
    const written = commits.submit(put('b'));
    expect(await commits.submit(put('a', null))).toBe(false);
    (await backend.batch(0)).end();
    expect(await written).toBe(true);
  });

  test('a failed batch rejects its commits, and those whose check failed only because of it', async () => {
    const backend = new ManualBackend();
    const commits = new GroupCommit(backend, NEVER_MS);
    const winner = commits.submit(put('a', null));
    const loser = commits.submit(put('a', null));
    const answers = Promise.allSettled([winner, loser]);
    (await backend.batch(0)).end(new MetadataError('Full', 'no room'));
    expect(await answers).toMatchObject([{ reason: { kind: 'Full' } }, { reason: { kind: 'Unavailable' } }]);
    const again = commits.submit(put('a', null));
    (await backend.batch(1)).end();
    expect(await again).toBe(true);
  });

  test('a batch that hangs is Unknown, everything after it Unavailable, until it ends after all', async () => {
    const backend = new ManualBackend();
    const commits = new GroupCommit(backend, 20);
    const hanging = commits.submit(put('a'));
    const batch = await backend.batch(0);
    const queued = commits.submit(put('b'));
    const answers = await Promise.allSettled([hanging, queued]);
    expect(answers).toMatchObject([{ reason: { kind: 'Unknown' } }, { reason: { kind: 'Unavailable' } }]);
    expect(commits.stalled).toBe(true);
    await expect(commits.submit(put('c'))).rejects.toMatchObject({ kind: 'Unavailable' });
    batch.end();
    await new Promise((wake) => setImmediate(wake));
    expect(commits.stalled).toBe(false);
    const after = commits.submit(put('a', 'va'));
    (await backend.batch(1)).end();
    expect(await after).toBe(true);
    expect(backend.batches.map(({ keys }) => keys)).toEqual([['a'], ['a']]);
  });

  test('after a fail-stop nothing is written any more', async () => {
    const backend = new ManualBackend();
    const commits = new GroupCommit(backend, NEVER_MS);
    const answers = Promise.allSettled([commits.submit(put('a'))]);
    const batch = await backend.batch(0);
    const queued = Promise.allSettled([commits.submit(put('b'))]);
    commits.failStop(new MetadataError('Unavailable', 'stopped'));
    batch.end(new MetadataError('Unknown', 'I/O error'));
    expect(await answers).toMatchObject([{ reason: { kind: 'Unknown' } }]);
    expect(await queued).toMatchObject([{ reason: { message: 'stopped' } }]);
    await expect(commits.submit(put('c'))).rejects.toThrow('stopped');
    expect(backend.batches).toHaveLength(1);
  });

  test('an unreadable key rejects its commit only', async () => {
    const backend = new ManualBackend();
    backend.read = (key) => {
      if (text(key) === 'bad') throw new Error('page fault');
      return undefined;
    };
    const commits = new GroupCommit(backend, NEVER_MS);
    const answers = Promise.allSettled([commits.submit(put('bad', null)), commits.submit(put('good', null))]);
    (await backend.batch(0)).end();
    expect(await answers).toMatchObject([{ reason: { kind: 'Unavailable' } }, { value: true }]);
  });
});

/** Lets the batch into its transaction, and ends it, when the test says so. */
class SharedBackend extends ManualBackend {
  readonly turns: (() => void)[] = [];

  transact(decide: () => Writes): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.turns.push(() => void this.apply(decide()).then(resolve, reject));
    return promise;
  }

  async turn(index: number): Promise<void> {
    while (this.turns.length <= index) await new Promise((wake) => setImmediate(wake));
    this.turns[index]!();
  }
}

describe('GroupCommit among other writers', () => {
  test('checks are evaluated when the batch has its turn, not before', async () => {
    const backend = new SharedBackend();
    const commits = new GroupCommit(backend, NEVER_MS);
    const answers = Promise.all([commits.submit(put('a', null)), commits.submit(put('b', null))]);
    while (backend.turns.length === 0) await new Promise((wake) => setImmediate(wake));
    // Another process was first.
    backend.stored.set('a', bytes('theirs'));
    await backend.turn(0);
    (await backend.batch(0)).end();
    expect(await answers).toEqual([false, true]);
    expect(text(backend.stored.get('a'))).toBe('theirs');
  });

  test('a batch whose turn does not come is not applied, then or later', async () => {
    const backend = new SharedBackend();
    const commits = new GroupCommit(backend, 20);
    await expect(commits.submit(put('a'))).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(commits.submit(put('b'))).rejects.toMatchObject({ kind: 'Unavailable' });
    await backend.turn(0);
    const batch = await backend.batch(0);
    expect(batch.keys).toEqual([]);
    batch.end();
    await new Promise((wake) => setImmediate(wake));
    const after = commits.submit(put('a', null));
    await backend.turn(1);
    (await backend.batch(1)).end();
    expect(await after).toBe(true);
  });

  test('a batch that hangs in its transaction is Unknown', async () => {
    const backend = new SharedBackend();
    const commits = new GroupCommit(backend, 20);
    const answers = Promise.allSettled([commits.submit(put('a'))]);
    await backend.turn(0);
    expect(await answers).toMatchObject([{ reason: { kind: 'Unknown' } }]);
    (await backend.batch(0)).end();
  });
});
