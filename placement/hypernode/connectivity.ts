import type { Random } from '../types.ts';

export interface ConnectivityOptions {
  /** True when the gateway answers as itself. */
  readonly gateway: () => Promise<boolean>;
  /** Says hello to a provider: true when it answers as itself. */
  readonly providers: ReadonlyMap<string, () => Promise<boolean>>;
  readonly random: Random;
  readonly stopwatch: () => number;
}

export interface Reach {
  readonly checked: number;
  readonly reached: number;
}

/** Others asked, besides the gateway, before a provider is blamed for not answering. */
const WITNESSES = 3;

/** Half of those asked, or more: the monitor is taken to be connected. */
export function isConnected({ checked, reached }: Reach): boolean {
  return reached * 2 >= checked;
}

/** Tells the monitor's own outages from those of providers. */
export class Connectivity {
  readonly #options: ConnectivityOptions;
  /** When providers last answered, by the stopwatch: the last, and the last of another one before it. */
  #last = { provider: '', at: -Infinity };
  #other = { provider: '', at: -Infinity };

  constructor(options: ConnectivityOptions) {
    this.#options = options;
  }

  /** Asks the gateway and some providers. @param sample most providers asked */
  check(sample: number): Promise<Reach> {
    return this.#ask([...this.#options.providers.keys()], sample);
  }

  noteAnswer(provider: string): void {
    if (provider !== this.#last.provider) this.#other = this.#last;
    this.#last = { provider, at: this.#options.stopwatch() };
  }

  /** True when others have answered since a time at which `provider` was asked in vain, or answer now. */
  async isConnected(provider: string, since: number): Promise<boolean> {
    const other = this.#last.provider === provider ? this.#other : this.#last;
    if (other.at >= since) return true;
    const others = [...this.#options.providers.keys()].filter((id) => id !== provider);
    return isConnected(await this.#ask(others, WITNESSES));
  }

  async #ask(ids: string[], sample: number): Promise<Reach> {
    const chosen = drawn(ids, sample, this.#options.random).map((id) => this.#options.providers.get(id)!);
    const answers = await Promise.all([this.#options.gateway, ...chosen].map((ask) => ask()));
    return { checked: answers.length, reached: answers.filter(Boolean).length };
  }
}

/** `count` of them, drawn without return. Changes the order of `ids`. */
function drawn(ids: string[], count: number, random: Random): string[] {
  const size = Math.min(count, ids.length);
  for (let at = 0; at < size; at++) {
    const other = at + Math.floor(random.fraction() * (ids.length - at));
    [ids[at], ids[other]] = [ids[other]!, ids[at]!];
  }
  return ids.slice(0, size);
}
