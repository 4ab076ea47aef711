/** One era of a HyperNode: its assignment, its visits, its report. */
import { createHasher } from '#erasure';
import { partyId } from '../network/identity.ts';
import { NetworkError } from '../network/errors.ts';
import { assignmentSchema, type Assignment, type EraNotice, type Report } from '../network/messages.ts';
import { openStatement, signedSchema, type Signed } from '../network/signed.ts';
import type { Clock, Random } from '../types.ts';
import { isConnected } from './connectivity.ts';
import { lookAround, type Seen } from './lookAround.ts';
import type { Membership } from './membership.ts';
import type { MonitorFolder } from './monitorFolder.ts';
import { fitReport } from './reportSize.ts';
import type { HyperNodeLimits } from './types.ts';

/** Share of an era that is kept for the report to reach the gateway. */
const REPORT_SHARE = 0.1;

const hasher = createHasher();

export interface RoundOptions {
  readonly folder: MonitorFolder;
  readonly membership: Membership;
  readonly limits: HyperNodeLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly stopwatch: () => number;
  readonly alter: ((report: Report) => Report) | undefined;
  readonly signal: AbortSignal;
}

/**
 * Does an era's work and reports it.
 * @throws NetworkError when there is no assignment to be had; the signal's reason when it aborts
 */
export async function workEra(notice: EraNotice, options: RoundOptions): Promise<void> {
  const { folder, membership, clock } = options;
  const { era } = notice;
  const closesAt = notice.closesAt - (membership.now() - clock.now());
  let report = folder.reportOf(era);
  if (report === undefined) {
    const { assignment, hash } = await fetchAssignment(era, options);
    membership.emit({ kind: 'era', era, text: `${assignment.tasks.length} providers to look at` });
    const endsAt = Math.floor(closesAt - (notice.closesAt - notice.opensAt) * REPORT_SHARE);
    const seen = await lookAround({ assignment, endsAt, resumed: await folder.begin(era) }, options);
    noteConnectivity(seen, era, membership);
    report = await folder.report(era, (reveal) => signReport(seen, { era, hash, reveal }, options));
  }
  await sendReport(era, report, closesAt, options);
}

async function fetchAssignment(
  era: number,
  { membership, folder }: RoundOptions,
): Promise<{ assignment: Assignment; hash: string }> {
  const question = membership.sign('assignment-request', { era });
  const answer = await membership.send('/network/v1/assignments', question, signedSchema);
  const { value, signer } = openStatement(answer, 'assignment', assignmentSchema);
  if (signer !== membership.gateway) {
    throw new NetworkError('BadSignature', 'the assignment is not signed by the gateway');
  }
  if (value.monitor !== folder.identity.id || value.era !== era) {
    throw new NetworkError('BadMessage', 'the assignment is for another monitor or another era');
  }
  for (const { provider, publicKey } of value.tasks) {
    if (partyId(publicKey) !== provider) {
      throw new NetworkError('BadMessage', `the assignment gives provider ${provider} the key of another`);
    }
  }
  return { assignment: value, hash: hex(hasher.hash(Buffer.from(answer.body))) };
}

function noteConnectivity({ connectivity }: Seen, era: number, membership: Membership): void {
  if (isConnected(connectivity)) return;
  const { checked, reached } = connectivity;
  const text = `cut off: ${reached} of ${checked} parties answer, and so nothing is said of providers`;
  membership.emit({ kind: 'offline', era, text });
}

function signReport(
  seen: Seen,
  { era, hash, reveal }: { readonly era: number; readonly hash: string; readonly reveal: string },
  { membership, limits, alter }: RoundOptions,
): Signed {
  const opening = membership.opening();
  const report: Report = { ...opening, era, assignment: hash, reveal, ...seen };
  const fitting = fitReport(report, limits.reportBytes);
  return membership.sign('report', alter ? alter(fitting) : fitting);
}

/** Until the gateway has it, or takes it no more. */
async function sendReport(
  era: number,
  report: Signed,
  closesAt: number,
  { membership, clock, random, limits, signal }: RoundOptions,
): Promise<void> {
  const hash = hex(hasher.hash(Buffer.from(report.body)));
  for (let pauseMs = limits.pollMs / 8; ; pauseMs = Math.min(limits.pollMs, pauseMs * 2)) {
    try {
      await membership.report(era, report, hash);
      return membership.emit({ kind: 'reported', era, text: 'the gateway has the report' });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NetworkError)) throw error;
      const isOver = clock.now() >= closesAt;
      if (!error.retryable || isOver) {
        return membership.emit({ kind: 'report-lost', era, text: error.message });
      }
    }
    await clock.sleep(pauseMs * (0.5 + random.fraction()), signal);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
