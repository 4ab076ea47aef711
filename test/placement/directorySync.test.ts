import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectorySyncs } from '../../placement/transports/directorySync.ts';
import { scratch } from './directories.ts';

/** Syncs that end when the test says so. */
class HeldSyncs {
  readonly started: PromiseWithResolvers<undefined>[] = [];

  readonly fsync = async (): Promise<void> => {
    const held = Promise.withResolvers<undefined>();
    this.started.push(held);
    await held.promise;
  };
}

let path: string;
let remove: () => Promise<void>;
let held: HeldSyncs;
let syncs: DirectorySyncs;

beforeEach(async () => {
  ({ path, remove } = await scratch());
  held = new HeldSyncs();
  syncs = new DirectorySyncs(held.fsync);
});
afterEach(async () => {
  for (const { resolve } of held.started) resolve(undefined);
  await syncs.forget();
  await remove();
});

/** Settles to the names of the promises that have resolved, in order. */
function follow(into: string[], name: string, work: Promise<void>): void {
  void work.then(
    () => into.push(name),
    () => into.push(`${name} failed`),
  );
}

test('who comes while a sync runs waits for the next, which all of them share', async () => {
  const ended: string[] = [];
  follow(ended, 'a', syncs.sync(path));
  follow(ended, 'b', syncs.sync(path));
  await expect.poll(() => held.started.length).toBe(1);
  for (const name of ['c', 'd', 'e']) follow(ended, name, syncs.sync(path));
  held.started[0]!.resolve(undefined);
  await expect.poll(() => held.started.length).toBe(2);
  expect(ended).toEqual(['a', 'b']);
  follow(ended, 'f', syncs.sync(path));
  held.started[1]!.resolve(undefined);
  await expect.poll(() => held.started.length).toBe(3);
  expect(ended).toEqual(['a', 'b', 'c', 'd', 'e']);
  held.started[2]!.resolve(undefined);
  await expect.poll(() => ended).toHaveLength(6);
});

test('a sync that fails fails for those it was to cover, and not for the next', async () => {
  const ended: string[] = [];
  follow(ended, 'a', syncs.sync(path));
  await expect.poll(() => held.started.length).toBe(1);
  follow(ended, 'b', syncs.sync(path));
  held.started[0]!.reject(new Error('EIO'));
  await expect.poll(() => held.started.length).toBe(2);
  held.started[1]!.resolve(undefined);
  await expect.poll(() => ended).toEqual(['a failed', 'b']);
});

test('directories do not wait for each other', async () => {
  const other = await scratch();
  const ended: string[] = [];
  follow(ended, 'a', syncs.sync(path));
  await expect.poll(() => held.started.length).toBe(1);
  follow(ended, 'b', syncs.sync(other.path));
  await expect.poll(() => held.started.length).toBe(2);
  held.started[1]!.resolve(undefined);
  await expect.poll(() => ended).toEqual(['b']);
  await other.remove();
});
