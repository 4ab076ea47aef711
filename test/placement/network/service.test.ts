import { cpSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyLedger } from '../../../placement/ledger/verify.ts';
import { joinProof, joinText, partsOf, proofOf, secretHash } from '../../../placement/network/joinProof.ts';
import { replay } from '../../../placement/oracle/replay.ts';
import { ERA_MS, Monitor, Party, TestNetwork, until } from './harness.ts';

/** Of all files in a folder and below. */
async function textOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = files.map((file) => readFile(join(file.parentPath, file.name), 'latin1'));
  return (await Promise.all(texts)).join('\n');
}

describe('network service', () => {
  let network: TestNetwork;

  beforeEach(async () => {
    network = await TestNetwork.start();
    await network.listen();
  });

  afterEach(async () => {
    await network.close();
  });

  /** Three daemons that hold `chunks` chunks, three monitors, and an era in which they are asked. */
  async function populate(chunks: number): Promise<Monitor[]> {
    const token = await network.service.createToken('provider', 2, 1);
    await network.addDaemon(1, token);
    await network.addDaemon(2, token);
    const third = await network.addDaemon(3);
    await until(() => network.service.state.providers[third.id]?.state === 'applied');
    await network.service.commandProvider(third.id, 'approve');
    const monitors = [1, 2, 3].map(() => new Monitor(network));
    const monitorToken = await network.service.createToken('hypernode', 3, 1);
    for (const [i, monitor] of monitors.entries()) {
      expect(await monitor.register(`monitor-${i}`, { token: monitorToken })).toMatchObject({
        state: 'active',
      });
    }
    // A daemon takes grants once it has heard that it is admitted; the registry would ask again in its time.
    await until(async () => {
      await network.registry.probe();
      return network.registry.candidates().length === 3;
    });
    for (let i = 0; i < chunks; i++) await network.storeChunk();
    await until(() => network.service.state.open !== undefined);
    await network.nextEra();
    return monitors;
  }

  test('registration, approval, heartbeats, era, assignments, reports, close, standing', async () => {
    const monitors = await populate(4);
    expect(network.registry.all()).toHaveLength(3);
    const summaries = await network.service.providers();
    expect(summaries.map(({ shards }) => shards)).toEqual([4, 4, 4]);
    expect(summaries.every(({ free }) => free !== undefined && free > 0)).toBe(true);

    for (const monitor of monitors) {
      const report = await monitor.work();
      await network.service.report(report);
      // The answer was lost, and the monitor asks again.
      await network.service.report(report);
    }
    await network.nextEra();

    const closed = network.eventsOf('era-closed').at(-1)!.outcome;
    expect(closed.providers.map(({ decision }) => decision)).toEqual(['up', 'up', 'up']);
    for (const { audits, placementScore } of closed.providers) {
      // Of twenty challenges, those that are no canaries.
      expect(audits.passed).toBeGreaterThanOrEqual(12);
      expect(audits).toMatchObject({ wrong: 0, missing: 0, silent: 0 });
      expect(placementScore).toBeGreaterThan(0.9);
    }
    expect(closed.monitors.map(({ canaryAccuracy }) => canaryAccuracy)).toEqual([1, 1, 1]);
    const scores = new Map(network.registry.all().map(({ info }) => [info.id, info.score]));
    for (const { provider, placementScore } of closed.providers) {
      expect(scores.get(provider)).toBe(placementScore);
    }
    expect(network.service.overview()).toMatchObject({
      providers: { vetting: 3 },
      monitors: { active: 3 },
      groups: 3,
    });
    expect(network.eventsOf('warning')).toEqual([]);
  });

  test('what is in the log and the ledger can be computed again', async () => {
    const monitors = await populate(2);
    for (const monitor of monitors) await network.service.report(await monitor.work());
    await network.nextEra();
    const root = network.service.overview().ledgerRoot;
    await network.service.close();
    expect(await replay(join(network.folder, 'log'))).toMatchObject({ agree: true, eras: 2 });
    expect(await verifyLedger(join(network.folder, 'log'), join(network.folder, 'ledger'))).toMatchObject({
      agree: true,
      eras: 2,
    });
    await network.open();
    expect(network.service.overview().ledgerRoot).toBe(root);
  });

  test('its log and all else that it keeps hold no token, and nothing that another could join with', async () => {
    const tokens = {
      provider: await network.service.createToken('provider', 10, 1),
      hypernode: await network.service.createToken('hypernode', 10, 1),
    };
    const daemon = await network.addDaemon(1, tokens.provider);
    const member = new Monitor(network);
    expect(await member.register('member', { token: tokens.hypernode })).toMatchObject({ state: 'active' });
    await until(() => network.service.state.providers[daemon.id]?.state === 'vetting');
    await network.nextEra();

    const kept = await textOf(network.folder);
    for (const [token, party] of [
      [tokens.provider, daemon.id],
      [tokens.hypernode, member.id],
    ] as const) {
      const { digits } = partsOf(token)!;
      expect(kept).toContain(joinProof(token, party));
      expect(kept).not.toContain(digits);
      expect(kept).not.toContain(secretHash(digits));
    }
    const stranger = new Party(network);
    for (const shown of guesses(kept, stranger.id)) {
      const chain = { operator: 'o', networkPrefix: 'p', beaconTip: 'a'.repeat(64) };
      const said = stranger.sign('register-hypernode', { token: shown, ...chain });
      await expect(network.service.registerHyperNode(said)).rejects.toMatchObject({ kind: 'Refused' });
    }
    expect(network.service.state.monitors[stranger.id]).toBeUndefined();
    // The token itself still lets the stranger in.
    expect(await new Monitor(network).register('late', { token: tokens.hypernode })).toMatchObject({
      state: 'active',
    });
  });

  /** What could be made of a text to join with: what it shows as it is, or taken for a secret, or for the hash of one. */
  function guesses(text: string, party: string): Set<string> {
    const gateway = network.gateway.id;
    const hexes = (digits: number): string[] => [
      ...new Set(text.match(new RegExp(`(?<![0-9a-f])[0-9a-f]{${digits}}(?![0-9a-f])`, 'g'))),
    ];
    const short = hexes(32).map((digits) => joinText(gateway, digits));
    // The gateway, the two parties and the beacon's values at least.
    expect(short.length).toBeGreaterThanOrEqual(3);
    return new Set([
      ...short,
      ...short.map((token) => joinProof(token, party)),
      ...hexes(64).map((hash) => joinText(gateway, proofOf(hash, party))),
    ]);
  }

  test('a shard that was deleted or moved in the era is not held against its provider', async () => {
    const monitors = await populate(3);
    const [monitor] = monitors;
    const { assignment } = await monitor!.assignment();
    const [first] = [...network.catalog.records.values()];
    for (const [index, place] of first!.shards.entries()) {
      await network.registry.get(place!.provider)!.transport.delete({ chunk: first!.id, index });
    }
    network.catalog.records.delete(first!.id);
    const asked = assignment.tasks.flatMap(({ targets }) =>
      targets.filter(({ chunk }) => chunk === first!.id),
    );
    expect(asked.length).toBeGreaterThan(0);
    for (const one of monitors) await network.service.report(await one.work());
    await network.nextEra();
    for (const { audits } of network.eventsOf('era-closed').at(-1)!.outcome.providers) {
      expect(audits).toMatchObject({ missing: 0, wrong: 0 });
    }
  });

  test('a lost shard is found', async () => {
    const monitors = await populate(1);
    const [record] = [...network.catalog.records.values()];
    const { provider } = record!.shards[0]!;
    await network.registry.get(provider)!.transport.delete({ chunk: record!.id, index: 0 });
    for (const one of monitors) await network.service.report(await one.work());
    await network.nextEra();
    const verdicts = network.eventsOf('era-closed').at(-1)!.outcome.providers;
    expect(verdicts.filter(({ audits }) => audits.missing > 0).map((verdict) => verdict.provider)).toEqual([
      provider,
    ]);
  });

  test('restarted while an era is open, it goes on: the same assignments, and reports count', async () => {
    const [one, other] = await populate(2);
    await network.service.report(await one!.work());
    const before = await other!.assignment();
    const { era } = network.service.state;
    await network.stop();
    await network.open();
    network.service.start();
    expect(network.registry.all()).toHaveLength(3);
    expect(await other!.assignment()).toEqual(before);
    await network.service.report(await other!.work());
    await network.nextEra();
    const closed = network.eventsOf('era-closed').at(-1)!.outcome;
    expect(closed.era).toBe(era);
    expect(closed.monitors.filter(({ reported }) => reported)).toHaveLength(2);
    expect(closed.providers.map(({ decision }) => decision)).toEqual(['up', 'up', 'up']);
  });

  test('restarted after an era was over, it closes the era as it is', async () => {
    const [one] = await populate(2);
    await network.service.report(await one!.work());
    const { era } = network.service.state;
    await network.stop();
    network.clock.advance(50 * ERA_MS);
    await network.open();
    await expect(network.service.report(await one!.work())).rejects.toMatchObject({ kind: 'NotFound' });
    network.service.start();
    await until(() => network.service.state.era === era + 1 && network.service.state.open !== undefined);
    const closed = network.eventsOf('era-closed').at(-1)!.outcome;
    expect(closed.era).toBe(era);
    expect(closed.monitors.filter(({ reported }) => reported)).toHaveLength(1);
    await network.service.close();
    expect(await replay(join(network.folder, 'log'))).toMatchObject({ agree: true });
    await network.open();
  });

  test('what a crash leaves between any two records of a close goes on to the same end', async () => {
    const monitors = await populate(1);
    for (const monitor of monitors) await network.service.report(await monitor.work());
    const copies = await copiesOfNextEra(network);
    const { outcome } = network.eventsOf('era-closed').at(-1)!;
    // Before and after the assignments, after the observation, after the close.
    expect(copies.length).toBeGreaterThanOrEqual(4);
    network.catalog.notes.delete('network.head');
    for (const copy of copies) {
      await network.stop();
      network.events.length = 0;
      network.catalog.notes.delete('network.head');
      await network.open({ folder: copy });
      network.service.start();
      network.clock.advance(1);
      await until(() => network.service.state.era > outcome.era && network.service.state.open !== undefined);
      for (const { provider, audits } of outcome.providers) {
        const { history } = await network.service.provider(provider);
        expect(history.find(({ era }) => era === outcome.era)?.audits).toEqual(audits);
      }
      await network.service.close();
      expect(await replay(join(copy, 'log'))).toMatchObject({ agree: true });
      expect(await verifyLedger(join(copy, 'log'), join(copy, 'ledger'))).toMatchObject({ agree: true });
    }
  });

  test('a log that lost records is noticed by the head that the catalog keeps', async () => {
    await populate(1);
    await network.stop();
    const snapshot = await readFile(join(network.folder, 'state.json'), 'utf8');
    expect(JSON.parse(snapshot)).toMatchObject({ state: { era: 0 } });
    const head = JSON.parse(network.catalog.notes.get('network.head')!) as { sequence: number };
    network.catalog.notes.set('network.head', JSON.stringify({ ...head, hash: '0'.repeat(64) }));
    await expect(network.open()).rejects.toMatchObject({ kind: 'Tampered' });
    network.catalog.notes.set('network.head', JSON.stringify(head));
    await network.registry.close();
    await network.open();
  });

  test('a provider that leaves is gone, and out of the registry, once it holds nothing', async () => {
    await populate(2);
    const { id } = network.providers[0]!;
    await network.service.commandProvider(id, 'exit');
    expect(network.registry.get(id)?.info.state).toBe('exiting');
    expect((await network.service.provider(id)).leaving).toEqual({ shardsLeft: 2, shardsAtStart: 2 });
    await expect(network.service.commandProvider(id, 'approve')).rejects.toMatchObject({ kind: 'Conflict' });
    await network.nextEra();
    await network.nextEra();
    expect(network.service.state.providers[id]?.state).toBe('exiting');
    network.catalog.records.clear();
    await network.nextEra();
    expect(network.service.state.providers[id]?.state).toBe('gone');
    expect(network.registry.get(id)).toBeUndefined();
    await until(() => network.providers[0]!.standing()?.state === 'gone');
    await network.service.commandProvider(id, 'readmit');
    expect(network.registry.get(id)?.info.state).toBeDefined();
  });

  test('a provider with nothing on it is not gone before a whole era has passed', async () => {
    await populate(0);
    const { id } = network.providers[0]!;
    await network.service.commandProvider(id, 'drain');
    await network.nextEra();
    expect(network.service.state.providers[id]?.state).toBe('exiting');
    await network.nextEra();
    expect(network.service.state.providers[id]?.state).toBe('gone');
  });

  test('with nobody registered nothing is logged', async () => {
    const head = await readFile(join(network.folder, 'log', 'head.json'), 'utf8');
    for (let i = 0; i < 5; i++) {
      network.clock.advance(ERA_MS);
      await pause(10);
    }
    expect(network.service.state.era).toBe(-1);
    expect(network.events).toEqual([]);
    expect(await readFile(join(network.folder, 'log', 'head.json'), 'utf8')).toBe(head);
    expect(JSON.parse(head)).toMatchObject({ sequence: 1 });
  });
});

/** Lets an era end, and keeps what is on the disk before every record. Time is asked for at the beginning of each. */
async function copiesOfNextEra(network: TestNetwork): Promise<string[]> {
  const copies: string[] = [];
  const { clock } = network;
  const now = clock.now.bind(clock);
  let last: unknown;
  clock.now = () => {
    const { state } = network.service;
    if (state !== last) {
      last = state;
      const copy = join(network.root, `crash-${copies.length}`);
      copies.push(copy);
      cpSync(network.folder, copy, { recursive: true });
    }
    return now();
  };
  try {
    await network.nextEra();
  } finally {
    clock.now = now;
  }
  return copies;
}
