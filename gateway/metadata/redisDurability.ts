/** Watches whether the servers keep what they acknowledge: at the start, every minute, and whenever a connection was made or has gone. */

import { setTimeout as sleep } from 'node:timers/promises';
import { readFacts, weaknesses } from './redisServer.ts';
import type { RedisLink } from './redisLink.ts';
import type { StoreDurability } from './types.ts';

const PAUSE_MS = 25;

type Listener = (now: StoreDurability) => void;

export interface WatchOptions {
  readonly replicas: number;
  readonly everyMs: number;
}

export class RedisDurability {
  readonly #link: RedisLink;
  readonly #options: WatchOptions;
  readonly #listeners = new Set<Listener>();
  /** Most replicas each server ever had: one that is away may come back and take over. */
  readonly #replicas = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;
  #state: StoreDurability = { state: 'weak', reasons: ['not examined yet'], reachable: false };

  constructor(link: RedisLink, options: WatchOptions) {
    this.#link = link;
    this.#options = options;
  }

  get state(): StoreDurability {
    return this.#state;
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Until the servers have answered once, or for so long. */
  async first(patienceMs: number): Promise<void> {
    const deadline = performance.now() + patienceMs;
    await this.check();
    while (!this.#state.reachable && performance.now() < deadline) {
      await sleep(PAUSE_MS);
      await this.check();
    }
  }

  start(): void {
    this.#timer = setInterval(() => void this.check(), this.#options.everyMs);
    this.#timer.unref();
    this.#link.onChange(() => void this.check());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  /** Never rejects: servers that do not answer leave the state as it was, but for being out of reach. */
  async check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    await this.#checking;
  }

  async #check(): Promise<void> {
    let next: StoreDurability;
    try {
      const masters = this.#link.masters();
      const listed = await this.#link.listedReplicas();
      const found = await Promise.all(masters.map(async (node) => await readFacts(node)));
      const reasons = found.flatMap((facts) => {
        const replicas = Math.max(listed, facts.replicas, this.#replicas.get(facts.server) ?? 0);
        this.#replicas.set(facts.server, replicas);
        return weaknesses({ ...facts, replicas }, this.#options.replicas);
      });
      if (masters.length === 0) next = { ...this.#state, reachable: false };
      else next = { state: reasons.length === 0 ? 'strong' : 'weak', reasons, reachable: true };
    } catch {
      next = { ...this.#state, reachable: false };
    }
    const changed = JSON.stringify(next) !== JSON.stringify(this.#state);
    this.#state = next;
    if (changed) for (const listener of this.#listeners) listener(next);
  }
}
