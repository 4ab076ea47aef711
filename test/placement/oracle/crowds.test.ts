/** What a crowd of small providers, or of monitors that say what nobody asked, must not bring about. */
import { expect, test } from 'vitest';
import { SyntheticNetwork, type Conduct } from './syntheticNetwork.ts';

const HUSHED: Conduct = { hushed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] };
const LIAR = 5;

/** Five honest providers, one that is silent about half of its shards, and others. */
function beside(others: readonly Conduct[], rules?: { rules: number }): SyntheticNetwork {
  const providers = [{}, {}, {}, {}, {}, HUSHED, ...others];
  const network = new SyntheticNetwork({
    providers,
    monitors: 9,
    challenges: 10,
    ...(rules && { parameters: rules }),
  });
  for (let era = 0; era < 12; era++) network.era();
  return network;
}

const HELPERS = Array.from({ length: 7 }, (): Conduct => ({ late: true, part: 0.001 }));

test('providers that hold next to nothing and answer late do not hide another’s silence', () => {
  expect(beside([]).stateOf(LIAR).state).toBe('suspended');
  const network = beside(HELPERS);
  expect(network.stateOf(LIAR).state).toBe('suspended');
  expect(network.stateOf(LIAR + 1)).toMatchObject({ state: 'suspended' });
  expect(network.stateOf(0)).toMatchObject({ state: 'active' });
  // As older logs were decided: there, they were the majority.
  expect(beside(HELPERS, { rules: 1 }).stateOf(LIAR).state).toBe('active');
});

test('one provider that holds most of all does not hide its own lateness', () => {
  const providers = [{ late: true }, { part: 0.01 }, { part: 0.01 }, { part: 0.01 }, { part: 0.01 }];
  const network = new SyntheticNetwork({ providers, monitors: 7 });
  for (let era = 0; era < 12; era++) network.era();
  expect(network.stateOf(0)).toMatchObject({ state: 'suspended' });
  expect(network.stateOf(0).timely).toBeLessThan(0.5);
});

test('a monitor that is late itself is still told from the providers it finds late', () => {
  const network = new SyntheticNetwork({ providers: [{}, {}, {}, {}, {}, {}], monitors: 7 });
  for (const slow of network.monitors.slice(0, 4)) {
    slow.alter = (findings) =>
      findings.map((finding) => ({
        ...finding,
        audits: finding.audits.map((audit) =>
          audit.outcome === 'ok' ? { ...audit, outcome: 'late' as const, elapsedMs: 400 } : audit,
        ),
      }));
  }
  for (let era = 0; era < 8; era++) network.era();
  expect(network.stateOf(0).timely).toBe(1);
});

const FRANKFURT = { latitude: 50, longitude: 8.6 };
const ANTIPODE = { latitude: -50, longitude: -171.4 };

test.each([
  [50, 7, false],
  [7, 7, false],
  [6, 7, true],
])(
  'a location is refuted by most groups of all: %d that say none, %d that stand elsewhere',
  (silent, others, refuted) => {
    const network = new SyntheticNetwork({ providers: [{ location: FRANKFURT }, {}], monitors: silent });
    for (let i = 0; i < others; i++) network.addMonitor(100 + i, { location: ANTIPODE });
    network.era();
    expect(network.stateOf(0).last!.score === 0).toBe(refuted);
    expect(network.stateOf(0).last!.locationRefutedBy).toHaveLength(others);
    expect(network.stateOf(1).last!.score).toBeGreaterThan(0.9);
  },
);
