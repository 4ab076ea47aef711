import type { Maintenance } from '#placement';
import type { Logger } from './log.ts';

type MaintenanceEvent = Parameters<NonNullable<ConstructorParameters<typeof Maintenance>[0]['onEvent']>>[0];

/** Longest list that a log line carries whole; the commands print them all. */
const LIST_MAX = 5;

/** Logs what background repair and scrub did: a warning when data lacks redundancy after it. */
export function logMaintenance(log: Logger, event: MaintenanceEvent): void {
  if (event.kind === 'failed') {
    log.error({ err: event.error, job: event.job }, 'a background job failed');
    return;
  }
  const level = lacks(event) ? 'warn' : 'info';
  log[level]({ event: event.kind, report: brief(event.report) }, `background ${event.kind}`);
}

function lacks(event: Exclude<MaintenanceEvent, { kind: 'failed' }>): boolean {
  if (event.kind === 'repaired') return event.report.failed.length + event.report.unreadable.length > 0;
  const { chunks, orphans } = event.report;
  return (
    chunks.missing + chunks.corrupt + chunks.unreachable + chunks.unplaced > 0 || orphans.failed.length > 0
  );
}

/** The same with long lists cut to their count and first entries. */
export function brief(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length <= LIST_MAX ? value : { count: value.length, first: value.slice(0, LIST_MAX) };
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, brief(field)]));
}
