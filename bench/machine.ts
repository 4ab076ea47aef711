import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { basename } from 'node:path';

/** The machine, as results name it. */
export const machine = {
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  platform: `${platform()} ${arch()}`,
  node: process.version,
};

/** One line of it. */
export const machineLine = `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${machine.node}`;

/** One entry for each journal: the device's name and a number. */
const JOURNALS = '/proc/fs/jbd2';

/**
 * What a folder lies on, as results name it. Of ext4 whether it has a journal: without one the kernel passes over every inode that was freed in the last minutes when a
 * file is made, which after many deletes takes longer than all the rest.
 */
export function fileSystemOf(folder: string): string {
  if (platform() !== 'linux') return 'an unnamed file system';
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const isAbove = (point = ''): boolean => `${folder}/`.startsWith(point.endsWith('/') ? point : `${point}/`);
  // Of two on one point the later hides the other.
  const mount = mounts
    .filter(([, , , , point]) => point !== undefined && isAbove(point))
    .reduce((best, each) => (each[4]!.length >= (best[4]?.length ?? 0) ? each : best), []);
  const [type = 'an unnamed file system', source = ''] = mount.slice(mount.indexOf('-') + 1);
  if (type !== 'ext4') return type;
  const journals = existsSync(JOURNALS) ? readdirSync(JOURNALS) : [];
  const hasJournal = journals.some((name) => name.startsWith(`${basename(source)}-`));
  return `ext4 with${hasJournal ? '' : 'out'} a journal`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
