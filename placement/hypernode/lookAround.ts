/** The visits of an era: the monitor's own check first, then every provider of the assignment, until the time is over. */
import type { Assignment, Report } from '../network/messages.ts';
import { Connectivity, isConnected, type Reach } from './connectivity.ts';
import { ProviderLine } from './providerLine.ts';
import { ProviderProbe } from './providerProbe.ts';
import { requestSlots } from './slots.ts';
import type { RoundOptions } from './eraRound.ts';
import type { HyperNodeLimits } from './types.ts';
import { planVisits, type Visit } from './visits.ts';
import { ProviderWatch } from './watch.ts';

/** Share of the time in which a monitor that is cut off looks whether it still is. */
const RECHECK_SHARE = 0.5;
/** Least ms that an answer gets, and share of a short era's time. */
const ANSWER_MS_MIN = 1000;
const ANSWER_SHARE = 0.2;
/** Share of the time that is left free at its end for what the last visits wait for. */
const REST_SHARE = 0.05;

export interface Work {
  readonly assignment: Assignment;
  /** When the visits end, by this machine's clock. */
  readonly endsAt: number;
  /** An earlier run has begun this era. */
  readonly resumed: boolean;
}

export type Seen = Pick<Report, 'connectivity' | 'findings'>;

/** Rejects with the reason of the options' signal when that aborts. */
export async function lookAround(work: Work, given: RoundOptions): Promise<Seen> {
  const options = { ...given, limits: limitsFor(work.endsAt - given.clock.now(), given.limits) };
  const lines: ProviderLine[] = [];
  const over = new AbortController();
  const closeAll = (): void => lines.forEach((line) => void line.close());
  // What is under way when the time is over is not waited for, and not counted.
  over.signal.addEventListener('abort', closeAll, { once: true });
  const forget = abortAt(over, work.endsAt, options);
  try {
    return await look(work, lines, over.signal, options);
  } finally {
    forget();
    await Promise.all(lines.map((line) => line.close()));
  }
}

/** A provider that lets its caller wait must have been waited for in vain before a short era is over. */
function limitsFor(ms: number, limits: HyperNodeLimits): HyperNodeLimits {
  const most = Math.max(ANSWER_MS_MIN, ms * ANSWER_SHARE);
  return {
    ...limits,
    connectMs: Math.min(limits.connectMs, most),
    answerMs: Math.min(limits.answerMs, most),
    readMs: Math.min(limits.readMs, most),
    retryMs: Math.min(limits.retryMs, most / 4),
  };
}

async function look(
  work: Work,
  lines: ProviderLine[],
  over: AbortSignal,
  options: RoundOptions,
): Promise<Seen> {
  const { limits, stopwatch, folder, membership } = options;
  const { addresses } = membership;
  const slots = requestSlots(limits.requests);
  const probes = work.assignment.tasks.map((task) => {
    const line = new ProviderLine(task.endpoint, { limits, slots, stopwatch, addresses });
    lines.push(line);
    return new ProviderProbe(task, line, folder.identity, limits);
  });
  const connectivity = connectivityOf(probes, options);
  const reach = await ownCheck(connectivity, work, over, options);
  options.signal.throwIfAborted();
  if (!isConnected(reach)) return { connectivity: reach, findings: [] };
  const watches = probes.map((probe) => watchOf(probe, work, connectivity, options));
  const visits = probes.map(({ task }) => visitsOf(task, work.endsAt, options));
  await Promise.all(watches.map((watch, at) => untilOver(watch, visits[at]!, over)));
  options.signal.throwIfAborted();
  return { connectivity: reach, findings: watches.map((watch) => watch.finding()) };
}

/** Aborts when the time has come, or the whole HyperNode is stopped. @returns ends the waiting */
function abortAt(over: AbortController, at: number, { clock, signal }: RoundOptions): () => void {
  const waiting = new AbortController();
  const abort = (): void => over.abort(new Error("the era's work is over"));
  const either = AbortSignal.any([signal, waiting.signal]);
  clock.sleep(Math.max(0, at - clock.now()), either).then(abort, () => {
    if (signal.aborted) abort();
  });
  return () => waiting.abort();
}

async function untilOver(watch: ProviderWatch, visits: readonly Visit[], over: AbortSignal): Promise<void> {
  try {
    await watch.run(visits, over);
  } catch (error) {
    if (!over.aborted) throw error;
  }
}

/** A monitor that is cut off gives itself some time. */
async function ownCheck(
  connectivity: Connectivity,
  { endsAt }: Work,
  over: AbortSignal,
  { clock, limits }: RoundOptions,
): Promise<Reach> {
  const until = clock.now() + (endsAt - clock.now()) * RECHECK_SHARE;
  for (;;) {
    const reach = await connectivity.check(limits.connectivitySample);
    if (isConnected(reach) || over.aborted || clock.now() + limits.pollMs > until) return reach;
    await clock.sleep(limits.pollMs, over).catch(() => undefined);
  }
}

function connectivityOf(probes: readonly ProviderProbe[], options: RoundOptions): Connectivity {
  const hello = async (probe: ProviderProbe): Promise<boolean> => (await probe.hello()).kind === 'hello';
  return new Connectivity({
    gateway: () => options.membership.isThere(),
    providers: new Map(probes.map((probe) => [probe.task.provider, () => hello(probe)])),
    random: options.random,
    stopwatch: options.stopwatch,
  });
}

function watchOf(
  probe: ProviderProbe,
  { assignment, resumed }: Work,
  connectivity: Connectivity,
  { folder, limits, clock, stopwatch }: RoundOptions,
): ProviderWatch {
  return new ProviderWatch(probe, {
    assignment,
    monitor: folder.identity.id,
    limits,
    clock,
    stopwatch,
    resumed,
    onAnswer: () => connectivity.noteAnswer(probe.task.provider),
    isConnected: (provider, since) => connectivity.isConnected(provider, since),
  });
}

function visitsOf(
  { targets, throughput }: Assignment['tasks'][number],
  endsAt: number,
  { clock, limits, random }: RoundOptions,
): Visit[] {
  const from = clock.now();
  const rest = Math.min(limits.answerMs, (endsAt - from) * REST_SHARE);
  return planVisits(
    {
      from,
      until: Math.max(from, Math.min(endsAt - rest, from + limits.spreadMs)),
      visits: limits.probes,
      targets,
      read: throughput,
    },
    random,
  );
}
