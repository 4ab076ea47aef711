import type * as z from 'zod';
import { checkAddress, type AddressRules } from '../network/addressRules.ts';
import { NetworkError } from '../network/errors.ts';
import { GatewayClient } from '../network/gatewayClient.ts';
import { gatewayOfToken, joinProof } from '../network/joinProof.ts';
import { standingSchema, type EraNotice, type Standing } from '../network/messages.ts';
import { signStatement, type Signed } from '../network/signed.ts';
import type { PartyId } from '../network/identity.ts';
import type { MonitorFolder } from './monitorFolder.ts';
import type { HyperNodeEvent, HyperNodeOptions } from './types.ts';

/** Of a question whose answer is small. */
interface QuestionLimits {
  readonly connectMs: number;
  readonly answerMs: number;
}

/** The HyperNode's line to its gateway: who the gateway is, how it stands there, and the gateway's time. */
export class Membership {
  readonly #options: HyperNodeOptions;
  readonly #folder: MonitorFolder;
  readonly #client: GatewayClient;
  readonly #quick: GatewayClient;
  #standing: Standing | undefined;
  #isPrivate = false;
  #clockOffsetMs = 0;
  #lastAt = 0;
  #said = '';
  /** It has taken a registration of this run. */
  #taken = false;
  /** Of one that was accepted before, a token that is no good any more is left out. */
  #showToken = true;

  /** @throws NetworkError 'BadMessage' | 'Refused' for a token or an address that cannot be right */
  constructor(options: HyperNodeOptions, folder: MonitorFolder, limits: QuestionLimits) {
    this.#options = options;
    this.#folder = folder;
    if (options.token !== undefined) checkToken(options.token, folder);
    this.#client = new GatewayClient(options.gateway);
    this.#quick = new GatewayClient(options.gateway, limits);
  }

  get standing(): Standing | undefined {
    return this.#standing;
  }

  /** By the gateway's clock, as it last told it: ms since the epoch. */
  now(): number {
    return this.#options.clock.now() + this.#clockOffsetMs;
  }

  /**
   * Registers, anew each time: the gateway then says how it stands.
   * @throws NetworkError
   */
  async register(): Promise<Standing> {
    await this.meet();
    const standing = await this.#register();
    this.#taken = true;
    if (standing.state === 'active') await this.#folder.accept(this.#marks());
    else if (standing.state === 'removed' && !this.#folder.accepted) {
      this.#taken = false;
      throw new NetworkError(
        'NotApproved',
        `the gateway does not take this HyperNode in: ${standing.note ?? standing.state}`,
      );
    }
    this.#standing = standing;
    return standing;
  }

  /** The gateway has taken it in, in this run or an earlier one, or has its application: what it refuses may be otherwise later. */
  get isKnown(): boolean {
    return this.#taken || this.#folder.accepted;
  }

  /** Sees that the gateway is the one it belongs to, and what time it has there. @throws NetworkError */
  async meet(): Promise<void> {
    const { clock } = this.#options;
    const before = clock.now();
    const { id, publicKey, time } = await this.#quick.describe();
    await this.#folder.pin.meet({ id, publicKey }, this.#options.token);
    this.#isPrivate = isPrivateAddress(this.#quick.address);
    this.#clockOffsetMs = Math.round(time - (before + clock.now()) / 2);
  }

  /**
   * Where providers may be: in private networks only if the gateway itself was met in one, or else its assignments could lead this monitor to
   * whatever is near it.
   */
  get addresses(): AddressRules {
    return { allowPrivate: this.#isPrivate, listeners: () => [] };
  }

  /** True when the gateway answers as itself. */
  async isThere(): Promise<boolean> {
    try {
      await this.meet();
      return true;
    } catch {
      return false;
    }
  }

  /** The gateway. @throws NetworkError before it has been met */
  get gateway(): PartyId {
    const id = this.#folder.pin.pin?.id;
    if (id === undefined) throw new NetworkError('Unavailable', 'the gateway has not been met yet');
    return id;
  }

  /** @throws NetworkError */
  era(): Promise<EraNotice> {
    return this.#quick.era();
  }

  /** Signs a statement: what all of them begin with, and these fields, which go before. */
  sign(kind: string, fields: Readonly<object>): Signed {
    return signStatement(this.#folder.identity, kind, { ...this.opening(), ...fields });
  }

  /** What every statement of a party begins with. Its time grows from one to the next. */
  opening(): { readonly version: 1; readonly gateway: PartyId; readonly at: number } {
    this.#lastAt = Math.max(Math.round(this.now()), this.#lastAt + 1);
    return { version: 1, gateway: this.gateway, at: this.#lastAt };
  }

  /** @throws NetworkError */
  send<T>(path: string, statement: Signed, schema: z.ZodType<T>): Promise<T> {
    return this.#client.send(path, statement, schema);
  }

  /** Says that it is about to, and reports. @throws NetworkError */
  report(era: number, statement: Signed, hash: string): Promise<void> {
    return this.#client.report(statement, this.sign('report-intent', { era, report: hash }));
  }

  /** Tells what happened; of the same thing again and again, the first time only. */
  emit(event: HyperNodeEvent): void {
    const said = `${event.kind} ${event.era} ${event.text}`;
    if (said === this.#said) return;
    this.#said = said;
    this.#options.onEvent?.(event);
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#quick.close()]);
  }

  async #register(): Promise<Standing> {
    const { token, location } = this.#options;
    const statement = this.sign('register-hypernode', {
      ...(token !== undefined && this.#showToken && { token: joinProof(token, this.#folder.identity.id) }),
      ...this.#marks(),
      ...(location !== undefined && { location }),
      beaconTip: this.#folder.beaconTip,
    });
    try {
      return await this.send('/network/v1/hypernodes', statement, standingSchema);
    } catch (error) {
      const isRefused = error instanceof NetworkError && error.kind === 'Refused';
      if (isRefused && this.#folder.accepted) this.#showToken = !this.#showToken;
      throw error;
    }
  }

  #marks(): Pick<HyperNodeOptions, 'operator' | 'networkPrefix' | 'asn'> {
    const { operator, networkPrefix, asn } = this.#options;
    return { operator, networkPrefix, ...(asn !== undefined && { asn }) };
  }
}

/** Loopback or a private network; link-local addresses are neither. */
export function isPrivateAddress(address: string | undefined): boolean {
  const isAllowed = (allowPrivate: boolean): boolean => {
    try {
      checkAddress(address ?? '', 0, { allowPrivate, listeners: () => [] });
      return true;
    } catch {
      return false;
    }
  };
  return isAllowed(true) && !isAllowed(false);
}

/** @throws NetworkError */
function checkToken(token: string, { pin: { pin } }: MonitorFolder): void {
  const gateway = gatewayOfToken(token);
  if (pin !== undefined && pin.id !== gateway) {
    throw new NetworkError(
      'Refused',
      `this HyperNode belongs to gateway ${pin.id}; the token is for ${gateway}`,
    );
  }
}
