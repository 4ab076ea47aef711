import { MultiBar, Presets } from 'cli-progress';
import type { SingleBar } from 'cli-progress';
import type { JobProgress } from './admin/types.ts';

/** Seconds between lines where standard error is no terminal. */
const LINE_INTERVAL_S = 5;

export interface ProgressView {
  update(progress: JobProgress): void;
  stop(): void;
}

/** A bar with rate and ETA on a terminal, a line now and then elsewhere; on standard error, so that results can be piped. */
export function progressView(quiet: boolean): ProgressView {
  if (quiet) return { update: () => undefined, stop: () => undefined };
  return process.stderr.isTTY ? barView() : lineView();
}

function barView(): ProgressView {
  const bars = new MultiBar(
    {
      stream: process.stderr,
      format: '{job} [{bar}] {percentage}% | {value}/{total} | {rate} | ETA {eta_formatted}',
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  const byJob = new Map<string, { bar: SingleBar; started: number }>();
  return {
    update(progress) {
      let entry = byJob.get(progress.job);
      if (entry === undefined) {
        entry = {
          bar: bars.create(progress.total ?? 0, 0, { job: progress.job, rate: '' }),
          started: Date.now(),
        };
        byJob.set(progress.job, entry);
      }
      // Without a known total the bar follows the work done, and its ETA stays open.
      entry.bar.setTotal(Math.max(progress.total ?? progress.done + 1, 1));
      entry.bar.update(progress.done, { job: progress.job, rate: rate(progress, entry.started) });
    },
    stop() {
      bars.stop();
    },
  };
}

function lineView(): ProgressView {
  const started = Date.now();
  let shown = started;
  return {
    update(progress) {
      const now = Date.now();
      if (now - shown < LINE_INTERVAL_S * 1000) return;
      shown = now;
      process.stderr.write(`${describe(progress, started, now)}\n`);
    },
    stop() {},
  };
}

function describe(progress: JobProgress, started: number, now: number): string {
  const { job, done, total } = progress;
  const eta =
    total === undefined || done === 0
      ? ''
      : `, ETA ${Math.round(((now - started) / 1000 / done) * (total - done))} s`;
  return `${job}: ${done}${total === undefined ? '' : ` of ${total}`}, ${rate(progress, started)}${eta}`;
}

function rate(progress: JobProgress, started: number): string {
  const seconds = Math.max(0.001, (Date.now() - started) / 1000);
  return `${(progress.done / seconds).toFixed(1)}/s, ${(progress.bytes / seconds / 1e6).toFixed(1)} MB/s`;
}
