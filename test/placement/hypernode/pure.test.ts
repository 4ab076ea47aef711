import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '#placement';
import { Connectivity } from '../../../placement/hypernode/connectivity.ts';
import { grantTerms } from '../../../placement/hypernode/grantTerms.ts';
import { answerMs, timely } from '../../../placement/hypernode/proofs.ts';
import { fitReport } from '../../../placement/hypernode/reportSize.ts';
import { Slots } from '../../../placement/hypernode/slots.ts';
import { planVisits } from '../../../placement/hypernode/visits.ts';
import { createIdentity } from '../../../placement/network/identity.ts';
import { issueGrant } from '../../../placement/network/issueGrant.ts';
import {
  bucketEdgeMs,
  digestCount,
  digestOf,
  digestQuantile,
  latencyBucket,
  mergeDigests,
} from '../../../placement/network/latencyDigest.ts';
import { latencyDigestSchema, type Report } from '../../../placement/network/messages.ts';

const latencies = fc.array(fc.double({ min: 0, max: 2e6, noNaN: true }), { maxLength: 200 });

describe('the latency digest', () => {
  test('puts a value into the bucket that messages.ts says', () => {
    expect([0, 0.3, 1, 1.01, 2, 2.01, 1024].map(latencyBucket)).toEqual([0, 0, 0, 1, 4, 5, 40]);
    fc.assert(
      fc.property(fc.double({ min: 1, max: 2 ** 20, noNaN: true, minExcluded: true }), (ms) => {
        const bucket = latencyBucket(ms);
        expect(ms).toBeLessThanOrEqual(bucketEdgeMs(bucket) * (1 + 1e-12));
        expect(ms).toBeGreaterThan(bucketEdgeMs(bucket - 1) * (1 - 1e-12));
      }),
    );
  });

  test('gives every quantile to within 19 %, of the sorted values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 1 }),
        fc.integer({ min: 1, max: 100 }),
        (values, percent) => {
          const sorted = values.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.ceil((sorted.length * percent) / 100)) - 1]!;
          const found = digestQuantile(digestOf(values), percent / 100)!;
          expect(found).toBeGreaterThanOrEqual(exact * (1 - 1e-12));
          expect(found).toBeLessThanOrEqual(exact * 2 ** 0.25 * (1 + 1e-12));
        },
      ),
    );
  });

  test('merged is the digest of all, and has the shape that is sent', () => {
    fc.assert(
      fc.property(latencies, latencies, (some, others) => {
        const merged = mergeDigests([digestOf(some), digestOf(others)]);
        expect(merged).toEqual(digestOf([...some, ...others]));
        expect(latencyDigestSchema.parse(merged)).toEqual(merged);
        expect(digestCount(merged)).toBe(some.length + others.length);
        expect(merged.map(([bucket]) => bucket)).toEqual(
          merged.map(([bucket]) => bucket).toSorted((a, b) => a - b),
        );
      }),
    );
  });

  test('takes what a stranger has put in any order', () => {
    const unsorted: [number, number][] = [
      [40, 1],
      [0, 2],
      [40, 3],
    ];
    expect(digestQuantile(unsorted, 0.3)).toBe(1);
    expect(digestQuantile(unsorted, 0.5)).toBe(1024);
    expect(mergeDigests([unsorted])).toEqual([
      [0, 2],
      [40, 4],
    ]);
    expect(digestQuantile([], 0.5)).toBeUndefined();
  });
});

describe('the plan of visits', () => {
  const plan = fc.record({
    from: fc.integer({ min: 0, max: 1e12 }),
    ms: fc.integer({ min: 0, max: 3.6e6 }),
    visits: fc.integer({ min: 1, max: 20 }),
    lasting: fc.array(fc.integer({ min: -1e6, max: 1e7 }), { maxLength: 30 }),
    seed: fc.nat(),
  });

  test('is spread over the time, and asks every target once', () => {
    fc.assert(
      fc.property(plan, ({ from, ms, visits, lasting, seed }) => {
        const targets = lasting.map((each) => from + each);
        const planned = planVisits(
          { from, until: from + ms, visits, targets, read: from + ms },
          seededRandom(seed),
        );
        expect(planned).toHaveLength(visits);
        planned.forEach(({ at }, place) => {
          expect(at).toBeGreaterThanOrEqual(Math.floor(from + (place * ms) / visits));
          expect(at).toBeLessThanOrEqual(from + ((place + 1) * ms) / visits);
        });
        expect(planned.flatMap((visit) => visit.targets).toSorted((a, b) => a - b)).toEqual([
          ...targets.keys(),
        ]);
        expect(planned.filter(({ read }) => read)).toHaveLength(1);
      }),
    );
  });

  test('is the same whenever grants end: a provider that tells a wrong time does not choose when it is asked', () => {
    const [from, eraMs] = [1e12, 3_600_000];
    const until = from + 0.85 * eraMs;
    const planned = (end: number): ReturnType<typeof planVisits> => {
      const targets = Array.from({ length: 400 }, () => end);
      return planVisits({ from, until, visits: 12, targets, read: end }, seededRandom(1));
    };
    const honest = planned(from + eraMs + 60_000);
    for (const end of [from - eraMs, from + 60_000, from + 0.3 * eraMs, Infinity]) {
      expect(planned(end)).toEqual(honest);
    }
    for (const { targets } of honest) expect(targets.length).toBeGreaterThan(10);
  });

  test('differs from era to era', () => {
    const targets = Array.from({ length: 8 }, () => Infinity);
    const one = { from: 0, until: 1000, visits: 10, targets, read: undefined };
    expect(planVisits(one, seededRandom(1))).not.toEqual(planVisits(one, seededRandom(2)));
    expect(planVisits(one, seededRandom(1))).toEqual(planVisits(one, seededRandom(1)));
  });
});

