import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEventLog } from '../../../placement/oracle/log.ts';
import { checkParameters, ORACLE_DEFAULTS, RULES } from '../../../placement/oracle/parameters.ts';
import { replay } from '../../../placement/oracle/replay.ts';
import { SyntheticNetwork, type Conduct } from './syntheticNetwork.ts';

const ERAS = 12;
const HUSHED = { hushed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] };
const HELPERS = Array.from({ length: 7 }, (): Conduct => ({ late: true, part: 0.001 }));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'shardway-rules-'));
});
afterAll(() => rm(root, { recursive: true }));

/** Each of the rules makes a difference here: silence behind a crowd, ASNs brought along, one that asks nobody. */
function network(): SyntheticNetwork {
  const made = new SyntheticNetwork({
    providers: [{}, {}, {}, {}, {}, HUSHED, ...HELPERS],
    monitors: 8,
    challenges: 10,
    parameters: { rules: 1 },
  });
  // One after another: of those that come at once, nobody was there before.
  for (const [number, marks] of [
    [50, { operator: 'ring', asn: 1 }],
    [51, { operator: 'ring', asn: 2 }],
    [52, { asn: 2 }],
  ] as const) {
    made.now += 60_000;
    made.addMonitor(number, marks);
  }
  made.monitors[0]!.alter = (findings) =>
    findings.map((finding) => ({
      ...finding,
      audits: finding.audits.map(({ target }) => ({ target, outcome: 'silent', elapsedMs: 0 })),
    }));
  return made;
}

test('each era is decided, and decided again, by the rules of its time', async () => {
  const net = network();
  const groups = (): number => net.stateOf(0).last!.groups.length;
  for (let era = 0; era < ERAS; era++) net.era();
  expect(net.stateOf(5).state).toBe('active');
  expect(net.monitorOf(0)).toMatchObject({ state: 'active', canaries: [] });
  expect(groups()).toBe(9);
  // As a gateway of this release does with a log of an older one: while an era is open, for those after it.
  const { rules: _rules, ...parameters } = net.state.parameters;
  net.era(() => net.record({ kind: 'parameters', parameters: { ...parameters, rules: RULES } }));
  expect(groups()).toBe(9);
  for (let era = 0; era < ERAS; era++) net.era();
  expect(net.stateOf(5).state).toBe('suspended');
  expect(net.monitorOf(0)).toMatchObject({ state: 'removed' });
  expect(groups()).toBe(9);
  const named = net
    .stateOf(0)
    .last!.groups.find(({ monitors }) => monitors.includes(net.monitors.at(-1)!.identity.id));
  expect(named!.group).toBe('watch52');

  const log = await openEventLog(join(root, 'log'));
  for (const record of net.records) await log.append(record);
  await log.close();
  expect(await replay(join(root, 'log'))).toMatchObject({ agree: true, eras: 2 * ERAS + 1 });
});

test('the rules of a later release are not guessed', () => {
  for (const rules of [0, 1.5, RULES + 1]) {
    expect(() => checkParameters({ ...ORACLE_DEFAULTS, rules })).toThrow(/knows the oracle's rules 1 to 2/);
  }
  const { rules, ...older } = ORACLE_DEFAULTS;
  expect(rules).toBe(RULES);
  expect(() => checkParameters(older)).not.toThrow();
});
