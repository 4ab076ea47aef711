import type { ProviderStanding } from '#placement';
import { RegisteredProvider } from '../../placement/registry/registeredProvider.ts';
import type { ShardTransport } from '../../placement/types.ts';
import { LAB_CAPACITY } from './lab.ts';

const PERFECT: ProviderStanding = { state: 'active', score: 1 };

/** Time stands still: what waits, waits until it is told not to. */
function untilAborted(_ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<undefined>();
  signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  return promise;
}

/** A provider of the registry that is empty, reachable and never called: its weight follows from its standing alone. */
export class WeighedProvider {
  readonly #provider: RegisteredProvider;
  #perfect = 0;

  private constructor() {
    const space = () => Promise.resolve({ capacity: LAB_CAPACITY, free: LAB_CAPACITY });
    this.#provider = new RegisteredProvider({
      id: 'weighed',
      endpoint: '',
      domain: { region: 'r', site: 's', operator: 'o' },
      // Only its space is ever asked for.
      storage: { space } as ShardTransport,
      standing: PERFECT,
      clock: { now: () => 0, sleep: untilAborted },
      decorate: (transport) => transport,
    });
  }

  static async create(): Promise<WeighedProvider> {
    const weighed = new WeighedProvider();
    await weighed.#provider.probe();
    weighed.#perfect = weighed.#provider.weight(1);
    return weighed;
  }

  /** Share of new data of what a provider with a score of 1 gets, by the registry's own weight. */
  share(standing: ProviderStanding): number {
    this.#provider.stand(standing);
    return this.#provider.weight(1) / this.#perfect;
  }
}
