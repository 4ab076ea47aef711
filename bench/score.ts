/**
 * What the close of an era costs the gateway in a network of thousands, and for how long it keeps the event loop from everything else:
 * `npm run bench:score`. Writes score.json and score.md into bench/results (--out).
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { systemClock } from '#placement';
import { Journal } from '../placement/network/journal.ts';
import { writeSnapshot } from '../placement/network/snapshot.ts';
import { verifyEvidence } from '../placement/oracle/findings.ts';
import { openEventLog } from '../placement/oracle/log.ts';
import { scoreEra, scoreEraStepwise } from '../placement/oracle/score.ts';
import { inTurns } from '../placement/oracle/stepwise.ts';
import type { EraOutcome } from '../placement/oracle/types.ts';
import { machine, machineLine } from './machine.ts';
import { runCommand } from './s3/progress.ts';
import { writeResults } from './s3/write.ts';
import { Crowd, CROWD_STARTED_AT } from './simulator/crowd.ts';

const PROVIDERS = 5000;
const MONITORS = 21;
/** Of a monitor at a provider, canaries counted, as eraPlan makes them of 20 challenges for 21 monitors. */
const TARGETS = 2;
/** The first warms the code up, and gives the parties a past. */
const ERAS = 2;
const ERA_MS = 3_600_000;
const TICK_MS = 1;

const RESULTS = resolve(import.meta.dirname, 'results');
const HELP = `npm run bench:score -- [options]

What closing an era costs the gateway, step by step, and for how long each step blocks its event loop. Prints a table and writes
score.json and score.md.

  --providers ${PROVIDERS}   of the network; with fewer nothing is written
  --out folder       where results go; default: bench/results`;

interface ScoreOptions {
  readonly providers: number;
  readonly out: string;
}

function readScoreOptions(args: string[]): ScoreOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', default: false },
      providers: { type: 'string', default: String(PROVIDERS) },
      out: { type: 'string', default: RESULTS },
    },
  });
  if (values.help) return undefined;
  const providers = Number(values.providers);
  if (!Number.isInteger(providers) || providers < 1 || providers > PROVIDERS) {
    throw new Error(`--providers takes a whole number from 1 to ${PROVIDERS}, got ${values.providers}`);
  }
  return { providers, out: resolve(values.out) };
}

