import { expect, test } from 'vitest';
import { ownMemory } from '../../../gateway/http/admissionTimer.ts';

test.skipIf(process.platform !== 'linux')(
  'pages of mapped files, as the metadata store’s or the program itself, are not a process’s own memory',
  () => {
    const own = ownMemory();
    // The program's file alone is some 60 MiB of the resident memory.
    expect(own).toBeLessThan(process.memoryUsage.rss() - 20 * 2 ** 20);
    expect(own).toBeGreaterThan(process.memoryUsage().heapUsed);
  },
);
