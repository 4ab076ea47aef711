import { describe, expect, test } from 'vitest';
import { LEAF_BYTES } from '#erasure';
import { challengeOf } from '../../../placement/network/beacon.ts';
import { digestCount, digestQuantile } from '../../../placement/network/latencyDigest.ts';
import { proofStatementSchema, type Finding, type Report } from '../../../placement/network/messages.ts';
import { openStatement } from '../../../placement/network/signed.ts';
import type { ScriptedProvider } from './scriptedProvider.ts';
import { newGateway, newMonitor, newProvider } from './setting.ts';
import { BEACON, type KnownShard, type TestGateway } from './testGateway.ts';

/** One era with these shards asked of one provider. */
async function oneEra(
  gateway: TestGateway,
  provider: ScriptedProvider,
  shards: readonly KnownShard[],
  options: Parameters<typeof newMonitor>[1] = {},
): Promise<{ report: Report; finding: Finding; monitor: string }> {
  gateway.tasks = (monitor) => [gateway.task(monitor, provider, shards)];
  gateway.openEra(1);
  const { id } = await newMonitor(gateway, options);
  const report = await gateway.report();
  return { report, finding: report.findings[0]!, monitor: id };
}

function outcomes(finding: Finding): string[] {
  return finding.audits.map(({ outcome }) => outcome);
}

describe('an honest provider', () => {
  test('is reported as it is: probes, round trip, proofs, throughput', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const shards = [provider.hold(), provider.hold(LEAF_BYTES), provider.hold(3)];
    gateway.tasks = (monitor) => [
      {
        ...gateway.task(monitor, provider, shards),
        throughput: gateway.run(monitor, provider, shards[0]!, 1, 4),
      },
    ];
    gateway.openEra(3);
    const monitor = await newMonitor(gateway);
    const report = await gateway.report();
    expect(report).toMatchObject({
      era: 3,
      gateway: gateway.identity.id,
      connectivity: { checked: 2, reached: 2 },
    });
    const finding = report.findings[0]!;
    expect(finding).toMatchObject({ provider: provider.id, probes: 4, answered: 4 });
    expect(finding.rttMinMs).toBeGreaterThan(0);
    expect(outcomes(finding)).toEqual(['ok', 'ok', 'ok']);
    expect(finding.throughput).toHaveLength(1);
    expect(finding.throughput[0]).toBeGreaterThan(0);
    expect(digestCount(finding.latency)).toBe(4);
    for (const [place, { evidence }] of finding.audits.entries()) {
      const { value, signer } = openStatement(evidence, 'proof', proofStatementSchema);
      expect(signer).toBe(provider.id);
      expect(value.nonce).toBe(challengeOf(BEACON, 3, provider.id, monitor.id, place));
    }
    expect(gateway.registrations[0]).toMatchObject({ operator: 'watcher', networkPrefix: '192.0.2.0/24' });
  });

  test('that is slow with hellos and proofs alike is far away, not late', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    let time = 0;
    provider.script = (route) => {
      time += route === 'hello' ? 400 : 450;
      return false;
    };
    gateway.forge = (assignment) => ({ ...assignment, serviceMs: { ssd: 100, hdd: 100 } });
    const { finding } = await oneEra(gateway, provider, [provider.hold()], { stopwatch: () => time });
    expect(outcomes(finding)).toEqual(['ok']);
    expect(finding.rttMinMs).toBe(400);
    expect(digestQuantile(finding.latency, 0.5)).toBeGreaterThanOrEqual(450);
  });
});

