/** What the network service is given, and what it tells of itself. */
import type { LedgerParameters } from '../ledger/types.ts';
import type { EraOutcome, OracleParameters, ProviderRecord } from '../oracle/types.ts';
import type { ChunkCatalog, Clock, ProviderId, ProviderMember, ProviderStanding, Random } from '../types.ts';
import type { MovableTransport } from '../transports/httpProvider.ts';
import type { AddressRules } from './addressRules.ts';
import type { Identity, PartyId } from './identity.ts';
import type { NetworkOperator } from './operator.ts';

/** What the service needs of the provider registry. */
export interface Membership {
  admit(member: ProviderMember): void | Promise<void>;
  stand(id: ProviderId, standing: ProviderStanding): void;
  move(id: ProviderId, endpoint: string): void;
  dismiss(id: ProviderId): Promise<void>;
  /** See Providers. */
  openPuts(id: ProviderId): number;
}

export interface NetworkServiceOptions {
  /** The gateway's. */
  readonly identity: Identity;
  /** The service's own: the log, the ledger, the beacon's seed. */
  readonly folder: string;
  readonly catalog: ChunkCatalog;
  readonly registry: Membership;
  /** How shards reach a registered provider. */
  readonly transportFor: (record: ProviderRecord) => MovableTransport;
  readonly clock: Clock;
  /** Decides where canaries go, so it must not be foreseeable; the machine's cryptographic one when absent. */
  readonly random?: Random;
  /** For a new log; a difference from the log's is logged and holds from the next era on. */
  readonly parameters: OracleParameters;
  /** For a new ledger; without them nothing is accounted. */
  readonly ledger?: LedgerParameters;
  readonly addresses: AddressRules;
  /** Shards that a provider which leaves still has to give up; by the last inventory when absent. */
  readonly shardsAt?: (id: ProviderId) => Promise<number>;
  /** Whether a provider that leaves has been emptied, uploads that had begun before it left included; taken as so when absent. */
  readonly isEmptied?: (id: ProviderId) => boolean;
  readonly durability?: () => ReturnType<NetworkOperator['durability']>;
  /** Must not throw. */
  readonly onEvent?: (event: NetworkEvent) => void;
}

export type NetworkEvent =
  | {
      readonly kind: 'provider';
      readonly provider: ProviderId;
      readonly state: ProviderRecord['state'];
      readonly reason: string;
    }
  | { readonly kind: 'moved'; readonly provider: ProviderId; readonly endpoint: string }
  | {
      readonly kind: 'monitor';
      readonly monitor: PartyId;
      readonly state: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'era-opened';
      readonly era: number;
      readonly providers: number;
      readonly monitors: number;
    }
  | { readonly kind: 'era-closed'; readonly era: number; readonly outcome: EraOutcome }
  | { readonly kind: 'warning'; readonly message: string; readonly error?: Error };
