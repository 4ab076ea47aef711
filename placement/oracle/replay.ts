import { NetworkError } from '../network/errors.ts';
import { START, TamperedError } from './logLine.ts';
import { readLog } from './logReader.ts';
import { scoreEra } from './score.ts';
import { applyRecord } from './state.ts';
import type { EraOutcome, LoggedRecord, LogHead, NetworkState, ReplayReport } from './types.ts';

/**
 * Folds a log from its first record, without writing to it, and computes every score and every beacon again: what it rests on, who signed it and
 * what follows from it are all checked. Stops at the first record that does not hold.
 */
export async function replay(folder: string): Promise<ReplayReport> {
  const progress: Progress = { records: 0, eras: 0, scores: 0, head: START, state: undefined };
  try {
    for await (const logged of readLog(folder)) {
      const what = follow(progress, logged);
      if (what !== undefined) return report(progress, { sequence: logged.sequence, what }, undefined);
    }
  } catch (error) {
    if (!(error instanceof TamperedError)) throw error;
    return report(progress, { sequence: error.sequence, what: error.message }, error.sequence);
  }
  return report(progress, undefined, undefined);
}

interface Progress {
  records: number;
  eras: number;
  scores: number;
  head: LogHead;
  state: NetworkState | undefined;
}

function report(
  progress: Progress,
  firstDisagreement: ReplayReport['firstDisagreement'],
  tamperedAt: number | undefined,
): ReplayReport {
  return { ...progress, agree: firstDisagreement === undefined, firstDisagreement, tamperedAt };
}

/** @returns what is wrong with the record, if anything is; only one that holds is followed */
function follow(progress: Progress, { sequence, hash, record }: LoggedRecord): string | undefined {
  const before = progress.state;
  try {
    if (record.kind === 'era-closed' && before !== undefined) {
      const outcome = scoreEra(before, record.at);
      const what = difference(record.outcome, outcome);
      if (what !== undefined) return what;
      progress.scores += outcome.providers.length;
    }
    progress.state = applyRecord(before, record);
  } catch (error) {
    if (error instanceof NetworkError) return `cannot follow: ${error.message}`;
    return `is not a record of this kind: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (record.kind === 'era-closed') progress.eras++;
  progress.records++;
  progress.head = { sequence, hash };
  return undefined;
}

/**
 * The first verdict of a logged outcome that is not what is computed. The log holds JSON: that is what is compared, but for the reasons, which
 * say in the words of some release what the figures say.
 */
function difference(logged: EraOutcome, computed: EraOutcome): string | undefined {
  if (JSON.stringify(logged) === JSON.stringify(computed) || figures(logged) === figures(computed)) {
    return undefined;
  }
  const where = (kind: 'provider' | 'monitor', name: string): string =>
    `the outcome of era ${computed.era} says of ${kind} ${name} what does not follow from its reports`;
  for (const [index, verdict] of computed.providers.entries()) {
    if (figures(verdict) !== figures(logged.providers[index])) {
      return where('provider', verdict.provider);
    }
  }
  for (const [index, verdict] of computed.monitors.entries()) {
    if (figures(verdict) !== figures(logged.monitors[index])) {
      return where('monitor', verdict.monitor);
    }
  }
  return `the outcome of era ${computed.era} does not follow from its reports`;
}

function figures(verdicts: unknown): string | undefined {
  return JSON.stringify(verdicts, (key, value: unknown) => (key === 'reason' ? undefined : value));
}
