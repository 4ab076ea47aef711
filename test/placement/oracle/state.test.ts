import { describe, expect, test } from 'vitest';
import type { NetworkError } from '../../../placement/network/errors.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { signStatement, type Signed } from '../../../placement/network/signed.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import { applyRecord } from '../../../placement/oracle/state.ts';
import type { LogRecord, ProviderCommand } from '../../../placement/oracle/types.ts';
import { HOUR, SyntheticNetwork, type Provider } from './syntheticNetwork.ts';

const network = (providers = 1, monitors = 1): SyntheticNetwork =>
  new SyntheticNetwork({ providers: Array.from({ length: providers }, () => ({})), monitors });
const stranger = (): Provider => ({ identity: createIdentity(), shards: [], conduct: {} });
const refused = (kind: string): object => expect.objectContaining({ name: 'NetworkError', kind }) as object;

function heartbeat(net: SyntheticNetwork, provider: Provider, endpoint: string, at = net.said()): Signed {
  return signStatement(provider.identity, 'heartbeat', {
    version: 1,
    gateway: net.gateway.id,
    at,
    endpoint,
    capacity: 1,
    free: 1,
    shards: 0,
  });
}

function last(net: SyntheticNetwork): LogRecord {
  return net.records.at(-1)!;
}

describe('registrations', () => {
  test('an unapproved one waits; a token or the operator admits it', () => {
    const net = network(0, 0);
    const provider = stranger();
    const { id } = provider.identity;
    net.register(provider, 'http://127.0.0.1:1', false);
    expect(net.state.providers[id]).toMatchObject({ id, state: 'applied' });
    net.record({ kind: 'provider-command', provider: id, command: 'approve' });
    expect(net.state.providers[id]).toMatchObject({ state: 'vetting', vettingSince: net.now });
  });

  test('registering again updates the description and keeps everything else', () => {
    const net = network();
    const [provider] = net.providers;
    net.record({ kind: 'provider-command', provider: provider!.identity.id, command: 'exit' });
    net.register(provider!, 'http://127.0.0.1:2', true);
    expect(net.stateOf(0)).toMatchObject({
      state: 'exiting',
      description: { endpoint: 'http://127.0.0.1:2' },
    });
  });

  test('a second identity at an address is refused, unless the first has left', () => {
    const net = network();
    const [provider] = net.providers;
    const other = stranger();
    const { endpoint } = net.stateOf(0).description;
    expect(() => net.register(other, endpoint, true)).toThrow(refused('Conflict'));
    net.record({ kind: 'provider-command', provider: provider!.identity.id, command: 'exit' });
    expect(() => net.register(other, endpoint, true)).toThrow(refused('Conflict'));
    net.record({ kind: 'provider-command', provider: provider!.identity.id, command: 'gone' });
    net.register(other, endpoint, true);
    expect(net.state.providers[other.identity.id]).toMatchObject({ state: 'vetting' });
    expect(() =>
      net.record({ kind: 'provider-command', provider: provider!.identity.id, command: 'readmit' }),
    ).toThrow(refused('Conflict'));
  });

  test('another gateway’s, a replayed and an altered one are refused', () => {
    const net = network(1, 1);
    expect(() => net.register(stranger(), 'http://127.0.0.1:3', true, '0'.repeat(32))).toThrow(
      refused('Refused'),
    );
    const registration = net.records.find(({ kind }) => kind === 'provider-registered')!;
    const monitor = net.records.find(({ kind }) => kind === 'hypernode-registered')!;
    for (const replayed of [registration, monitor]) {
      expect(() => applyRecord(net.state, { ...replayed, at: net.now })).toThrow(refused('Conflict'));
      const { statement } = replayed as { statement: Signed };
      const body = statement.body.replace('"version":1', '"version": 1');
      const altered = { ...replayed, at: net.now, statement: { ...statement, body } } as LogRecord;
      expect(() => applyRecord(net.state, altered)).toThrow(refused('BadSignature'));
    }
  });

  test('an address change is followed, by the identity itself and forwards only', () => {
    const net = network(2);
    const [first, second] = net.providers as [Provider, Provider];
    const at = net.said();
    net.record({ kind: 'provider-moved', statement: heartbeat(net, first, 'http://127.0.0.1:4', at) });
    expect(net.stateOf(0).description.endpoint).toBe('http://127.0.0.1:4');
    const move = (provider: Provider, endpoint: string, when = net.said()): (() => unknown) => {
      return () =>
        net.record({ kind: 'provider-moved', statement: heartbeat(net, provider, endpoint, when) });
    };
    expect(move(first, 'http://127.0.0.1:5', at)).toThrow(refused('Conflict'));
    expect(move(second, 'http://127.0.0.1:4')).toThrow(refused('Conflict'));
    expect(move(stranger(), 'http://127.0.0.1:6')).toThrow(refused('NotFound'));
  });

  test('nothing that was applied is changed in place', () => {
    const net = network();
    const before = JSON.stringify(net.state);
    const state = net.state;
    net.era();
    expect(JSON.stringify(state)).toBe(before);
  });
});

