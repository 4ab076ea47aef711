import { expect, test } from 'vitest';
import {
  FailureWatch,
  modelOf,
  noEvidence,
  PRIOR_MODEL,
  withObservations,
} from '../../../placement/durability/failureModel.ts';

const YEAR_MS = 365 * 86_400_000;
const HALF_LIFE_MS = 90 * 86_400_000;

test('without evidence: 2 % a year and 24 hours', () => {
  expect(PRIOR_MODEL).toEqual({ lossRate: 0.02, repairHours: 24 });
});

test('much evidence outweighs the prior, a little does not', () => {
  const quarter = YEAR_MS / 4;
  const seen = { shards: 1e6, losses: 1e6 * 0.1 * 0.25, repairs: 25_000, repairHours: 25_000 * 3 };
  const model = modelOf(withObservations(noEvidence(0), seen, quarter));
  expect(model.lossRate).toBeCloseTo(0.1, 3);
  expect(model.repairHours).toBeCloseTo(3, 1);
  const few = modelOf(
    withObservations(noEvidence(0), { shards: 60, losses: 2, repairs: 2, repairHours: 1 }, quarter),
  );
  expect(few.lossRate).toBeGreaterThan(0.02);
  expect(few.lossRate).toBeLessThan(0.023);
});

test('old evidence fades: half after 90 days', () => {
  const bad = { ...noEvidence(0), losses: 1_000, shardYears: 1_000 };
  const quiet = { shards: 0, losses: 0, repairs: 0, repairHours: 0 };
  expect(withObservations(bad, quiet, HALF_LIFE_MS)).toMatchObject({ losses: 500, shardYears: 500 });
  // A clock that was set back takes nothing away and adds nothing.
  expect(withObservations({ ...bad, at: 5_000 }, quiet, 0)).toEqual({ ...bad, at: 5_000 });
});

test('measured losses that never end keep the model usable', () => {
  const watch = modelOf(
    withObservations(noEvidence(0), { shards: 0, losses: 1e9, repairs: 0, repairHours: 0 }, 1),
  );
  expect(Number.isFinite(watch.lossRate)).toBe(true);
  const instant = { shards: 1, losses: 1, repairs: 1e9, repairHours: 0 };
  expect(modelOf(withObservations(noEvidence(0), instant, 1)).repairHours).toBe(1);
});

test('what is collected is saved, survives a restart, and is counted once', async () => {
  const notes = new Map<string, string>();
  const catalog = {
    getNote: async (name: string) => notes.get(name),
    setNote: async (name: string, value: string) => void notes.set(name, value),
  };
  const watch = new FailureWatch(catalog);
  watch.rebuilt(3, 48);
  watch.rebuilt(1, 1e9);
  expect(await watch.model(0)).toEqual(PRIOR_MODEL);
  await watch.save(1_000, 0);
  await watch.save(1_000, 0);
  const model = await new FailureWatch(catalog).model(0);
  expect(model.lossRate).toBeCloseTo(24 / 1_000, 9);
  expect(model.repairHours).toBeCloseTo((20 * 24 + 3 * 48 + 720) / 24, 9);
  notes.set('durability.failures', '{"at":1,"losses":null}');
  expect(await new FailureWatch(catalog).model(0)).toEqual(PRIOR_MODEL);
});
