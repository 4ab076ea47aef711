import { isDeepStrictEqual } from 'node:util';
import type { MonitorRecord, NetworkState, ProviderRecord } from '../oracle/types.ts';
import type { ChunkCatalog, Clock } from '../types.ts';
import type { AddressRules } from './addressRules.ts';
import { BucketLimit } from './bucketLimit.ts';
import { NetworkError } from './errors.ts';
import { Freshness } from './freshness.ts';
import { HelloCheck } from './helloCheck.ts';
import type { PartyId } from './identity.ts';
import type { Journal } from './journal.ts';
import { JoinTokens } from './joinTokens.ts';
import type { Members } from './members.ts';
import {
  heartbeatSchema,
  hyperNodeRegistrationSchema,
  providerRegistrationSchema,
  type Heartbeat,
  type HyperNodeRegistration,
  type ProviderRegistration,
  type Standing,
} from './messages.ts';
import type { JoinToken } from './operator.ts';
import { MarkChanges, otherMarks } from './markChanges.ts';
import { checkCompact, openStatement, type Opened, type Signed } from './signed.ts';

/** Parties that wait for an operator: more would only hide those that are meant. */
const APPLICANTS_MAX = 1000;
/** Logged statements of one party, and applications of all strangers together: the log is not theirs to fill. */
const PARTY_CHANGES = { burst: 8, refillMs: 30_000, keysMax: 16_384 };
/** An applicant's, one of them in so long a time: thousands wait, and nobody has let them in. */
const APPLICANT_CHANGE_MS = 3_600_000;
const OFFSET_TTL_MS = 24 * 3_600_000;
const APPLICATIONS = { burst: 64, refillMs: 2_000, keysMax: 1 };

export interface AdmissionOptions {
  readonly gateway: PartyId;
  readonly journal: Journal;
  readonly members: Members;
  readonly catalog: ChunkCatalog;
  readonly clock: Clock;
  readonly addresses: AddressRules;
}

/** Who may take part: registrations, approvals, changes of address. Whatever a party says is signed by it, new, and meant for this gateway. */
export class Admission {
  readonly tokens: JoinTokens;
  readonly #gateway: PartyId;
  readonly #journal: Journal;
  readonly #members: Members;
  readonly #clock: Clock;
  readonly #freshness: Freshness;
  readonly #hello: HelloCheck;
  readonly #offsets = new Map<PartyId, { readonly ms: number; readonly at: number }>();
  readonly #changes = new BucketLimit(PARTY_CHANGES);
  readonly #applications = new BucketLimit(APPLICATIONS);
  readonly #markChanges = new MarkChanges();

  constructor({ gateway, journal, members, catalog, clock, addresses }: AdmissionOptions) {
    this.#gateway = gateway;
    this.#journal = journal;
    this.#members = members;
    this.#clock = clock;
    this.#freshness = new Freshness(clock.now());
    this.#hello = new HelloCheck(addresses);
    this.tokens = new JoinTokens(catalog, clock, gateway);
  }

