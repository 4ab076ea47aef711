import { balance } from './balance.ts';
import { blackout } from './blackout.ts';
import { churn } from './churn.ts';
import { collusion } from './collusion.ts';
import { copysetLoss } from './copysetLoss.ts';
import { liars } from './liars.ts';
import { lossFormula } from './lossFormula.ts';
import { scale } from './scale.ts';
import { slowLoss } from './slowLoss.ts';
import type { Run, RunResult } from './types.ts';

export const RUNS: readonly Run[] = [
  churn,
  lossFormula,
  blackout,
  slowLoss,
  collusion,
  liars,
  balance,
  copysetLoss,
  scale,
];

export interface Progress {
  readonly name: string;
  /** Of all runs together, 0 … 1. */
  readonly share: number;
  readonly etaSeconds: number;
}

/** Runs one after another. @param seed 32-bit unsigned: the same seed gives the same results, timings apart */
export async function runAll(
  runs: readonly Run[],
  { seed, quick }: { readonly seed: number; readonly quick: boolean },
  onProgress: (progress: Progress) => void,
): Promise<RunResult[]> {
  const total = runs.reduce((sum, { seconds }) => sum + seconds, 0);
  const begun = performance.now();
  const results: RunResult[] = [];
  let done = 0;
  for (const { name, seconds, go } of runs) {
    const progress = (share: number): void => {
      const whole = (done + seconds * Math.min(1, share)) / total;
      const elapsed = (performance.now() - begun) / 1000;
      onProgress({ name, share: whole, etaSeconds: whole > 0 ? (elapsed * (1 - whole)) / whole : total });
    };
    progress(0);
    results.push(await go({ seed, quick, progress }));
    done += seconds;
    progress(0);
  }
  return results;
}
