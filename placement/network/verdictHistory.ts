import { join } from 'node:path';
import type { EraOutcome, EraVerdict } from '../oracle/types.ts';
import type { ProviderId } from '../types.ts';
import { readIfThere, replaceFile } from './durableFile.ts';

const FILE = 'history.json';
/** Verdicts kept, of all providers together: three eras of 5,000, a week of ninety. */
const VERDICTS_MAX = 16_384;
const ERAS_MAX = 168;

/** The outcomes of the last eras, as many as memory is meant for. */
export class VerdictHistory {
  #outcomes: EraOutcome[] = [];
  #verdicts = 0;

  /** What was saved last; the log has everything, so that nothing is lost with the file. */
  async load(folder: string): Promise<void> {
    const text = await readIfThere(join(folder, FILE));
    try {
      for (const outcome of JSON.parse(text ?? '[]') as EraOutcome[]) this.add(outcome);
    } catch {
      this.#outcomes = [];
      this.#verdicts = 0;
    }
  }

  async save(folder: string): Promise<void> {
    await replaceFile(join(folder, FILE), JSON.stringify(this.#outcomes));
  }

  add(outcome: EraOutcome): void {
    if (outcome.era <= (this.#outcomes.at(-1)?.era ?? -1)) return;
    this.#outcomes.push(outcome);
    this.#verdicts += outcome.providers.length;
    while (this.#outcomes.length > 1 && (this.#outcomes.length > ERAS_MAX || this.#verdicts > VERDICTS_MAX)) {
      this.#verdicts -= this.#outcomes.shift()!.providers.length;
    }
  }

  /** Newest first. */
  of(id: ProviderId): (EraVerdict & { readonly era: number })[] {
    return this.#outcomes.toReversed().flatMap(({ era, providers }) => {
      const verdict = providers.find(({ provider }) => provider === id);
      return verdict ? [{ ...verdict, era }] : [];
    });
  }
}