  /** @throws NetworkError */
  async registerProvider(statement: Signed): Promise<Standing> {
    const opened = openStatement(statement, 'register-provider', providerRegistrationSchema);
    checkCompact(statement);
    const { signer, publicKey, value } = opened;
    const known = this.#journal.state.providers[signer];
    this.#take(opened, 'register', known !== undefined);
    // Marks that are not those it was let in with take a token as its admission does.
    const mayRise = value.token !== undefined && !hasApprovedMarks(known, value);
    if (known && isDeepStrictEqual(known.description, value.description) && !mayRise) {
      return providerStanding(known);
    }
    checkPlaceIsFree(this.#journal.state, signer, value.description.endpoint);
    if (!mayRise) this.#checkMarks(known, { statement, value });
    this.#limit(signer, known, value.token);
    const after = await this.#withProof(
      mayRise ? value.token : undefined,
      'provider',
      signer,
      async (hasToken) => {
        await this.#meet(signer, publicKey, value.description.endpoint);
        return await this.#journal.commit(({ providers }) => {
          // An operator may have let it in since, as it was.
          if (!hasToken) this.#checkMarks(providers[signer], { statement, value });
          return { kind: 'provider-registered', statement, approved: hasToken };
        });
      },
    );
    this.#freshness.remember(signer, 'register', value.at);
    return providerStanding(after.providers[signer]!);
  }

  /** @throws NetworkError */
  async registerHyperNode(statement: Signed): Promise<Standing> {
    const opened = openStatement(statement, 'register-hypernode', hyperNodeRegistrationSchema);
    checkCompact(statement);
    const { signer, value } = opened;
    const known = this.#journal.state.monitors[signer];
    this.#take(opened, 'register', known !== undefined);
    // Other marks count once they are approved too: whoever shows a token is approved with them.
    const isOther = known === undefined || known.state === 'applied' || !hasSameMarks(known, value);
    const mayRise = value.token !== undefined && isOther && known?.state !== 'removed';
    if (known && !mayRise && saysTheSame(known, value)) return monitorStanding(known);
    this.#limit(signer, known, value.token);
    const after = await this.#withProof(
      mayRise ? value.token : undefined,
      'hypernode',
      signer,
      async (hasToken) =>
        this.#journal.commit(() => ({
          kind: 'hypernode-registered',
          statement,
          approved: hasToken,
        })),
    );
    this.#freshness.remember(signer, 'register', value.at);
    return monitorStanding(after.monitors[signer]!);
  }

  /** Kept in memory; a new address is followed once the provider has been met there. @throws NetworkError */
  async heartbeat(statement: Signed): Promise<Standing> {
    const opened = openStatement(statement, 'heartbeat', heartbeatSchema);
    checkCompact(statement);
    const { signer, publicKey, value } = opened;
    const known = this.#journal.state.providers[signer];
    if (known === undefined) throw new NetworkError('NotFound', 'this provider is not registered');
    this.#take(opened, 'heartbeat', true);
    const hasMoved = value.endpoint !== known.description.endpoint && known.state !== 'gone';
    const now = hasMoved ? await this.#follow(statement, signer, publicKey, value) : known;
    this.#members.noteHeartbeat(signer, value, this.#clock.now());
    return providerStanding(now);
  }

  /** Says that a statement of a party that is known came just now. @throws NetworkError */
  take<T extends { readonly gateway: PartyId; readonly at: number }>(
    opened: Opened<T>,
    stream: string,
  ): void {
    this.#take(opened, stream, true);
  }

  /** What a provider's clock is ahead of ours by its last hello; one not heard lately is asked, before `until`. */
  async clockOffset({ id, publicKey, description }: ProviderRecord, until: number): Promise<number> {
    const known = this.#offsets.get(id);
    const now = this.#clock.now();
    if ((known === undefined || now - known.at > OFFSET_TTL_MS) && now < until) {
      // One that is down will not see a grant, and needs no right time.
      await this.#meet(id, publicKey, description.endpoint).catch(() => undefined);
    }
    return this.#offsets.get(id)?.ms ?? 0;
  }

  /** What a provider that was let in asks to have approved, for the operator; undefined where it asks for nothing. */
  askedOf(record: ProviderRecord): string | undefined {
    return this.#markChanges.describe(record);
  }

  /**
   * An applicant, or what one that was let in wants to be from now on. It is met at its address before: it may have asked long ago.
   * @throws NetworkError
   */
  async approveProvider(id: PartyId): Promise<void> {
    const record = this.#journal.state.providers[id];
    const asked = record && this.#markChanges.of(record);
    if (record && asked) {
      const { endpoint } = asked.value.description;
      checkPlaceIsFree(this.#journal.state, id, endpoint);
      await this.#meet(id, record.publicKey, endpoint);
      const { statement } = asked;
      await this.#journal.commit(() => ({ kind: 'provider-registered', statement, approved: true }));
      return;
    }
    if (record?.state === 'applied') {
      await this.#meet(id, record.publicKey, record.description.endpoint);
    }
    await this.#journal.commit(() => ({ kind: 'provider-command', provider: id, command: 'approve' }));
  }

  async close(): Promise<void> {
    await this.#hello.close();
  }

  async #follow(
    statement: Signed,
    id: PartyId,
    publicKey: string,
    { endpoint }: Heartbeat,
  ): Promise<ProviderRecord> {
    checkPlaceIsFree(this.#journal.state, id, endpoint);
    this.#limit(id, this.#journal.state.providers[id], undefined);
    await this.#meet(id, publicKey, endpoint);
    const after = await this.#journal.commit((state) =>
      state.providers[id]?.description.endpoint === endpoint
        ? undefined
        : { kind: 'provider-moved', statement },
    );
    return after.providers[id]!;
  }

  /** @throws NetworkError 'NotApproved' for other marks than it was let in with: they are kept for the operator to approve */
  #checkMarks(
    known: ProviderRecord | undefined,
    said: { readonly statement: Signed; readonly value: ProviderRegistration },
  ): void {
    if (known === undefined || known.state === 'applied') return;
    if (otherMarks(known.description, said.value.description) === undefined) return;
    throw this.#markChanges.ask(known, said, this.#clock.now());
  }

  /** @throws NetworkError 'Refused' | 'Unavailable' */
  async #meet(id: PartyId, publicKey: string, endpoint: string): Promise<void> {
    const time = await this.#hello.ask(endpoint, publicKey);
    const at = this.#clock.now();
    this.#offsets.set(id, { ms: time - at, at });
  }

  #take<T extends { readonly gateway: PartyId; readonly at: number }>(
    { signer, value }: Opened<T>,
    stream: string,
    isKnown: boolean,
  ): void {
    if (value.gateway !== this.#gateway) {
      throw new NetworkError('Refused', 'the statement is for another gateway');
    }
    this.#freshness.check(signer, stream, value.at, this.#clock.now());
    if (isKnown) this.#freshness.remember(signer, stream, value.at);
  }

  /** @throws NetworkError 'Unavailable' | 'NotApproved' */
  #limit(
    id: PartyId,
    known: { readonly state: string; readonly statedAt: number } | undefined,
    token: string | undefined,
  ): void {
    const now = this.#clock.now();
    if (known !== undefined) {
      if (known.state === 'removed') {
        throw new NetworkError(
          'NotApproved',
          'the operator has removed this party: what it says is not taken',
        );
      }
      // By the log, and so through a restart too. A token lets in whoever shows it, and one that is no good leaves no trace.
      const sinceMs = Math.abs(now - known.statedAt);
      if (known.state === 'applied' && token === undefined && sinceMs < APPLICANT_CHANGE_MS) {
        throw new NetworkError(
          'Unavailable',
          'the operator has yet to approve, and until then changes are taken once an hour: try again later',
        );
      }
      if (!this.#changes.take(id, now)) throw tooMany();
    } else if (token === undefined) {
      const { providers, monitors } = this.#journal.state;
      const waiting = [...Object.values(providers), ...Object.values(monitors)].filter(
        (record) => record.state === 'applied',
      );
      if (waiting.length >= APPLICANTS_MAX || !this.#applications.take('', now)) throw tooMany();
    }
  }

  /** A use of the token is given back when what it was spent for does not come about. */
  async #withProof<T>(
    proof: string | undefined,
    role: JoinToken['role'],
    party: PartyId,
    work: (hasToken: boolean) => Promise<T>,
  ): Promise<T> {
    if (proof === undefined) return await work(false);
    const giveBack = await this.tokens.spend(proof, role, party);
    try {
      return await work(true);
    } catch (error) {
      await giveBack();
      throw error;
    }
  }
}