describe('a monitor that states other marks', () => {
  const restate = (net: SyntheticNetwork, number: number, marks: object, approved = false): void => {
    const { identity, chain } = net.monitors[number]!;
    const statement = signStatement(identity, 'register-hypernode', {
      version: 1,
      gateway: net.gateway.id,
      at: net.said(),
      operator: `watch${number}`,
      networkPrefix: `198.51.${number}.0/24`,
      ...marks,
      beaconTip: chain.tip,
    });
    net.record({ kind: 'hypernode-registered', statement, approved });
  };

  test.each([{ operator: 'watch0' }, { networkPrefix: '198.51.1.0/24' }, { asn: 7 }])(
    'waits to be approved anew: %j',
    (marks) => {
      const net = network(1, 3);
      const { id } = net.monitors[2]!.identity;
      restate(net, 2, {});
      restate(net, 2, { location: { latitude: 1, longitude: 1 } });
      expect(net.monitorOf(2)).toMatchObject({ state: 'active', reason: 'admitted' });
      net.now += HOUR;
      restate(net, 2, marks);
      expect(net.monitorOf(2)).toMatchObject({ state: 'applied', ...marks });
      expect(net.open()).toHaveLength(2);
      net.now += HOUR;
      net.record({ kind: 'hypernode-command', monitor: id, command: 'approve' });
      expect(net.monitorOf(2)).toMatchObject({ state: 'active', marksSince: net.now });
    },
  );

  test('is approved by a token at once, and a newcomer by its marks', () => {
    const net = network(1, 2);
    const { marksSince } = net.monitorOf(0);
    net.now += HOUR;
    restate(net, 0, {}, true);
    expect(net.monitorOf(0)).toMatchObject({ state: 'active', marksSince });
    restate(net, 0, { operator: 'watch1' }, true);
    expect(net.monitorOf(0)).toMatchObject({ state: 'active', marksSince: net.now });
    net.record({ kind: 'hypernode-command', monitor: net.monitors[0]!.identity.id, command: 'remove' });
    restate(net, 0, { operator: 'watch2' }, true);
    expect(net.monitorOf(0)).toMatchObject({ state: 'removed', operator: 'watch2' });
  });

  test('is heard of the open era with those it reported under, and then no more', () => {
    const net = network(1, 8);
    const [verdict] = net.era(() => {
      restate(net, 7, { operator: 'watch0', networkPrefix: '198.51.1.0/24' });
      restate(net, 6, { operator: 'watch0', networkPrefix: '198.51.1.0/24' }, true);
    });
    const alone = Array.from({ length: 8 }, (_, number) => `watch${number}`);
    expect(verdict!.groups.map(({ group }) => group)).toEqual(alone);
    expect(net.monitorOf(7)).toMatchObject({ state: 'applied', operator: 'watch0' });
    expect(net.monitorOf(7).reason).toMatch(/waits for the operator/);
    const [next] = net.era();
    expect(next!.groups.map(({ group }) => group)).toEqual(alone.slice(0, 6));
    expect(next!.groups.filter(({ monitors }) => monitors.length > 1)).toHaveLength(1);
  });

  test('cannot leave a network of seven groups without a decision, nor suspend who is well', () => {
    const net = new SyntheticNetwork({ providers: [{}, { up: 0 }], monitors: 11, challenges: 1 });
    const liars = [7, 8, 9, 10];
    net.now += HOUR;
    for (const [at, number] of liars.entries()) {
      restate(net, number, { operator: `watch${at}`, networkPrefix: `198.51.${at + 1}.0/24` }, true);
      net.monitors[number]!.alter = (findings) =>
        findings.map((finding) => ({
          ...finding,
          probes: 1e9,
          answered: finding.answered === 0 ? 1e9 : 0,
          latency: [[60, 1e9]],
        }));
    }
    for (let era = 0; era < 8; era++) net.era();
    expect(net.stateOf(0).last).toMatchObject({ decision: 'up', components: { availability: 1 } });
    expect(net.stateOf(0).last!.groups).toHaveLength(7);
    expect(net.stateOf(0).state).not.toBe('suspended');
    expect(net.stateOf(1).last).toMatchObject({ decision: 'down' });
  });
});

