/** The process's memory, as the bound on it counts it. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The program itself, and what small metadata takes. */
const MAPPED_MAX = 96 * 1024 * 1024;

/**
 * Bytes of resident memory, of files mapped into it some at most: pages of the metadata store's file, gigabytes of a large one, are the system's to take
 * back whenever it likes. Where it does not tell them apart (Linux does), all count.
 */
export function ownMemory(): number {
  try {
    const status = readFileSync('/proc/self/status', 'latin1');
    const [own, mapped] = ['RssAnon', 'RssFile'].map((name) => {
      const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status) ?? [];
      return Number(kib) * 1024;
    });
    if (own! > 0) return own! + Math.min(MAPPED_MAX, mapped!);
  } catch {
    // Another system.
  }
  return process.memoryUsage.rss();
}

type Collect = (options: { readonly type: 'major'; readonly execution: 'async' }) => Promise<void>;
let collect: Collect | undefined;

/**
 * Now rather than when the collector finds it worth its while: with memory to spare on the machine it lets the heap grow, and buffers outside of it with
 * that, past what this process may take.
 */
export async function collectGarbage(): Promise<void> {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
  }
  await collect({ type: 'major', execution: 'async' });
}