/** An address belongs to one identity: another one there would be believed to hold the shards of the first. @throws NetworkError 'Conflict' */
function checkPlaceIsFree(state: NetworkState, id: PartyId, endpoint: string): void {
  const other = Object.values(state.providers).find(
    (record) => record.id !== id && record.state !== 'gone' && record.description.endpoint === endpoint,
  );
  if (other) {
    throw new NetworkError(
      'Conflict',
      `provider ${other.id} is registered at ${endpoint}: it has to leave before another identity takes its address`,
    );
  }
}

function hasApprovedMarks(known: ProviderRecord | undefined, said: ProviderRegistration): boolean {
  return (
    known !== undefined &&
    known.state !== 'applied' &&
    otherMarks(known.description, said.description) === undefined
  );
}

/** What independent groups are made by. */
function hasSameMarks(known: MonitorRecord, said: HyperNodeRegistration): boolean {
  return (
    known.operator === said.operator && known.networkPrefix === said.networkPrefix && known.asn === said.asn
  );
}

function saysTheSame(known: MonitorRecord, said: HyperNodeRegistration): boolean {
  return (
    hasSameMarks(known, said) &&
    known.beaconTip === said.beaconTip &&
    isDeepStrictEqual(known.location, said.location)
  );
}

function tooMany(): NetworkError {
  return new NetworkError('Unavailable', 'too many changes are being registered: try again later');
}

function providerStanding({ state, reason }: ProviderRecord): Standing {
  return { state, note: (reason || PROVIDER_NOTES[state]).slice(0, 500) };
}

function monitorStanding({ state, reason }: MonitorRecord): Standing {
  return { state, ...(reason && { note: reason.slice(0, 500) }) };
}

const PROVIDER_NOTES: Readonly<Record<ProviderRecord['state'], string>> = {
  applied: 'an operator has to approve',
  vetting: 'a few new shards, until enough audits are passed',
  active: 'new shards and reads',
  degraded: 'fewer new shards, and reads',
  suspended: 'reads only',
  exiting: 'reads, until its shards are moved away',
  gone: 'nothing any more',
  disqualified: 'nothing new: it did not hold what it should',
};
