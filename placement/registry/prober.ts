import type { RegisteredProvider } from './registeredProvider.ts';
import type { Clock, Random } from '../types.ts';

const TICK_MS = 1_000;
const EVERY_MS = 10_000;
/** With many registered providers each is asked more seldom: all of them together no more often than once in this time. */
const MEMBER_MS = 10;
/** A registered provider's next probe comes this share of the interval earlier or later, so that they spread out. */
const JITTER = 0.25;
/** Probes of registered providers under way at the same time. */
const MEMBERS_AT_ONCE = 64;

/** Asks every provider for its free space from time to time. */
export class Prober {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #onProbed: (provider: RegisteredProvider) => void;
  readonly #stop = new AbortController();
  readonly #dueAt = new Map<RegisteredProvider, number>();
  readonly #queue = new Set<RegisteredProvider>();
  readonly #running = new Set<Promise<void>>();
  #members = 0;
  #membersRunning = 0;
  #loop: Promise<void> | undefined;

  constructor(clock: Clock, random: Random, onProbed: (provider: RegisteredProvider) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#onProbed = onProbed;
  }

  /** A registered provider is asked at once, a configured one with the next round. */
  add(provider: RegisteredProvider): void {
    this.#dueAt.set(provider, this.#clock.now() + (provider.isMember ? 0 : EVERY_MS));
    if (!provider.isMember) return;
    this.#members++;
    this.#enqueue(provider);
  }

  remove(provider: RegisteredProvider): void {
    if (this.#dueAt.delete(provider) && provider.isMember) this.#members--;
    this.#queue.delete(provider);
  }

  /** Asks all; resolves when all have answered or were given up. */
  async probeAll(): Promise<void> {
    for (const provider of this.#dueAt.keys()) {
      if (provider.isMember) this.#enqueue(provider);
      else this.#run(provider);
    }
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Begins to probe from time to time, until `close`. */
  start(): void {
    this.#loop ??= this.#goOn();
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the registry is closed'));
    this.#queue.clear();
    await this.#loop;
    await Promise.all(this.#running);
  }

  async #goOn(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(TICK_MS, signal);
      } catch {
        return;
      }
      const now = this.#clock.now();
      for (const [provider, dueAt] of this.#dueAt) {
        if (now < dueAt) continue;
        this.#dueAt.set(provider, now + this.#interval(provider));
        if (provider.isMember) this.#enqueue(provider);
        else this.#run(provider);
      }
    }
  }

  #interval(provider: RegisteredProvider): number {
    if (!provider.isMember) return EVERY_MS;
    const every = Math.max(EVERY_MS, this.#members * MEMBER_MS);
    return every * (1 - JITTER + 2 * JITTER * this.#random.fraction());
  }

  #enqueue(provider: RegisteredProvider): void {
    if (this.#stop.signal.aborted) return;
    this.#queue.add(provider);
    this.#runQueue();
  }

  #runQueue(): void {
    for (const provider of this.#queue) {
      if (this.#membersRunning >= MEMBERS_AT_ONCE) return;
      this.#queue.delete(provider);
      this.#run(provider);
    }
  }

  #run(provider: RegisteredProvider): void {
    const probe = this.#probe(provider).finally(() => this.#running.delete(probe));
    this.#running.add(probe);
  }

  async #probe(provider: RegisteredProvider): Promise<void> {
    const slots = provider.isMember ? 1 : 0;
    this.#membersRunning += slots;
    await provider.probe();
    this.#membersRunning -= slots;
    this.#onProbed(provider);
    this.#runQueue();
  }
}