describe('commands', () => {
  const allowed: Readonly<Record<string, Partial<Record<ProviderCommand, string>>>> = {
    applied: { approve: 'vetting', drain: 'gone', exit: 'gone' },
    vetting: { drain: 'exiting', exit: 'exiting' },
    active: { drain: 'exiting', exit: 'exiting' },
    degraded: { drain: 'exiting', exit: 'exiting' },
    suspended: { drain: 'exiting', exit: 'exiting', readmit: 'vetting' },
    exiting: { gone: 'gone' },
    gone: { readmit: 'vetting' },
    disqualified: { drain: 'exiting', exit: 'exiting', readmit: 'vetting' },
  };
  test.each(Object.keys(allowed))('of a provider that is %s', (from) => {
    const net = network();
    const { id } = net.providers[0]!.identity;
    const provider = { ...net.stateOf(0), state: from as never };
    const state = { ...net.state, providers: { [id]: provider } };
    const give = (command: ProviderCommand): unknown => {
      try {
        const record = { at: net.now, kind: 'provider-command', provider: id, command } as const;
        return applyRecord(state, record).providers[id]!.state;
      } catch (error) {
        return (error as NetworkError).kind;
      }
    };
    for (const command of ['approve', 'drain', 'exit', 'readmit', 'gone'] as const) {
      expect(give(command), command).toBe(allowed[from]![command] ?? 'Conflict');
    }
  });

  test('readmission begins the reputation anew', () => {
    const net = network(1, 7);
    for (let era = 0; era < 7; era++) net.era();
    expect(net.stateOf(0)).toMatchObject({ state: 'active', vetted: true, audits: 147 });
    const { id } = net.providers[0]!.identity;
    net.record({ kind: 'provider-command', provider: id, command: 'exit' });
    net.record({ kind: 'provider-command', provider: id, command: 'gone' });
    net.record({ kind: 'provider-command', provider: id, command: 'readmit' });
    expect(net.stateOf(0)).toMatchObject({ state: 'vetting', vetted: false, audits: 0, alpha: 0 });
    expect(net.stateOf(0)).toMatchObject({ placementScore: undefined, availability: undefined });
    expect(net.stateOf(0).vettingSince).toBe(net.now);
  });

  test('of monitors: removed at once, approved again with a clean record', () => {
    const net = network(1, 1);
    const { id } = net.monitors[0]!.identity;
    const command = (command: 'approve' | 'remove') => () =>
      net.record({ kind: 'hypernode-command', monitor: id, command });
    expect(command('approve')).toThrow(refused('Conflict'));
    command('remove')();
    expect(command('remove')).toThrow(refused('Conflict'));
    command('approve')();
    expect(net.monitorOf(0)).toMatchObject({ state: 'active', canaries: [] });
  });
});

