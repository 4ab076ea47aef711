import { NetworkError } from '../network/errors.ts';
import type { EraNotice } from '../network/messages.ts';
import { workEra, type RoundOptions } from './eraRound.ts';
import { lockFolder } from '../provider/folderLock.ts';
import { isFinal } from '../provider/gatewayPin.ts';
import { keepStated, type Stated } from '../provider/stated.ts';
import { Membership } from './membership.ts';
import { MonitorFolder } from './monitorFolder.ts';
import {
  HYPERNODE_LIMITS,
  type HyperNodeEvent,
  type HyperNodeOptions,
  type RunningHyperNode,
} from './types.ts';

/** Longest pause after failures in a row, in pauses after one. */
const PAUSES_MAX = 12;
/** Share of an era after which the gateway is asked for the next, at the latest. */
const POLL_SHARE = 0.05;

/**
 * Starts a monitor: it registers, and from then on looks at providers and reports, era by era, whatever the gateway and the network do
 * meanwhile. It sees leaves of ciphertext and roots, never a key.
 * @throws NetworkError 'BadIdentity' | 'Tampered' for a damaged folder, 'BadMessage' | 'Refused' for a token or address that cannot be right
 */
export async function startHyperNode(options: HyperNodeOptions): Promise<RunningHyperNode> {
  const limits = { ...HYPERNODE_LIMITS, ...options.limits };
  // Two on one folder would share an identity, and reveal a beacon value twice.
  const unlock = lockFolder(options.data);
  let folder: MonitorFolder;
  let membership: Membership;
  try {
    folder = await MonitorFolder.open(options.data);
    membership = new Membership(options, folder, limits);
    await keepStated(options.data, statedBy(options));
  } catch (error) {
    unlock();
    throw error;
  }
  const stopping = new AbortController();
  const { signal } = stopping;
  const { clock, random, alter, stopwatch = () => performance.now() } = options;
  const node = new HyperNode({ folder, membership, limits, clock, random, stopwatch, alter, signal });
  const { promise: refused, resolve: refuse } = Promise.withResolvers<NetworkError>();
  const running = node.run().then((error) => error && refuse(error));
  return {
    id: folder.identity.id,
    refused,
    standing: () => membership.standing,
    async stop() {
      stopping.abort(new Error('the HyperNode is stopped'));
      await membership.close();
      await running;
      unlock();
    },
  };
}

function statedBy({ operator, networkPrefix, asn, location }: HyperNodeOptions): Stated {
  return { operator, networkPrefix, ...(asn !== undefined && { asn }), ...(location && { location }) };
}

class HyperNode {
  readonly #options: RoundOptions;
  #isRegistered = false;
  /** In a row. */
  #failures = 0;
  /** The era that was worked on last. */
  #last: EraNotice | undefined;

  constructor(options: RoundOptions) {
    this.#options = options;
  }

  /** Ends when the signal aborts, or a gateway that has never taken it in refuses it for good; never rejects. @returns that refusal */
  async run(): Promise<NetworkError | undefined> {
    const { signal, membership } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#step();
        this.#failures = 0;
      } catch (error) {
        if (signal.aborted) return undefined;
        membership.emit(eventOf(error));
        if (!membership.isKnown && isFinal(error)) return error;
        // The gateway may have been set up anew, or has removed this monitor: it will say.
        if (!(error instanceof NetworkError && error.retryable)) this.#isRegistered = false;
        this.#failures += 1;
        await this.#pause();
      }
    }
    return undefined;
  }

  /** Brings the node one step on, or waits. */
  async #step(): Promise<void> {
    const { membership } = this.#options;
    if (!this.#isRegistered) return this.#register();
    const notice = await this.#nextEra();
    if (notice === undefined) return this.#pause();
    await membership.meet();
    try {
      await workEra(notice, this.#options);
    } catch (error) {
      // Only what may be otherwise in a moment is tried again in this era.
      if (!(error instanceof NetworkError && error.retryable)) this.#last = notice;
      throw error;
    }
    this.#last = notice;
  }

  async #register(): Promise<void> {
    const { membership } = this.#options;
    const { state, note } = await membership.register();
    if (state === 'active') {
      this.#isRegistered = true;
      membership.emit({ kind: 'registered', text: note ?? 'registered and active' });
      return;
    }
    membership.emit({ kind: 'waiting', text: note ?? `the gateway says: ${state}` });
    await this.#pause();
  }

  /** The era that is open, once it is another than the last; undefined while it is not. */
  async #nextEra(): Promise<EraNotice | undefined> {
    const { membership, clock, signal } = this.#options;
    if (this.#last) {
      const left = this.#last.closesAt - membership.now();
      if (left > 0) await clock.sleep(left, signal);
    }
    const notice = await membership.era();
    return notice.era === this.#last?.era || notice.closesAt <= membership.now() ? undefined : notice;
  }

  async #pause(): Promise<void> {
    const { clock, random, limits, signal } = this.#options;
    const eraMs = this.#last ? this.#last.closesAt - this.#last.opensAt : Infinity;
    const longer = Math.min(PAUSES_MAX, 2 ** Math.max(0, this.#failures - 1));
    const ms = Math.min(limits.pollMs, eraMs * POLL_SHARE) * longer * (0.5 + random.fraction());
    await clock.sleep(ms, signal).catch(() => undefined);
  }
}

function eventOf(error: unknown): HyperNodeEvent {
  if (!(error instanceof NetworkError)) return { kind: 'failed', text: String(error) };
  return { kind: error.retryable ? 'gateway-away' : 'gateway-refused', text: error.message };
}
