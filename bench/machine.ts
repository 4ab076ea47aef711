import { cpus, totalmem } from 'node:os';

/** The machine, as results name it. */
export function machine(): Record<string, string | number> {
  const models = new Set(cpus().map(({ model }) => model.trim()));
  return {
    cpu: [...models].join(', '),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    note: 'shared machine, client and server on the same cores',
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