describe('eras', () => {
  test('open one after another, with the beacon that was revealed', () => {
    const net = network();
    net.era();
    net.open();
    const opened = last(net) as Extract<LogRecord, { kind: 'era-opened' }>;
    expect(opened.era).toBe(1);
    const closed = { ...net.state, open: undefined, era: 0 };
    const before = { ...closed, beacon: '0'.repeat(64), beaconValue: '0'.repeat(64) };
    expect(() => applyRecord(net.state, opened)).toThrow(refused('Conflict'));
    expect(() => applyRecord({ ...closed, era: 5 }, opened)).toThrow(refused('Conflict'));
    expect(() => applyRecord(before, opened)).toThrow(/not of its chain/);
  });

  test('a beacon that was chosen is refused', () => {
    const net = network();
    net.era();
    const before = net.state;
    net.open();
    const opened = last(net) as Extract<LogRecord, { kind: 'era-opened' }>;
    expect(applyRecord(before, opened).beacon).toBe(opened.beacon);
    expect(() => applyRecord(before, { ...opened, beacon: 'f'.repeat(64) })).toThrow(/beacon of era 1/);
    expect(() => applyRecord({ ...before, reveals: [] }, opened)).toThrow(/beacon of era 1/);
  });

  test('a report has to be of an active monitor, its assignment, its era and its chain, and the only one', () => {
    const net = network(2, 2);
    const assignments = net.open();
    const [monitor, other] = net.monitors as [(typeof net.monitors)[0], (typeof net.monitors)[0]];
    const report = net.reportOf(monitor, assignments[0]!);
    const send =
      (changes: object, by = monitor) =>
      () =>
        net.report(by, { ...report, at: net.said(), ...changes });
    const [finding] = report.findings;
    expect(send({ gateway: '0'.repeat(32) })).toThrow(refused('Refused'));
    expect(send({ era: 1 })).toThrow(refused('Conflict'));
    expect(send({ assignment: assignments[1]!.hash })).toThrow(refused('Refused'));
    expect(send({ reveal: 'a'.repeat(64) })).toThrow(/not of its chain/);
    expect(send({ reveal: monitor.chain.tip })).toThrow(/not of its chain/);
    expect(send({ at: 1 })).toThrow(refused('Conflict'));
    expect(send({ findings: [finding, finding] })).toThrow(refused('BadMessage'));
    expect(send({ findings: [{ ...finding, answered: 11 }] })).toThrow(refused('BadMessage'));
    expect(send({ findings: [{ ...finding, audits: [finding!.audits[0], finding!.audits[0]] }] })).toThrow(
      refused('BadMessage'),
    );
    expect(send({ assignment: assignments[1]!.hash, findings: [] }, other)).toThrow(/not of its chain/);
    expect(send({}, { ...monitor, identity: createIdentity() })).toThrow(refused('NotFound'));
    send({})();
    expect(send({})).toThrow(refused('Conflict'));
    net.record({ kind: 'hypernode-command', monitor: other.identity.id, command: 'remove' });
    expect(() => net.report(other, net.reportOf(other, assignments[1]!))).toThrow(refused('NotApproved'));
    expect(Object.keys(net.state.open!.reports)).toEqual([monitor.identity.id]);
  });

  test('who begins a new chain sits the era out, and reveals from it in the next', () => {
    const net = network(1, 1);
    const assignments = net.open();
    const [monitor] = net.monitors;
    const report = net.reportOf(monitor!, assignments[0]!);
    const changed = new SyntheticNetwork({ providers: [], monitors: 0 }).addMonitor(3).chain;
    const statement = signStatement(monitor!.identity, 'register-hypernode', {
      version: 1,
      gateway: net.gateway.id,
      at: net.said(),
      operator: 'watch0',
      networkPrefix: '198.51.0.0/24',
      beaconTip: changed.tip,
    });
    net.record({ kind: 'hypernode-registered', statement, approved: true });
    expect(() => net.report(monitor!, { ...report, at: net.said(), reveal: changed.reveal() })).toThrow(
      refused('Refused'),
    );
    net.close(assignments);
    const [next] = net.open();
    net.report(monitor!, { ...net.reportOf(monitor!, next!), reveal: changed.reveal() });
    expect(Object.keys(net.state.open!.reports)).toHaveLength(1);
  });

  test('assignments are those that were promised; the gateway alone observes', () => {
    const net = network(1, 1);
    const [assignment] = net.open();
    expect(() =>
      net.record({ kind: 'assignments', era: 0, assignments: [{ ...assignment!, hash: '0'.repeat(64) }] }),
    ).toThrow(refused('Refused'));
    const observation = { version: 1, era: 0, providers: [] };
    expect(() =>
      net.record({
        kind: 'observation',
        statement: signStatement(net.providers[0]!.identity, 'observation', observation),
      }),
    ).toThrow(refused('Refused'));
    net.record({ kind: 'assignments', era: 0, assignments: [assignment!] });
    expect(() => net.record({ kind: 'assignments', era: 0, assignments: [] })).toThrow(refused('Conflict'));
  });

  test('parameters hold from the next era on, and have to make sense', () => {
    const net = network(1, 1);
    const assignments = net.open();
    net.record({ kind: 'parameters', parameters: { ...ORACLE_DEFAULTS, groupsMin: 3 } });
    expect(net.state.parameters.groupsMin).toBe(7);
    net.close(assignments);
    expect(net.state.parameters.groupsMin).toBe(7);
    net.open();
    expect(net.state.parameters.groupsMin).toBe(3);
    for (const bad of [
      { groupsMin: 0 },
      { eraMs: NaN },
      { groupWeightMax: 2 },
      { vetting: { audits: 1, days: -1 } },
    ]) {
      const parameters = { ...ORACLE_DEFAULTS, ...bad };
      expect(() => net.record({ kind: 'parameters', parameters })).toThrow(refused('BadMessage'));
    }
  });

  test('time never goes back, and a log has one genesis', () => {
    const net = network();
    const [genesis] = net.records;
    net.now += HOUR;
    net.open();
    expect(() => applyRecord(net.state, { ...last(net), at: net.now - 1 })).toThrow(refused('Conflict'));
    expect(() => applyRecord(net.state, { ...genesis!, at: net.now })).toThrow(/one genesis/);
    expect(() => applyRecord(undefined, last(net))).toThrow(/begins with its genesis/);
  });
});
