/** Processes that share a store: who lives, who leads, and who still reads. */
import { afterEach, describe, expect, test } from 'vitest';
import { KIND, memberKey, ofKind, sessionKey } from '../../../gateway/engine/keys.ts';
import { MetadataError } from '../../../gateway/metadata/types.ts';
import { kindOf, OWNER, putText, readAll, readText, recordedChunks } from './harness.ts';
import { Cluster } from './peersHarness.ts';

const BIG = 'x'.repeat(250_000);

describe.each([1, 4])('several processes, %i partitions', (partitions) => {
  let cluster: Cluster;
  const begin = async (count: number) => {
    cluster = new Cluster(partitions);
    for (let started = 0; started < count; started++) await cluster.start();
    return cluster.processes as [Cluster['processes'][0], Cluster['processes'][0], Cluster['processes'][0]];
  };
  afterEach(() => cluster.stop());
  const isFenced = async (session: string): Promise<boolean> => {
    const found = await Promise.all(
      Array.from({ length: partitions }, (_, partition) => cluster.kv.get(partition, sessionKey(session))),
    );
    return found.every((value) => value === undefined);
  };

  test('who is silent for ten seconds is dead, fenced off everywhere, and learns of it', async () => {
    const [one, two] = await begin(2);
    await cluster.pass(3_000);
    two.gate.shut();
    await cluster.pass(8_000);
    expect(one.peers.members.isLive(two.engine.session)).toBe(true);
    await cluster.pass(4_000);
    expect(one.peers.members.isLive(two.engine.session)).toBe(false);
    expect(await isFenced(two.engine.session)).toBe(true);
    expect(await isFenced(one.engine.session)).toBe(false);
    two.gate.open();
    await two.peers.members.lost;
    expect(two.peers.members.isFresh()).toBe(false);
  });

  test('a beat in the last moment saves', async () => {
    const [one, two] = await begin(2);
    for (let round = 0; round < 5; round++) {
      two.gate.shut();
      await cluster.pass(9_000);
      two.gate.open();
      await cluster.pass(1_000);
    }
    expect(one.peers.members.isLive(two.engine.session)).toBe(true);
    expect(await isFenced(two.engine.session)).toBe(false);
  });

  test('an hour in which nobody reaches the store kills nobody', async () => {
    const [one, two] = await begin(2);
    cluster.hooks.beforeAll = async () => {
      throw new MetadataError('Unavailable', 'away');
    };
    await cluster.pass(3_600_000 / 60);
    cluster.now += 3_600_000;
    await expect(one.peers.beat()).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(one.peers.members.isFresh()).toBe(false);
    delete cluster.hooks.beforeAll;
    await one.peers.members.look();
    await two.peers.members.look();
    await cluster.pass(2_000);
    expect(one.peers.members.isLive(two.engine.session)).toBe(true);
    expect(two.peers.members.isLive(one.engine.session)).toBe(true);
    expect([one.peers.members.isFresh(), two.peers.members.isFresh()]).toEqual([true, true]);
  });

  test('what one leaves half done of a burial another ends', async () => {
    const [one, two, three] = await begin(3);
    await cluster.pass(1_000);
    three.gate.shut();
    // Whoever declares it dead gets no further.
    let declared = false;
    cluster.hooks.beforeCommit = async (changes) => {
      const isFence = changes.deletes?.some((key) =>
        Buffer.from(key).equals(sessionKey(three.engine.session)),
      );
      if (isFence && !declared) {
        declared = true;
        throw new MetadataError('Unavailable', 'away');
      }
    };
    await cluster.pass(12_000);
    expect(declared).toBe(true);
    await cluster.pass(1_000);
    expect(await isFenced(three.engine.session)).toBe(true);
    expect(await cluster.kv.get(0, memberKey(three.engine.session))).toBeUndefined();
    expect(one.peers.members.isLive(three.engine.session)).toBe(false);
    expect(two.peers.members.isLive(three.engine.session)).toBe(false);
  });

  test('one that is known to have ended is not waited for, nor one of a former group', async () => {
    const [one, two, three] = await begin(3);
    two.gate.shut();
    one.peers.members.exited(two.engine.session);
    await cluster.pass(1_000);
    expect(await isFenced(two.engine.session)).toBe(true);
    one.gate.shut();
    three.gate.shut();
    const next = await cluster.start({ group: 'another', exclusive: true });
    expect(await isFenced(one.engine.session)).toBe(true);
    expect(await isFenced(three.engine.session)).toBe(true);
    expect(next.engine.leadership.isHeld()).toBe(true);
  });

  test('everyone is known with its place, one says nothing of it, and who does the background work', async () => {
    const place = { host: 'h', pid: 7, data: '/d' };
    cluster = new Cluster(partitions);
    const one = await cluster.start({ place });
    const two = await cluster.start();
    await cluster.pass(2_000);
    expect(await one.peers.processes()).toEqual([
      { place, isSelf: true, isHolder: true },
      { place: undefined, isSelf: false, isHolder: false },
    ]);
    expect(await two.peers.processes()).toEqual([
      { place: undefined, isSelf: true, isHolder: false },
      { place, isSelf: false, isHolder: true },
    ]);
    await one.engine.close();
    expect((await two.peers.processes()).some(({ isHolder }) => isHolder)).toBe(false);
    await cluster.pass(2_000);
    expect(await two.peers.processes()).toEqual([{ place: undefined, isSelf: true, isHolder: true }]);
    cluster.processes.shift();
  });

  test('a clean end leaves nothing, and the lease to the next', async () => {
    const [one, two] = await begin(2);
    const began: string[] = [];
    for (const [name, { engine }] of Object.entries({ one, two })) {
      await engine.leadership.whileHeld(async () => {
        began.push(name);
        return async () => void began.push(`${name} ended`);
      });
    }
    expect(began).toEqual(['one']);
    await one.engine.close();
    await cluster.pass(1_000);
    await cluster.settle();
    expect(began).toEqual(['one', 'one ended', 'two']);
    expect(two.engine.leadership.isHeld()).toBe(true);
    const members = await cluster.kv.scan(0, { ...ofKind(KIND.member), limit: 10 });
    expect(members).toHaveLength(1);
    cluster.processes.shift();
  });

  test('who has let the lease go does not take it back while it ends', async () => {
    const [one] = await begin(1);
    const began: string[] = [];
    await one.engine.leadership.whileHeld(async () => {
      began.push('one');
      return async () => void began.push('ended');
    });
    await one.engine.leadership.release();
    await one.peers.beat();
    await cluster.settle();
    expect(await one.peers.lease.holder()).toBeUndefined();
    expect([began, one.engine.leadership.isHeld()]).toEqual([['one', 'ended'], false]);
  });

  test('who is about to take the lease when it ends lets it go again', async () => {
    const [one, two] = await begin(2);
    const releasing = Promise.withResolvers<void>();
    cluster.hooks.beforeCommit = async ({ puts }) => {
      if (puts?.some(([key]) => key[0] === KIND.lease)) releasing.resolve(two.engine.leadership.release());
    };
    await one.engine.leadership.release();
    await cluster.settle();
    await releasing.promise;
    expect(await two.peers.lease.holder()).toBeUndefined();
    expect(two.engine.leadership.isHeld()).toBe(false);
  });

  test('who ends does not wait for readers elsewhere: what they may still read is left to the next', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    await putText(one.engine.store, 'b', 'k', BIG);
    await one.engine.store.delete({ bucket: 'b', key: 'k' });
    two.gate.shut();
    const passing = one.engine.reclaim.runOnce();
    await cluster.settle();
    await one.engine.close();
    await passing;
    expect(cluster.chunks.stored.size).toBeGreaterThan(0);
    cluster.processes.shift();
    two.gate.open();
    // A beat that was held back first: two at once would undo each other.
    await cluster.settle();
    await cluster.pass(1_000);
    await two.engine.reclaim.runOnce();
    expect(cluster.chunks.stored.size).toBe(0);
  });

  test('a holder that stood still changes nothing more, and its work ends', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    await putText(one.engine.store, 'b', 'k', BIG);
    const [chunk] = await one.engine.catalog.list(undefined, 1);
    let running = false;
    await one.engine.leadership.whileHeld(async () => {
      running = true;
      return async () => void (running = false);
    });
    expect([one.engine.leadership.isHeld(), two.engine.leadership.isHeld()]).toEqual([true, false]);
    one.gate.shut();
    const late = one.engine.heldCatalog.compareAndSet(chunk!, { ...chunk!, generation: 2 });
    const lateNote = one.engine.heldCatalog.setNote('n', 'late');
    const outcomes = Promise.allSettled([late, lateNote]);
    await cluster.pass(6_000);
    expect(one.engine.leadership.isHeld()).toBe(false);
    await cluster.pass(7_000);
    expect(two.engine.leadership.isHeld()).toBe(true);
    expect(two.peers.lease.term).toBe(2);
    one.gate.open();
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await one.peers.members.lost;
    await cluster.settle();
    expect(running).toBe(false);
    expect((await two.engine.catalog.get(chunk!.id))?.generation).toBe(1);
    expect(await two.engine.catalog.getNote('n')).toBeUndefined();
    const next = { ...chunk!, generation: 2 };
    expect(await two.engine.heldCatalog.compareAndSet(chunk!, next)).toBe(true);
  });

  test('a body that was being written when its process was declared dead is refused, and leaves nothing', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    const release = Promise.withResolvers<void>();
    const bytes = (async function* slow() {
      yield Buffer.from(BIG);
      await release.promise;
      yield Buffer.from('end');
    })();
    const request = { headers: [], userMetadata: [], tags: [], bucket: 'b', key: 'k', body: { bytes } };
    const put = kindOf(two.engine.store.put(request));
    await cluster.settle();
    expect(cluster.chunks.stored.size).toBeGreaterThan(0);
    two.gate.shut();
    await cluster.pass(14_000);
    await one.engine.reclaim.runOnce();
    two.gate.open();
    release.resolve();
    expect(await put).toBe('Unavailable');
    expect(await kindOf(readText(one.engine.store, 'b', 'k'))).toBe('NoSuchKey');
    await one.engine.reclaim.runOnce();
    expect(await recordedChunks(cluster.kv)).toEqual([]);
    // What the dead process wrote last it clears up itself, or the next start of its folder does.
    await two.engine.reclaim.runOnce();
    expect(cluster.chunks.stored.size).toBe(0);
  });

  test('a dead process sets no gate of a bucket whose change another has ended', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    let gates = 0;
    cluster.hooks.beforeCommit = async (changes) => {
      const isGate = changes.puts?.some(([key]) => key[0] === KIND.gate);
      if (isGate && gates++ === 0) {
        two.gate.shut();
        await two.gate.pass();
      }
    };
    const late = kindOf(two.engine.store.setVersioning('b', 'Enabled'));
    await cluster.settle();
    await cluster.pass(14_000);
    await one.engine.store.setVersioning('b', 'Suspended');
    two.gate.open();
    expect(await late).toBe('OperationAborted');
    await putText(one.engine.store, 'b', 'k', 'text');
    expect((await one.engine.store.bucket('b')).versioning).toBe('Suspended');
    const { versions } = await one.engine.store.listVersions({
      bucket: 'b',
      prefix: '',
      delimiter: '',
      after: '',
      limit: 9,
    });
    expect(versions.map(({ versionId }) => versionId)).toEqual(['null']);
  });

  test('what another process reads stays until it has read it', async () => {
    const [one, two, three] = await begin(3);
    await one.engine.store.createBucket('b', OWNER);
    await putText(one.engine.store, 'b', 'k', BIG);
    const opened = await two.engine.store.open({ bucket: 'b', key: 'k' });
    await putText(three.engine.store, 'b', 'k', 'next');
    expect((await one.engine.reclaim.runOnce()).garbage).toBe(0);
    let text = '';
    for await (const piece of opened.stream(0, opened.info.size)) text += Buffer.from(piece).toString();
    expect(text).toBe(BIG);
    opened.close();
    await cluster.beats();
    expect((await one.engine.reclaim.runOnce()).garbage).toBe(1);
    expect(await readText(two.engine.store, 'b', 'k')).toBe('next');
  });

  test('a reader that has not found its version yet is waited for', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    await putText(one.engine.store, 'b', 'k', BIG);
    // It has read the version, and is slow to pin it.
    const held = Promise.withResolvers<void>();
    let reads = 0;
    cluster.hooks.afterGet = async (key) => {
      if (key[0] === KIND.current && reads++ === 0) await held.promise;
    };
    const reading = readAll(two.engine.store, { bucket: 'b', key: 'k' });
    await cluster.settle();
    expect(reads).toBe(1);
    await one.engine.store.delete({ bucket: 'b', key: 'k' });
    const reclaimed = one.engine.reclaim.runOnce();
    await cluster.settle();
    expect((await recordedChunks(cluster.kv)).length).toBe(3);
    held.resolve();
    expect((await reading).toString()).toBe(BIG);
    await reclaimed;
    await cluster.beats();
    await one.engine.reclaim.runOnce();
    expect(await recordedChunks(cluster.kv)).toEqual([]);
  });

  test('a reader that stands still holds nothing up once it is dead', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    await putText(one.engine.store, 'b', 'k', BIG);
    const opened = await two.engine.store.open({ bucket: 'b', key: 'k' });
    await one.engine.store.delete({ bucket: 'b', key: 'k' });
    two.gate.shut();
    expect((await one.engine.reclaim.runOnce()).garbage).toBe(0);
    await cluster.pass(14_000);
    expect((await one.engine.reclaim.runOnce()).garbage).toBe(1);
    two.gate.open();
    const reading = (async () => {
      for await (const piece of opened.stream(0, opened.info.size)) expect(piece.length).toBeGreaterThan(0);
    })();
    expect(await kindOf(reading)).toBe('Unreadable');
    opened.close();
  });

  test('a chunk that another process still uploads is not deleted yet', async () => {
    const [one] = await begin(1);
    let uploading: string[] | undefined = undefined;
    const two = await cluster.start({ activity: () => ({ uploading, quietAt: [] }) });
    await one.engine.store.createBucket('b', OWNER);
    await putText(two.engine.store, 'b', 'k', 'x'.repeat(150_000));
    const [first, second] = await recordedChunks(cluster.kv);
    await two.engine.store.delete({ bucket: 'b', key: 'k' });
    await cluster.beats();
    expect(await one.engine.reclaim.runOnce()).toMatchObject({ garbage: 1, chunks: 0, failed: 2 });
    uploading = [first!];
    await cluster.beats();
    await cluster.beats();
    expect(one.peers.listsUpload(second!)).toBe(false);
    expect(await one.engine.reclaim.runOnce()).toMatchObject({ chunks: 1, failed: 1 });
    uploading = [];
    await cluster.beats();
    await cluster.beats();
    expect(await one.engine.reclaim.runOnce()).toMatchObject({ chunks: 1, failed: 0 });
  });

  test('who repairs is told at once of chunks that were recorded before the last beat', async () => {
    const [one] = await begin(1);
    let uploading: string[] = [];
    const two = await cluster.start({ activity: () => ({ uploading, quietAt: [] }) });
    await one.engine.store.createBucket('b', OWNER);
    await putText(two.engine.store, 'b', 'k', 'x'.repeat(150_000));
    const [first, second] = await recordedChunks(cluster.kv);
    uploading = [second!];
    await cluster.beats();
    await cluster.beats();
    expect([one.peers.isUploading(first!), one.peers.isUploading(second!)]).toEqual([false, true]);
  });

  test('who repairs is told that a chunk may still be uploaded until two beats after it has asked say otherwise', async () => {
    const [one] = await begin(1);
    let uploading: string[] = [];
    const two = await cluster.start({ activity: () => ({ uploading, quietAt: ['p'] }) });
    const chunk = `0000${two.engine.session}000000000001`;
    const other = `0000${two.engine.session}000000000002`;
    // Its record is there before the next beat lists it.
    expect(one.peers.isUploading(chunk)).toBe(true);
    await cluster.beats();
    expect(one.peers.isUploading(chunk)).toBe(true);
    uploading = [chunk];
    for (let beat = 0; beat < 4; beat++) await cluster.beats();
    expect(one.peers.isUploading(chunk)).toBe(true);
    expect(one.peers.isUploading(other)).toBe(true);
    uploading = [];
    for (let beat = 0; beat < 4; beat++) {
      expect([beat, one.peers.isUploading(other)]).toEqual([beat, beat < 3]);
      await cluster.beats();
    }
    expect(one.peers.isUploading(chunk)).toBe(false);
    const stranger = `0000${'0'.repeat(16)}000000000001`;
    expect(one.peers.isUploading(stranger)).toBe(true);
    await cluster.beats();
    expect(one.peers.isUploading(stranger)).toBe(false);
    expect([one.peers.openPuts('p'), one.peers.openPuts('q')]).toEqual([0, 1]);
  });

  test('only the holder clears up after all, and each after itself', async () => {
    const [one, two] = await begin(2);
    await one.engine.store.createBucket('b', OWNER);
    await putText(two.engine.store, 'b', 'k', BIG);
    await two.engine.store.delete({ bucket: 'b', key: 'k' });
    expect(await two.engine.reclaim.runOnce()).toMatchObject({ garbage: 0, chunks: 0 });
    expect(await one.engine.reclaim.runOnce()).toMatchObject({ garbage: 1, chunks: 3 });
  });
});
