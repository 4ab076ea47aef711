/** What a run of the simulator gives: tables of raw numbers, checks against a formula or target, and charts. */

export type Cell = string | number;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** One comparison. `agrees` is decided by the run, by the rule that `rule` states. */
export interface Check {
  readonly what: string;
  readonly expected: Cell;
  readonly measured: Cell;
  readonly rule: string;
  readonly agrees: boolean;
  /** Why it does not, or how far it holds. */
  readonly note?: string;
}

interface Chart {
  /** Without .svg. */
  readonly file: string;
  readonly title: string;
  readonly svg: string;
}

export interface RunResult {
  readonly id: string;
  readonly title: string;
  /** How it was done, in a few sentences. */
  readonly method: string;
  readonly tables: readonly Table[];
  readonly checks: readonly Check[];
  readonly charts: readonly Chart[];
}

export interface RunContext {
  readonly seed: number;
  /** Small samples, for a look within seconds. */
  readonly quick: boolean;
  /** @param share of this run that is done, 0 … 1 */
  readonly progress: (share: number) => void;
}

export interface Run {
  readonly name: string;
  /** Seconds a full run takes, about: for the ETA only. */
  readonly seconds: number;
  readonly go: (context: RunContext) => RunResult | Promise<RunResult>;
}