describe('the deadline', () => {
  const service = { ssd: 100, hdd: 500 };

  test('is the round trip and what the storage class may take', () => {
    expect(timely(120, 20, 'ssd', service)).toBe('ok');
    expect(timely(120.001, 20, 'ssd', service)).toBe('late');
    expect(timely(520, 20, 'hdd', service)).toBe('ok');
  });

  test('lets the leaf itself take one more round trip, and no more', () => {
    expect(answerMs({ startedAt: 10, headersAt: 210, endedAt: 400 }, 200)).toBe(200);
    expect(answerMs({ startedAt: 10, headersAt: 210, endedAt: 450 }, 200)).toBe(240);
    expect(answerMs({ startedAt: 10, headersAt: 11, endedAt: 150 }, 1)).toBe(139);
  });
});

describe('a report that is too long', () => {
  const audit = { target: 0, outcome: 'silent' as const, elapsedMs: 1, evidence: 'e'.repeat(500) };
  const finding = { provider: 'a', probes: 1, answered: 1, latency: [], throughput: [] };
  const report: Report = {
    version: 1,
    gateway: 'a',
    at: 1,
    era: 1,
    assignment: 'b',
    connectivity: { checked: 1, reached: 1 },
    reveal: 'c',
    findings: [
      { ...finding, audits: Array.from({ length: 10 }, (_, target) => ({ ...audit, target })) },
      { ...finding, audits: [audit, audit] },
      { ...finding, audits: [] },
    ],
  };

  test('keeps the first audits of every provider, as many as fit', () => {
    expect(fitReport(report, 1e6)).toBe(report);
    for (const bytes of [6000, 3000, 2000]) {
      const fitted = fitReport(report, bytes);
      expect(JSON.stringify(fitted).length).toBeLessThanOrEqual(bytes);
      expect(fitted.findings).toHaveLength(3);
    }
    expect(fitReport(report, 3500).findings.map(({ audits }) => audits.length)).toEqual([3, 2, 0]);
    expect(fitReport(report, 10).findings.map(({ audits }) => audits.length)).toEqual([0, 0, 0]);
  });
});

describe('connectivity', () => {
  function connectivity(gateway: boolean, providers: Record<string, boolean>): Connectivity {
    let time = 0;
    return new Connectivity({
      gateway: () => Promise.resolve(gateway),
      providers: new Map(Object.entries(providers).map(([id, up]) => [id, () => Promise.resolve(up)])),
      random: seededRandom(3),
      stopwatch: () => time++,
    });
  }

  test('is checked with the gateway and a sample', async () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`p${index}`, true]));
    expect(await connectivity(true, many).check(16)).toEqual({ checked: 17, reached: 17 });
    expect(await connectivity(false, { a: true, b: false }).check(16)).toEqual({ checked: 3, reached: 1 });
    expect(await connectivity(true, {}).check(16)).toEqual({ checked: 1, reached: 1 });
  });

  test('is shown by others only, and since it was doubted', async () => {
    const cutOff = connectivity(false, { a: false, b: false });
    cutOff.noteAnswer('a'); // at 0
    expect(await cutOff.isConnected('b', 0)).toBe(true);
    expect(await cutOff.isConnected('a', 0)).toBe(false);
    expect(await cutOff.isConnected('b', 1)).toBe(false);
    cutOff.noteAnswer('b'); // at 1
    expect(await cutOff.isConnected('b', 0)).toBe(true);
    expect(await cutOff.isConnected('b', 1)).toBe(false);
    expect(await connectivity(true, { a: false }).isConnected('a', 0)).toBe(true);
  });
});

test('no more is under way at once than there are slots, and all of it ends', async () => {
  const slots = new Slots(3);
  let [now, most, done] = [0, 0, 0];
  const work = async (): Promise<void> => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    now--;
    if (++done % 5 === 0) throw new Error('as it may');
  };
  await Promise.allSettled(Array.from({ length: 40 }, () => slots.run(work)));
  expect([now, most, done]).toEqual([0, 3, 40]);
});

test('the terms of a grant are read as far as its holder needs them', () => {
  const fields = {
    op: 'prove',
    holder: 'a'.repeat(32),
    provider: 'b'.repeat(32),
    size: 0,
    expires: 77,
  } as const;
  const { text, nonce } = issueGrant(createIdentity(), fields);
  expect(grantTerms(text)).toEqual({ nonce, expires: 77 });
  for (const bad of ['', '.', 'e30.x', Buffer.from('[]').toString('base64url')]) {
    expect(grantTerms(bad)).toEqual({ nonce: '', expires: Infinity });
  }
});
