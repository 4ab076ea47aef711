import { evacuateProvider, type EvacuationReport } from './evacuate.ts';
import type { Keeper } from './keeper.ts';
import { isLeaving, providersToEvacuate, Rests } from './leavers.ts';
import { Turns } from './turns.ts';
import type { Progress, ProviderId } from '../types.ts';

/** An evacuation walks all records: one that is done, found no room or failed is not begun again at once. */
const EMPTIED_REST_MS = 3_600_000;
const STALLED_REST_MS = 600_000;
const FAILED_REST_MS = 10_000;

export interface EvacuationEvents {
  /** Of one in the background. None of them may throw. */
  ended(report: EvacuationReport): void;
  failed(error: unknown): void;
  /** There is room for another one. */
  freed(): void;
}

/** Evacuations under way, and which providers have been emptied. */
export class Evacuations {
  readonly #keeper: Keeper;
  readonly #events: EvacuationEvents;
  readonly #rests = new Rests();
  readonly #turns = new Turns();
  readonly #progress = new Map<ProviderId, Progress>();
  readonly #emptied = new Set<ProviderId>();

  constructor(keeper: Keeper, events: EvacuationEvents) {
    this.#keeper = keeper;
    this.#events = events;
  }

  /** Of those under way that have moved something. */
  get progress(): ReadonlyMap<ProviderId, Progress> {
    return this.#progress;
  }

  /** Whether the provider has been emptied since it was last to be, by this process, and nothing is on its way there. */
  isEmptied(provider: ProviderId): boolean {
    const { providers } = this.#keeper.deps;
    const handle = providers.get(provider);
    if (handle && !isLeaving(handle.info.state)) return false;
    return this.#emptied.has(provider) && providers.openPuts(provider) === 0;
  }

  /** @throws PlacementError 'Aborted'; what the catalog throws */
  async run(
    provider: ProviderId,
    onProgress: ((progress: Progress) => void) | undefined,
    signal: AbortSignal,
  ): Promise<EvacuationReport> {
    const follow = (progress: Progress): void => {
      this.#progress.set(provider, progress);
      this.#turns.moved(provider, this.#keeper.deps.clock.now());
      onProgress?.(progress);
    };
    this.#emptied.delete(provider);
    try {
      const report = await evacuateProvider(this.#keeper, provider, follow, signal);
      if (report.emptied) this.#emptied.add(provider);
      return report;
    } finally {
      this.#progress.delete(provider);
    }
  }

  /**
   * Begins with every provider that is to be emptied, as far as there is room, and does not wait: one that waits for a write under way must
   * not keep another from being seen. Those that have had their time give way to those that wait.
   */
  async begin(signal: AbortSignal): Promise<void> {
    const { deps } = this.#keeper;
    const due = await providersToEvacuate(deps);
    for (const id of this.#emptied) if (!due.includes(id)) this.#emptied.delete(id);
    const now = deps.clock.now();
    for (const provider of this.#turns.next(due, this.#rests.awake(due, now), now)) {
      if (signal.aborted) return;
      void this.#turns.begin(provider, now, (giveWay) => this.#inBackground(provider, signal, giveWay));
    }
  }

  /** Resolves when none in the background is under way. */
  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  /** Never rejects. */
  async #inBackground(provider: ProviderId, signal: AbortSignal, giveWay: AbortSignal): Promise<void> {
    const now = (): number => this.#keeper.deps.clock.now();
    const rest = (ms: number): void => this.#rests.rest(provider, now() + ms);
    try {
      const report = await this.run(provider, undefined, AbortSignal.any([signal, giveWay]));
      rest(report.emptied ? EMPTIED_REST_MS : STALLED_REST_MS);
      this.#events.ended(report);
    } catch (error) {
      // One that gave way does not rest: it waits for its next turn.
      if (!giveWay.aborted) rest(FAILED_REST_MS);
      if (!signal.aborted && !giveWay.aborted) this.#events.failed(error);
    }
    this.#turns.ended(provider, now());
    this.#events.freed();
  }
}
