import { expect, test } from 'vitest';
import type { Job } from '../../gateway/admin/types.ts';
import type { StoreProcess } from '../../gateway/engine/peers.ts';
import { heldJobs } from '../../gateway/jobs.ts';

const SELF = { place: { host: 'h', pid: 1, data: '/d' }, isSelf: true, isHolder: false };

async function asked(...others: Partial<StoreProcess>[]): Promise<unknown> {
  const processes = [
    SELF,
    ...others.map((one) => ({ place: undefined, isSelf: false, isHolder: false, ...one })),
  ];
  const job: Job = async () => ({ ok: true, summary: 'done', details: {} });
  const { check } = heldJobs({ check: job }, { isHeld: () => false }, async () => processes);
  return await check({}, () => undefined, new AbortController().signal);
}

test('who may not do a job says who does, as far as that one has told', async () => {
  const holder = { isHolder: true };
  await expect(asked({ place: { host: 'g', pid: 2, data: '/d' }, ...holder })).rejects.toThrow(
    /^Another gateway .*: ask the one with the data folder \/d on g$/,
  );
  await expect(asked(holder)).rejects.toThrow(/^Another gateway .*: ask that one$/);
  await expect(asked({ place: { host: 'h', pid: 2, data: '/d' }, ...holder })).rejects.toThrow(
    /^Another process of this gateway .* ask again$/,
  );
  await expect(asked({})).rejects.toThrow(/^No gateway .* ask again$/);
});