interface Phase {
  readonly name: string;
  readonly wallMs: number;
  /** Of the thread that answers requests. */
  readonly cpuMs: number;
  /** Of all threads. */
  readonly allCpuMs: number;
  /** Longest delay of the event loop, by the clock and in the thread's own time: a busy machine adds to the first. */
  readonly longestMs: number;
  readonly longestCpuMs: number;
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

async function measured<T>(name: string, work: () => Promise<T> | T): Promise<Phase & { result: T }> {
  const delays = monitorEventLoopDelay({ resolution: TICK_MS });
  let longestCpuMs = 0;
  let last = threadMs();
  const tick = (): void => {
    const now = threadMs();
    longestCpuMs = Math.max(longestCpuMs, now - last);
    last = now;
  };
  const timer = setInterval(tick, TICK_MS);
  delays.enable();
  // A delay is counted from one tick to the next.
  await sleep(10 * TICK_MS);
  longestCpuMs = 0;
  const begun = { wall: performance.now(), cpu: threadMs(), all: process.cpuUsage() };
  const result = await work();
  const all = process.cpuUsage(begun.all);
  const spent = { wallMs: performance.now() - begun.wall, cpuMs: threadMs() - begun.cpu };
  await sleep(10 * TICK_MS);
  clearInterval(timer);
  delays.disable();
  return {
    name,
    ...spent,
    allCpuMs: (all.user + all.system) / 1000,
    longestMs: delays.max / 1e6,
    longestCpuMs,
    result,
  };
}

let now = CROWD_STARTED_AT;
const clock = { ...systemClock, now: () => now };

/** A journal that begins with all parties registered. */
async function openJournal(folder: string, crowd: Crowd): Promise<Journal> {
  const log = await openEventLog(join(folder, 'log'));
  const head = await log.append(crowd.genesis);
  await log.close();
  await writeSnapshot(folder, { head, state: crowd.populated() });
  const { at: _at, ...genesis } = crowd.genesis;
  return await Journal.open({
    folder,
    clock,
    genesis,
    known: undefined,
    onRecord: () => undefined,
    onWarning: (message) => {
      throw new Error(message);
    },
  });
}

interface Era {
  readonly phases: readonly Phase[];
  readonly outcome: EraOutcome;
}

/** An era from its opening to its close, as the gateway closes it. */
async function era(journal: Journal, crowd: Crowd, providers: number): Promise<Era> {
  const { opened, assignments } = crowd.opening(journal.state);
  await journal.commit(() => opened);
  now += ERA_MS;
  const phases: Phase[] = [await measured('nothing', () => sleep(1000))];
  for (const [number, assignment] of assignments.entries()) {
    const statement = crowd.report(journal.state, number, assignment, now);
    const taken = await measured('one report taken', () =>
      journal.commit(() => ({ kind: 'report', statement })),
    );
    if (number === assignments.length - 1) phases.push(taken);
    process.stderr.write(`\r\x1b[Kera ${journal.state.era}: ${number + 1} of ${MONITORS} reports`);
  }
  const { era: number } = journal.state;
  phases.push(
    await measured('assignments logged', () =>
      journal.commit(() => ({ kind: 'assignments', era: number, assignments })),
    ),
  );
  await journal.commit(() => ({ kind: 'observation', statement: crowd.observation(number) }));
  phases.push(await measured('signatures verified', () => verifyEvidence(journal.state, () => turn())));
  const whole = await measured('scored at once, as a replay does', () => scoreEra(journal.state, now));
  const sliced = await measured('scored in turns', () =>
    inTurns(scoreEraStepwise(journal.state, now), () => turn()),
  );
  if (!isDeepStrictEqual(whole.result, sliced.result)) throw new Error('the two do not agree');
  phases.push(whole, sliced);
  const outcome = whole.result;
  phases.push(
    await measured('outcome logged and applied', () =>
      journal.commit(() => ({ kind: 'era-closed', era: number, outcome })),
    ),
  );
  phases.push(await measured('snapshot of the state written', () => journal.snapshot()));
  if (outcome.providers.length !== providers) throw new Error('not all providers were scored');
  return { phases, outcome };
}

/** The last of ERAS. */
async function lastEra(providers: number): Promise<Era> {
  const folder = await mkdtemp(join(tmpdir(), 'shardway-score-'));
  try {
    const crowd = new Crowd({ providers, monitors: MONITORS, targets: TARGETS }, 1);
    const journal = await openJournal(folder, crowd);
    for (let count = 1; count < ERAS; count++) await era(journal, crowd, providers);
    const last = await era(journal, crowd, providers);
    await journal.close();
    return last;
  } finally {
    await rm(folder, { recursive: true });
    process.stderr.write('\r\x1b[K');
  }
}

function row({ name, wallMs, cpuMs, allCpuMs, longestMs, longestCpuMs }: Phase): string {
  const cells = [wallMs, cpuMs, allCpuMs, longestMs, longestCpuMs].map((ms) => ms.toFixed(ms < 100 ? 1 : 0));
  return `| ${name} | ${cells.join(' | ')} |`;
}

const HEAD = [
  '| | time ms | CPU ms, event loop | CPU ms, all threads | longest block ms | of it CPU ms |',
  '|---|---|---|---|---|---|',
];

/** The same measured with the code as it was before it was cut up: kept, since that code is gone. */
async function before(): Promise<string[]> {
  const text = await readFile(join(RESULTS, 'score.before.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return [];
  const { phases: former } = JSON.parse(text) as { phases: readonly Phase[] };
  return [
    '',
    'Before signatures went to other threads, and score and log were cut into slices (on the same machine, as busy with other work):',
    '',
    ...HEAD,
    ...former.map(row),
  ];
}

async function main({ providers, out }: ScoreOptions): Promise<void> {
  const { phases, outcome } = await lastEra(providers);
  const states = Object.entries(Object.groupBy(outcome.providers, ({ state }) => state));
  const report = [
    '# Closing an era',
    '',
    `${machineLine}.`,
    `${providers} providers, ${MONITORS} monitors of seven operators, ${TARGETS} targets of each monitor at each provider: ${providers * MONITORS * TARGETS} audits with signatures, Merkle paths and`,
    `canaries in ${MONITORS} reports. The second era of the network; ${states.map(([state, of]) => `${of?.length} ${state}`).join(', ')} at its end. The longest block is by monitorEventLoopDelay: what the`,
    `machine gives to others counts, as the row of nothing shows (load average ${loadavg()[0]!.toFixed(1)}); the last column is what the thread itself took at most between two ticks of a`,
    'millisecond, garbage collection included, as exactly as the system counts it (some count in steps of 4 ms). Ratios, not promises.',
    '',
    ...HEAD,
    ...phases.map(row),
    ...(providers === PROVIDERS ? await before() : []),
    '',
  ].join('\n');
  if (providers === PROVIDERS) {
    const rows = phases.map(({ name, wallMs, cpuMs, allCpuMs, longestMs, longestCpuMs }) => ({
      name,
      wallMs,
      cpuMs,
      allCpuMs,
      longestMs,
      longestCpuMs,
    }));
    await writeResults(out, { 'score.json': { machine, phases: rows }, 'score.md': report });
  }
  process.stdout.write(report);
}

await runCommand(HELP, () => readScoreOptions(process.argv.slice(2)), main);