describe('outcomes', () => {
  test('quick hello, slow proof: late, with the proof', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    let time = 0;
    provider.script = (route) => {
      time += route === 'hello' ? 5 : 106;
      return false;
    };
    gateway.forge = (assignment) => ({ ...assignment, serviceMs: { ssd: 100, hdd: 100 } });
    const { finding } = await oneEra(gateway, provider, [provider.hold()], { stopwatch: () => time });
    expect(finding.audits[0]).toMatchObject({ outcome: 'late', elapsedMs: 106 });
    expect(finding.audits[0]!.evidence).toBeDefined();
    expect(finding.rttMinMs).toBe(5);
  });

  test('a shard that it does not have: missing, with its denial', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const canary = { chunk: 'c0'.repeat(16), index: 2, root: '0a'.repeat(32), length: 40_000 };
    const { finding } = await oneEra(gateway, provider, [provider.hold(), canary]);
    expect(outcomes(finding)).toEqual(['ok', 'missing']);
    expect(finding.audits[1]!.evidence).toMatchObject({ kind: 'denial', signer: provider.publicKey });
  });

  test('a flipped leaf: wrong, with the proof that does not lead to the root', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const flipped = provider.hold(40_000, (bytes) => bytes.map((byte, at) => (at === 77 ? byte ^ 1 : byte)));
    const { finding } = await oneEra(gateway, provider, [flipped]);
    expect(outcomes(finding)).toEqual(['wrong']);
    expect(finding.audits[0]!.evidence).toMatchObject({ kind: 'proof', signer: provider.publicKey });
  });

  test('the tree without the leaf: silent, for nothing that was signed is false', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const shard = provider.hold();
    provider.script = (route, response) => {
      if (route === 'prove') {
        const end = response.end.bind(response);
        response.end = ((body: Uint8Array) => end(Buffer.alloc(body.length))) as typeof response.end;
      }
      return false;
    };
    const { finding } = await oneEra(gateway, provider, [shard]);
    expect(outcomes(finding)).toEqual(['silent']);
  });

  test('no answer to a challenge: silent, asked twice; the provider counts as available', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    provider.script = (route) => route === 'prove';
    const shards = [provider.hold()];
    const { finding } = await oneEra(gateway, provider, shards, { limits: { answerMs: 800 } });
    expect(outcomes(finding)).toEqual(['silent']);
    expect(finding).toMatchObject({ probes: 4, answered: 4 });
    expect(provider.asked.filter((route) => route === 'prove')).toHaveLength(2);
  });

  test('nobody there: unreachable', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    await provider.close();
    const { finding, report } = await oneEra(gateway, provider, [provider.hold()]);
    expect(outcomes(finding)).toEqual(['unreachable']);
    expect(finding).toMatchObject({ probes: 4, answered: 0 });
    expect(finding.rttMinMs).toBeUndefined();
    expect(report.connectivity).toEqual({ checked: 2, reached: 1 });
    await provider.listen();
  });

  test('a provider that is back for the second question has answered', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const seen = new Set<string>();
    provider.script = (route, response) => {
      if (route !== 'prove' || seen.has(route)) return false;
      seen.add(route);
      response.destroy();
      return true;
    };
    const { finding } = await oneEra(gateway, provider, [provider.hold()]);
    expect(outcomes(finding)).toEqual(['ok']);
  });

  test('time that a first question gave it counts', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    let time = 0;
    const seen = new Set<string>();
    provider.script = (route, response) => {
      time += 1;
      if (route !== 'prove' || seen.has(route)) return false;
      seen.add(route);
      time += 3000;
      response.destroy();
      return true;
    };
    gateway.forge = (assignment) => ({ ...assignment, serviceMs: { ssd: 100, hdd: 100 } });
    const { finding } = await oneEra(gateway, provider, [provider.hold()], { stopwatch: () => time });
    expect(outcomes(finding)).toEqual(['late']);
  });

  test('a new run of the provider between hello and challenge is met anew', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    let proofs = 0;
    provider.script = (route, response) => {
      if (route !== 'prove' || ++proofs > 1) return false;
      provider.session = 'b'.repeat(32);
      response.writeHead(401).end('{"kind":"Refused","error":"an earlier run"}');
      return true;
    };
    const { finding } = await oneEra(gateway, provider, [provider.hold()]);
    expect(outcomes(finding)).toEqual(['ok']);
  });

  test('a provider that refuses good grants is silent', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    provider.script = (route, response) => {
      if (route !== 'prove') return false;
      response.writeHead(401).end('{"kind":"Refused","error":"no"}');
      return true;
    };
    const { finding } = await oneEra(gateway, provider, [provider.hold()]);
    expect(outcomes(finding)).toEqual(['silent']);
  });

  test('leaves that do not verify are no throughput', async () => {
    const [gateway, provider] = [await newGateway(), await newProvider()];
    const shard = provider.hold(80_000, (bytes) =>
      bytes.map((byte, at) => (at === 70_000 ? byte ^ 1 : byte)),
    );
    gateway.tasks = (monitor) => [
      { ...gateway.task(monitor, provider, []), throughput: gateway.run(monitor, provider, shard, 3, 2) },
    ];
    gateway.openEra(1);
    await newMonitor(gateway);
    expect((await gateway.report()).findings[0]!.throughput).toEqual([0]);
  });
});

test('a dishonest monitor says what it is told to, in a report that is signed and whole', async () => {
  const [gateway, provider] = [await newGateway(), await newProvider()];
  const { report } = await oneEra(gateway, provider, [provider.hold()], {
    alter: (report) => ({ ...report, findings: report.findings.map((each) => ({ ...each, answered: 0 })) }),
  });
  expect(report.findings[0]).toMatchObject({ probes: 4, answered: 0 });
});
