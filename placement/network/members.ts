import type { Seen } from './eraFiles.ts';
import type { Holding } from './inventory.ts';
import type { Heartbeat, Observation } from './messages.ts';
import { addCounters, countOutcome, observed, zeroCounters, type Counters } from './observed.ts';
import type { Membership } from './serviceTypes.ts';
import type { NetworkState, ProviderRecord } from '../oracle/types.ts';
import type { MovableTransport } from '../transports/httpProvider.ts';
import type { CallOutcome, Domain, ProviderId, ProviderStanding } from '../types.ts';

/** Free space by a heartbeat beyond which a refusal for lack of space contradicts it: the longest shard there is. */
const ROOM_BYTES = 64 * 1024 * 1024;

interface LastHeartbeat {
  readonly receivedAt: number;
  readonly capacity: number;
  readonly free: number;
  readonly shards: number;
}

interface Member {
  endpoint: string;
  standing: ProviderStanding;
  description: ProviderRecord['description'];
}

/** Keeps the provider registry in step with the network's state, and counts what the gateway sees of each provider. */
export class Members {
  readonly #registry: Membership;
  readonly #transportFor: (record: ProviderRecord) => MovableTransport;
  readonly #members = new Map<ProviderId, Member>();
  readonly #counters = new Map<ProviderId, Counters>();
  readonly #heartbeats = new Map<ProviderId, LastHeartbeat>();

  constructor(registry: Membership, transportFor: (record: ProviderRecord) => MovableTransport) {
    this.#registry = registry;
    this.#transportFor = transportFor;
  }

  /**
   * Does what differs between the registry and the state. Calls come one after another.
   * @throws AggregateError of what failed; the rest is done, and the next call tries again
   */
  async follow(state: NetworkState): Promise<void> {
    const failures: unknown[] = [];
    for (const record of Object.values(state.providers)) {
      try {
        await this.#followOne(record);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `${failures.length} providers: ${String(failures[0])}`);
  }

  /** Shards on their way to a provider. */
  openPuts(id: ProviderId): number {
    return this.#registry.openPuts(id);
  }

  heartbeat(id: ProviderId): LastHeartbeat | undefined {
    return this.#heartbeats.get(id);
  }

  noteHeartbeat(id: ProviderId, { capacity, free, shards }: Heartbeat, receivedAt: number): void {
    this.#heartbeats.set(id, { receivedAt, capacity, free, shards });
  }

  noteOutcome(id: ProviderId, outcome: CallOutcome): void {
    if (this.#members.has(id)) countOutcome(this.#countersOf(id), outcome);
  }

  /** For the next start. */
  seen(): Omit<Seen, 'era'> {
    return { counters: [...this.#counters], heartbeats: [...this.#heartbeats] };
  }

  /**
   * Goes on from what a former run saw.
   * @param counts false when an observation has told of its counts
   */
  takeUp({ counters, heartbeats }: Omit<Seen, 'era'>, counts: boolean, now: number): void {
    for (const [id, heartbeat] of heartbeats) {
      if (heartbeat.receivedAt <= now && !this.#heartbeats.has(id)) this.#heartbeats.set(id, heartbeat);
    }
    if (counts) for (const [id, former] of counters) addCounters(this.#countersOf(id), former);
  }

  /** What was seen since the last call; counting starts anew. */
  takeObservation(
    era: number,
    openedAt: number,
    holdings: ReadonlyMap<ProviderId, Pick<Holding, 'shards' | 'bytes'>>,
  ): Observation {
    const providers = [...this.#members.keys()].sort().map((provider) => {
      const heartbeat = this.#heartbeats.get(provider);
      const held = holdings.get(provider);
      const { capacity, free } = heartbeat ?? { capacity: 0, free: 0 };
      return {
        provider,
        shards: held?.shards ?? 0,
        storedBytes: held?.bytes ?? 0,
        ...(heartbeat && heartbeat.receivedAt >= openedAt && { space: { capacity, free } }),
        ...(this.#counters.get(provider) ?? zeroCounters()),
      };
    });
    this.#counters.clear();
    return { version: 1, era, providers };
  }

  async #followOne(record: ProviderRecord): Promise<void> {
    const member = this.#members.get(record.id);
    if (!serves(record)) {
      if (member) await this.#dismiss(record.id);
    } else if (member === undefined) await this.#admit(record);
    else await this.#update(member, record);
  }

  async #admit(record: ProviderRecord): Promise<void> {
    const { id, description } = record;
    const transport = this.#transportFor(record);
    const standing = standingOf(record);
    await this.#registry.admit({
      id,
      endpoint: description.endpoint,
      domain: domainOf(record),
      transport: observed(
        transport,
        () => this.#countersOf(id),
        () => (this.#heartbeats.get(id)?.free ?? 0) > ROOM_BYTES,
      ),
      standing,
    });
    this.#members.set(id, { endpoint: description.endpoint, standing, description });
  }

  async #update(member: Member, record: ProviderRecord): Promise<void> {
    const { id, description } = record;
    if (isElsewhere(member.description, description)) {
      // The place in the failure-domain tree is part of a membership.
      await this.#dismiss(id);
      await this.#admit(record);
      return;
    }
    if (member.endpoint !== description.endpoint) {
      member.endpoint = description.endpoint;
      // The transport goes with it.
      this.#registry.move(id, description.endpoint);
    }
    const standing = standingOf(record);
    if (standing.state === member.standing.state && standing.score === member.standing.score) return;
    member.standing = standing;
    this.#registry.stand(id, standing);
  }

  async #dismiss(id: ProviderId): Promise<void> {
    this.#members.delete(id);
    this.#counters.delete(id);
    await this.#registry.dismiss(id);
  }

  #countersOf(id: ProviderId): Counters {
    let counters = this.#counters.get(id);
    if (counters === undefined) this.#counters.set(id, (counters = zeroCounters()));
    return counters;
  }
}

/** Is it part of the gateway's storage? */
export function serves({ state }: ProviderRecord): boolean {
  return state !== 'applied' && state !== 'gone';
}

function standingOf({ state, placementScore }: ProviderRecord): ProviderStanding {
  if (state === 'applied') throw new Error('an applicant has no standing');
  return { state, score: placementScore };
}

function domainOf({ description: { region, site, operator } }: ProviderRecord): Domain {
  return { region, site, operator };
}

function isElsewhere(a: ProviderRecord['description'], b: ProviderRecord['description']): boolean {
  return a.region !== b.region || a.site !== b.site || a.operator !== b.operator;
}
