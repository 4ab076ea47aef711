import { NetworkError, type NetworkErrorKind } from '../network/errors.ts';
import type { GatewayClient } from '../network/gatewayClient.ts';
import type { Identity, PartyId } from '../network/identity.ts';
import { joinProof } from '../network/joinProof.ts';
import {
  standingSchema,
  type Heartbeat,
  type ProviderDescription,
  type ProviderRegistration,
  type Standing,
} from '../network/messages.ts';
import { signStatement } from '../network/signed.ts';
import type { Clock, Random } from '../types.ts';
import { isFinal, type GatewayPin } from './gatewayPin.ts';

export interface MembershipOptions {
  readonly identity: Identity;
  readonly client: GatewayClient;
  readonly pin: GatewayPin;
  readonly token: string | undefined;
  /** As it is now: the endpoint and the capacity may change. */
  readonly describe: () => ProviderDescription;
  readonly holdings: () => Promise<{
    readonly capacity: number;
    readonly free: number;
    readonly shards: number;
  }>;
  readonly clock: Clock;
  readonly random: Random;
  readonly heartbeatMs: number;
  readonly onStanding: (standing: Standing) => void;
  readonly onFailure: (error: unknown, retryMs: number) => void;
}

const BACKOFF_MS = 500;
const JITTER = 0.1;
/** Of a heartbeat: the gateway does not know the provider, or not any more. */
const UNKNOWN: readonly NetworkErrorKind[] = ['NotFound', 'NotApproved'];
/** Of a registration of a provider that was accepted before: perhaps the token is missing, or is one that was used up. */
const UNTAKEN: readonly NetworkErrorKind[] = [...UNKNOWN, 'Refused'];

/** Registers the provider with its gateway, tells it regularly that it is there, and goes on after every failure. */
export class Membership {
  readonly #options: MembershipOptions;
  #standing: Standing | undefined;
  /** The gateway has answered since the last failure. */
  #met = false;
  /** It has taken something that was said in this run. */
  #taken = false;
  /** The gateway knows the description as it is. */
  #registered: boolean;
  /** A token is for the first registration: one that was used up is refused later. */
  #showToken: boolean;
  #lastAt = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const accepted = options.pin.pin?.accepted;
    this.#registered = accepted === summaryOf(options.describe());
    this.#showToken = accepted === undefined;
  }

  /** As the gateway last said in this run. */
  get standing(): Standing | undefined {
    return this.#standing;
  }

  /** The gateway whose grants count; undefined until it has taken the provider in, in this run or an earlier one. */
  get gateway(): { readonly id: PartyId; readonly publicKey: string } | undefined {
    const { pin } = this.#options.pin;
    return pin?.accepted === undefined ? undefined : pin;
  }

  /** Until the signal aborts, or a gateway that has never taken the provider in refuses it for good. @returns that refusal */
  async run(signal: AbortSignal): Promise<NetworkError | undefined> {
    const { clock, heartbeatMs, onFailure } = this.#options;
    for (let failures = 0; !signal.aborted;) {
      let waitMs = this.#jittered(heartbeatMs);
      try {
        await this.#turn();
        failures = 0;
      } catch (error) {
        if (!signal.aborted && !this.#taken && !this.#accepted && isFinal(error)) return error;
        this.#met = false;
        waitMs = this.#jittered(Math.min(BACKOFF_MS * 2 ** Math.min(failures++, 10), 3 * heartbeatMs));
        if (!signal.aborted) onFailure(error, waitMs);
      }
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
    return undefined;
  }

  /** In this run or an earlier one. */
  get #accepted(): boolean {
    return this.#options.pin.pin?.accepted !== undefined;
  }

  async #turn(): Promise<void> {
    if (!this.#met) await this.#meet();
    const standing = this.#registered ? await this.#heartbeat() : await this.#register();
    const { state } = standing;
    this.#taken = true;
    if (!this.#accepted && (state === 'gone' || state === 'removed')) {
      this.#taken = false;
      throw new NetworkError(
        'NotApproved',
        `the gateway does not take this provider in: ${standing.note ?? state}`,
      );
    }
    if (state !== 'applied' && state !== 'removed') {
      await this.#options.pin.accept(summaryOf(this.#options.describe()));
    }
    const changed = JSON.stringify(standing) !== JSON.stringify(this.#standing);
    this.#standing = standing;
    if (changed) this.#options.onStanding(standing);
  }

  async #meet(): Promise<void> {
    const { client, pin, token } = this.#options;
    await pin.meet(await client.describe(), token);
    this.#met = true;
  }

  async #register(): Promise<Standing> {
    const { token, identity } = this.#options;
    const registration: ProviderRegistration = {
      ...this.#head(),
      ...(token !== undefined && this.#showToken ? { token: joinProof(token, identity.id) } : {}),
      description: this.#options.describe(),
    };
    try {
      const standing = await this.#send('/network/v1/providers', 'register-provider', registration);
      this.#registered = true;
      return standing;
    } catch (error) {
      // The other way is tried next. Of one that is new, the operator has to hear that its token is no good.
      if (this.#accepted && isOneOf(error, UNTAKEN)) this.#showToken = !this.#showToken;
      throw error;
    }
  }

  async #heartbeat(): Promise<Standing> {
    const { capacity, free, shards } = await this.#options.holdings();
    const { endpoint } = this.#options.describe();
    const heartbeat: Heartbeat = { ...this.#head(), endpoint, capacity, free, shards };
    try {
      return await this.#send('/network/v1/heartbeats', 'heartbeat', heartbeat);
    } catch (error) {
      if (isOneOf(error, UNKNOWN)) this.#registered = false;
      throw error;
    }
  }

  #send(path: string, kind: string, value: unknown): Promise<Standing> {
    const { client, identity } = this.#options;
    return client.send(path, signStatement(identity, kind, value), standingSchema);
  }

  /** By our own clock, which the gateway so learns and dates its grants by; always later than what was said before. */
  #head(): { version: 1; gateway: PartyId; at: number } {
    const { clock, pin } = this.#options;
    this.#lastAt = Math.max(this.#lastAt + 1, Math.floor(clock.now()));
    return { version: 1, gateway: pin.pin!.id, at: this.#lastAt };
  }

  #jittered(ms: number): number {
    return ms * (1 - JITTER + 2 * JITTER * this.#options.random.fraction());
  }
}

/** What a registration says and a heartbeat does not. */
function summaryOf({ endpoint: _endpoint, capacity: _capacity, ...rest }: ProviderDescription): string {
  return JSON.stringify(rest);
}

function isOneOf(error: unknown, kinds: readonly NetworkErrorKind[]): boolean {
  return error instanceof NetworkError && kinds.includes(error.kind);
}
