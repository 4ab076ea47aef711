import { asRepair } from '#placement';
import type { Maintenance } from '#placement';
import type { Job, JobReport } from './admin/types.ts';
import type { Leadership } from './engine/lease.ts';
import type { StoreProcess } from './engine/peers.ts';
import type { Engine } from './engine/store.ts';

/**
 * The same, where another process may do the background work: that one alone is to do it.
 * @param processes all over the store; undefined where there is one
 */
export function heldJobs<Jobs extends Record<string, Job>>(
  jobs: Jobs,
  leadership: Pick<Leadership, 'isHeld'>,
  processes: () => Promise<readonly StoreProcess[] | undefined>,
): Jobs {
  const held = Object.entries(jobs).map(([name, job]): [string, Job] => [
    name,
    async (...all) => {
      if (leadership.isHeld()) return await job(...all);
      throw new Error(whoDoes((await processes()) ?? []));
    },
  ]);
  return Object.fromEntries(held) as Jobs;
}

function whoDoes(processes: readonly StoreProcess[]): string {
  const holder = processes.find(({ isHolder }) => isHolder);
  if (!holder || holder.isSelf) {
    return 'No gateway does the background work at the moment: another takes it over within seconds; ask again';
  }
  const { place } = holder;
  const own = processes.find(({ isSelf }) => isSelf)?.place;
  if (place && own && place.host === own.host && place.data === own.data) {
    return 'Another process of this gateway does the background work now, and answers within seconds; ask again';
  }
  // One of an earlier version says nothing of its place.
  const which = place ? `the one with the data folder ${place.data} on ${place.host}` : 'that one';
  return `Another gateway over the same metadata does the background work now: ask ${which}`;
}

/** What operators' commands run, put together from placement's maintenance and the engine's own. */
export function createJobs(
  maintenance: Maintenance,
  engine: Engine,
): { repair: Job; check: Job; rebalance: Job } {
  return {
    async repair(options, onProgress, signal) {
      await engine.reclaim.runOnce();
      const deep = options['deep'] !== false;
      const report = await asRepair(() => maintenance.repairAll({ deep }, onProgress, signal));
      const lacking = report.failed.length + report.unreadable.length + report.waiting;
      return {
        ok: lacking === 0,
        summary:
          `${report.examined} chunks examined: ${report.healthy} whole, ${report.repaired} repaired (${report.shards} shards written)` +
          (lacking === 0
            ? '; every chunk has its full redundancy'
            : `, ${report.failed.length + report.waiting} still lack redundancy, ${report.unreadable.length} cannot be read`),
        details: { ...report },
      };
    },

    async rebalance(_options, onProgress, signal) {
      const report = await asRepair(() => maintenance.rebalance(onProgress, signal));
      const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
      return {
        ok: report.failed === 0,
        summary: `${report.chunks} chunks looked at: ${report.moved} shards moved to emptier providers, ${report.spread} to other domains, ${report.failed} could not be; fullest and emptiest differ by ${percent(report.gapAfter)} (before: ${percent(report.gapBefore)})`,
        details: { ...report },
      };
    },

    async check(_options, onProgress, signal): Promise<JobReport> {
      // What was deleted goes first, so that it is not taken for lost.
      await engine.reclaim.runOnce();
      const objects = await engine.check(onProgress, signal);
      const { chunks, orphans } = await maintenance.scrub({ orphanGraceMs: 0 }, onProgress, signal);
      const missing = chunks.missing + chunks.unplaced + chunks.unreachable;
      const ok =
        objects.problems.length === 0 &&
        missing === 0 &&
        chunks.corrupt === 0 &&
        orphans.orphans === 0 &&
        orphans.failed.length === 0;
      return {
        ok,
        summary: [
          `${objects.versions} object versions read, ${objects.problems.length} bad`,
          `${chunks.chunks} chunks, ${chunks.healthy} shards whole, ${missing} missing, ${chunks.corrupt} damaged`,
          `${orphans.shards} shards stored, ${orphans.orphans} belong to nothing`,
          ...objects.problems.map(
            ({ bucket, key, versionId, reason }) => `  bad: ${bucket}/${key} (${versionId}): ${reason}`,
          ),
          ...orphans.failed.map(
            ({ provider, reason }) => `  provider ${provider} could not be listed: ${reason}`,
          ),
        ].join('\n'),
        details: {
          objects: objects.versions,
          badObjects: objects.problems.length,
          bad: objects.problems,
          bytes: objects.bytes,
          chunks: chunks.chunks,
          healthyShards: chunks.healthy,
          missingShards: missing,
          damagedShards: chunks.corrupt,
          storedShards: orphans.shards,
          orphanShards: orphans.orphans,
        },
      };
    },
  };
}
