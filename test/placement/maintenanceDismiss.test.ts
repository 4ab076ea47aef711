import { rm } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { chooseProviders } from '../../placement/choosing/choose.ts';
import { Maintenance } from '../../placement/repair/maintenance.ts';
import { pattern, TestCluster } from '../support/placement.ts';
import { SyntheticNetwork } from './oracle/syntheticNetwork.ts';

let cluster: TestCluster | undefined;
afterEach(() => cluster?.close());

/** A network whose provider has been sent away for what it lost. */
function disqualified(): { readonly net: SyntheticNetwork; readonly id: string } {
  const lost = [0, 1, 2, 3, 4, 5, 6, 7];
  const net = new SyntheticNetwork({ providers: [{ lost }], monitors: 7 });
  for (let era = 0; era < 5 && net.stateOf(0).state !== 'disqualified'; era++) net.era();
  expect(net.stateOf(0).state).toBe('disqualified');
  return { net, id: net.stateOf(0).id };
}

test.each(['drain', 'exit'] as const)(
  'a disqualified provider that is off for good is dismissed: %s',
  async (command) => {
    const { net, id } = disqualified();
    net.providers[0]!.conduct = { up: 0 };
    net.record({ kind: 'provider-command', provider: id, command });
    expect(net.stateOf(0)).toMatchObject({ state: 'exiting', stateSince: net.now });
    net.era();
    expect(net.stateOf(0).state).toBe('exiting');

    cluster = await TestCluster.create(8);
    const record = await cluster.writeChunk(pattern(70_000));
    const [leaving] = cluster.ids;
    cluster.setState(leaving!, 'exiting');
    await rm(cluster.member(leaving!).directory, { recursive: true });
    const { catalog, clock } = cluster;
    const deps = { catalog, clock, providers: cluster, choose: chooseProviders, isPending: () => false };
    const maintenance = new Maintenance(deps);
    expect(await maintenance.evacuate(leaving!)).toMatchObject({ emptied: true, moved: 1 });
    expect(maintenance.isEmptied(leaving!)).toBe(true);
    expect(await cluster.wrongShards(record.id, pattern(70_000))).toEqual([]);

    net.record({ kind: 'provider-command', provider: id, command: 'gone' });
    expect(net.stateOf(0).state).toBe('gone');
  },
);
