import { chooseProviders, seededRandom, type Candidate, type Random } from '#placement';
import { describe, expect, test } from 'vitest';
import { succeed, tableOf } from '../../placement/choosing/candidateTable.ts';
import { buildCopysets, type Copysets } from '../../placement/choosing/copysets.ts';
import { candidate, levelsKept } from './chooseOracle.ts';

const NODES = 5_000;

function nodes(weightOf: (id: number) => number, count = NODES): Candidate[] {
  return Array.from({ length: count }, (_, id) =>
    candidate(id, [`r${id % 7}`, `s${id % 120}`, `o${id % 80}`], weightOf(id)),
  );
}

function groupsOf({ count, size, members }: Copysets): number[][] {
  return Array.from({ length: count }, (_, group) => [...members.subarray(group * size, (group + 1) * size)]);
}

function build(candidates: readonly Candidate[], size: number, max: number): Copysets {
  const table = tableOf(candidates);
  return buildCopysets(table, table.proven.members, size, [max, max, max]);
}

describe('groups', () => {
  const random = seededRandom(3);
  const weights = Array.from({ length: NODES }, () => 1 + 3 * random.fraction());
  const candidates = nodes((id) => weights[id]!);
  const made = build(candidates, 16, 6);
  const groups = groupsOf(made);

  test('keep the domain rule, each of different nodes', () => {
    const infos = new Map(candidates.map(({ info }) => [info.id, info]));
    for (const group of groups) {
      expect(new Set(group).size).toBe(16);
      const members = group.map((place) => infos.get(made.roster[place]!.id)!);
      expect(levelsKept(members, 6)).toEqual(['region', 'site', 'operator']);
    }
  });

  test('have each node in proportion to its weight, and with at least 2 (n − 1) others', () => {
    const times = made.roster.map(() => 0);
    const partners = made.roster.map(() => new Set<number>());
    for (const group of groups) {
      for (const place of group) {
        times[place]! += 1;
        for (const other of group) partners[place]!.add(other);
      }
    }
    const total = made.roster.reduce((sum, { weight }) => sum + weight, 0);
    const shares = times.map((count, place) => {
      return (count * total) / (groups.length * 16 * made.roster[place]!.weight);
    });
    const near = shares.filter((share) => Math.abs(share - 1) <= 0.05);
    expect(near.length).toBeGreaterThan(0.99 * NODES);
    expect(Math.max(...shares.map((share) => Math.abs(share - 1)))).toBeLessThan(0.12);
    expect(Math.min(...partners.map(({ size }) => size - 1))).toBeGreaterThanOrEqual(30);
  });

  test('are as few as they can be where all nodes weigh the same: P · N / n with P = 2', () => {
    expect(
      build(
        nodes(() => 1),
        16,
        6,
      ).count,
    ).toBe(Math.ceil((2 * NODES) / 16));
  });

  test('do not depend on the order of the candidates', () => {
    const reversed = build([...candidates].reverse(), 16, 6);
    expect(reversed.roster).toEqual(made.roster);
    expect(reversed.members).toEqual(made.members);
  });
});

describe('choosing among many', () => {
  const setsOf = (candidates: readonly Candidate[], chunks: number, from = 0): Set<string> => {
    const sets = new Set<string>();
    for (let seed = from; seed < from + chunks; seed++) {
      const { chosen } = chooseProviders({ candidates, count: 6, perDomainMax: 2, seed });
      sets.add(
        chosen
          .map(({ id }) => id)
          .sort()
          .join(),
      );
    }
    return sets;
  };

  test('gives few different sets, and the same ones after a small change', () => {
    const before = nodes(() => 1, 600);
    const first = setsOf(before, 5_000);
    expect(first.size).toBeLessThanOrEqual(202);
    // Weights move a little, and two nodes take nothing now: only their groups have others in their place.
    const after = nodes((id) => (id < 2 ? 0 : 1 + (id % 3) / 50), 600);
    succeed(after, before);
    const second = setsOf(after, 5_000);
    const untouched = [...first].filter((set) => !/\bp[01]\b/.test(set));
    expect(untouched.length).toBeGreaterThan(190);
    expect(untouched.every((set) => second.has(set))).toBe(true);
  });

  test('makes new groups after a material change', () => {
    const before = nodes(() => 1, 600);
    const first = setsOf(before, 2_000);
    const after = nodes(() => 1, 700);
    succeed(after, before);
    const second = setsOf(after, 2_000);
    expect([...second].filter((set) => first.has(set)).length).toBeLessThan(second.size / 10);
    expect([...second].some((set) => /\bp6\d\d\b/.test(set))).toBe(true);
  });
});

describe('when one in a hundred of 5,000 nodes fails at once', () => {
  const TRIALS = 200;
  const PARITY = 2;

  /** Part of the trials in which some set has more failed members than its chunks have parity. */
  function lossProbability(sets: Int32Array, size: number, random: Random): number {
    let lost = 0;
    for (let trial = 0; trial < TRIALS; trial++) {
      const failed = new Uint8Array(NODES);
      for (let left = NODES / 100; left > 0;) {
        const node = Math.floor(random.fraction() * NODES);
        if (failed[node] === 1) continue;
        failed[node] = 1;
        left--;
      }
      let isLost = false;
      for (let at = 0; at < sets.length && !isLost; at += size) {
        let gone = 0;
        for (let place = at; place < at + size; place++) gone += failed[sets[place]!]!;
        isLost = gone > PARITY;
      }
      if (isLost) lost++;
    }
    return lost / TRIALS;
  }

  test('a set of its own for every chunk loses data nearly always, groups seldom', () => {
    const random = seededRandom(11);
    const made = build(
      nodes(() => 1),
      6,
      PARITY,
    );
    const own = Int32Array.from({ length: 6 * 400_000 }, () => Math.floor(random.fraction() * NODES));
    // A set is lost with probability C(6,3) · 0.01³ ≈ 2e-5: 1,667 of them in 3 %, 400,000 in 99.9 % of the cases.
    expect(lossProbability(made.members, 6, random)).toBeLessThan(0.08);
    expect(lossProbability(own, 6, random)).toBeGreaterThan(0.98);
  });
});
