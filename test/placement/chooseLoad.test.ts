import { chooseProviders, seededRandom, type Candidate } from '#placement';
import { describe, expect, test } from 'vitest';
import { candidate } from './chooseOracle.ts';

/** Chunks after which load counts for half: ten seconds of a gateway that writes fifty a second. */
const HALF_LIFE = 500;

/** Places chunks as a gateway does, which knows its own load. Returns each provider's shards for its weight, 1 being its fair part. */
function simulate(weights: readonly number[], chunks: number, count: number, max: number): number[] {
  const loads = weights.map(() => ({ sum: 0, at: 0 }));
  let now = 0;
  const loadOf = (id: number): number => loads[id]!.sum * 2 ** ((loads[id]!.at - now) / HALF_LIFE);
  const candidates: Candidate[] = weights.map((weight, id) => {
    const { info } = candidate(id, [`r${id % 5}`, `s${id % 50}`, `o${id % 33}`]);
    return {
      info,
      weight,
      get load() {
        return loadOf(id);
      },
    };
  });
  const shards = weights.map(() => 0);
  const random = seededRandom(5);
  for (; now < chunks; now++) {
    const seed = Math.floor(random.fraction() * 2 ** 32);
    for (const { id } of chooseProviders({ candidates, count, perDomainMax: max, seed }).chosen) {
      const number = Number(id.slice(1));
      shards[number]! += 1;
      loads[number] = { sum: loadOf(number) + 1, at: now };
    }
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return shards.map((found, id) => (found * total) / (chunks * count * weights[id]!));
}

describe('load is in proportion to weight within 5 %', () => {
  const random = seededRandom(9);
  const weights = Array.from({ length: 100 }, () => 1 + 3 * random.fraction());

  test('of 100 providers, drawn one by one', () => {
    const fair = simulate(weights, 200_000, 16, 6);
    expect(Math.min(...fair)).toBeGreaterThan(0.95);
    expect(Math.max(...fair)).toBeLessThan(1.05);
  });

  test('of 100 providers, in groups', () => {
    const fair = simulate(weights, 200_000, 6, 2);
    expect(Math.min(...fair)).toBeGreaterThan(0.95);
    expect(Math.max(...fair)).toBeLessThan(1.05);
  });
});
