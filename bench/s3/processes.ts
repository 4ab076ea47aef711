import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

/** Of /proc: USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 100;

export interface Usage {
  /** User and system time of all processes, of ended children too. */
  readonly cpuSeconds: number;
  /** Highest resident set, mapped files included; sums each process's own highest. */
  readonly peakRssBytes: number;
  /** Highest of what is not backed by files, of all together, sampled ten times a second. */
  readonly peakAnonymousBytes: number;
}

/** Whose time and memory are counted. */
export type Watched = { readonly pids: readonly number[] } | { readonly cgroup: string };

/** Counts from now until `stop`. */
export function watch(watched: Watched): { stop(): Usage } {
  const meter = 'pids' in watched ? new TreeMeter(watched.pids) : new CgroupMeter(watched.cgroup);
  const before = meter.cpuSeconds();
  meter.begin();
  const timer = setInterval(() => meter.sample(), SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      meter.sample();
      const { peakRssBytes, peakAnonymousBytes } = meter;
      return { cpuSeconds: meter.cpuSeconds() - before, peakRssBytes, peakAnonymousBytes };
    },
  };
}

/** CPU-seconds so far. */
export function cpuSecondsOf(watched: Watched): number {
  return ('pids' in watched ? new TreeMeter(watched.pids) : new CgroupMeter(watched.cgroup)).cpuSeconds();
}

class TreeMeter {
  readonly #roots: readonly number[];
  readonly #highest = new Map<number, number>();
  peakAnonymousBytes = 0;

  constructor(roots: readonly number[]) {
    this.#roots = roots;
  }

  get peakRssBytes(): number {
    return [...this.#highest.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Fields 14 to 17 of proc(5)'s stat: user and system time, and those of children that were waited for. */
  cpuSeconds(): number {
    const ticks = treeOf(this.#roots).map((pid) => {
      const fields = statOf(pid);
      return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at] ?? 0), 0);
    });
    return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
  }

  /** Forgets the highest resident set so far, where the kernel lets us. */
  begin(): void {
    for (const pid of treeOf(this.#roots)) {
      try {
        writeFileSync(`/proc/${pid}/clear_refs`, '5');
      } catch {
        // Not ours, or an old kernel: the peak is then that since the process began.
      }
    }
    this.sample();
  }

  sample(): void {
    let anonymous = 0;
    for (const pid of treeOf(this.#roots)) {
      const status = readProc(`${pid}/status`);
      const field = (name: string): number =>
        Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
      this.#highest.set(pid, Math.max(this.#highest.get(pid) ?? 0, field('VmHWM')));
      anonymous += field('RssAnon') + field('RssShmem');
    }
    this.peakAnonymousBytes = Math.max(this.peakAnonymousBytes, anonymous);
  }
}

/** Control groups of version 2, for servers in containers. */
class CgroupMeter {
  readonly #folder: string;
  peakRssBytes = 0;
  peakAnonymousBytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  cpuSeconds(): number {
    return Number(/^usage_usec (\d+)/m.exec(this.#read('cpu.stat'))?.[1] ?? 0) / 1e6;
  }

  begin(): void {
    this.sample();
  }

  /** memory.current would count the page cache: resident are anonymous memory and mapped files. */
  sample(): void {
    const stat = this.#read('memory.stat');
    const field = (name: string): number => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(stat)?.[1] ?? 0);
    const anonymous = field('anon') + field('shmem');
    this.peakAnonymousBytes = Math.max(this.peakAnonymousBytes, anonymous);
    this.peakRssBytes = Math.max(this.peakRssBytes, anonymous + field('file_mapped'));
  }

  #read(name: string): string {
    return readFileSync(`${this.#folder}/${name}`, 'utf8');
  }
}

/** The processes and all that descend from them. */
function treeOf(roots: readonly number[]): number[] {
  const found: number[] = [];
  const open = [...roots];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    if (found.includes(pid)) continue;
    found.push(pid);
    for (const thread of threadsOf(pid)) {
      const children = readProc(`${pid}/task/${thread}/children`).trim();
      if (children !== '') open.push(...children.split(' ').map(Number));
    }
  }
  return found;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** From the third field on: the second may hold spaces. */
function statOf(pid: number): string[] {
  const text = readProc(`${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}
