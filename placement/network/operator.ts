/** What an operator sees of the network and can do with it: the seam between the network service and the admin API. */
import type { Durability } from '../durability/types.ts';
import type { EraVerdict, MonitorRecord, ProviderCommand, ProviderRecord } from '../oracle/types.ts';
import type { ProviderId } from '../types.ts';
import type { PartyId } from './identity.ts';

export interface ProviderSummary extends ProviderRecord {
  /** Shards and bytes that chunk records place there. */
  readonly shards: number;
  readonly storedBytes: number;
  /** By its last heartbeat, and how many ms ago that was. */
  readonly free: number | undefined;
  readonly heartbeatAgeMs: number | undefined;
}

/** Everything behind a score: the verdicts of its last eras, newest first. The signed reports are in the log, by era and monitor. */
export interface ProviderDetail extends ProviderSummary {
  readonly history: readonly (EraVerdict & { readonly era: number })[];
  readonly leaving: { readonly shardsLeft: number; readonly shardsAtStart: number } | undefined;
}

export interface JoinToken {
  /** First characters of its hash: names it, and is no use to anyone. */
  readonly id: string;
  readonly role: 'provider' | 'hypernode';
  readonly usesLeft: number;
  /** ms since the epoch */
  readonly expiresAt: number;
}

export interface NetworkOverview {
  readonly gateway: PartyId;
  readonly era: number;
  readonly closesAt: number | undefined;
  readonly providers: Readonly<Record<string, number>>;
  readonly monitors: Readonly<Record<string, number>>;
  /** Independent groups among the active monitors, and how many a decision needs. */
  readonly groups: number;
  readonly groupsMin: number;
  readonly ledgerRoot: string | undefined;
}

export interface NetworkOperator {
  overview(): NetworkOverview;
  providers(): Promise<readonly ProviderSummary[]>;
  /** @throws NetworkError 'NotFound' */
  provider(id: ProviderId): Promise<ProviderDetail>;
  /** @throws NetworkError 'NotFound', or 'Conflict' where the state does not allow it */
  commandProvider(id: ProviderId, command: Exclude<ProviderCommand, 'gone'>): Promise<void>;
  monitors(): readonly MonitorRecord[];
  commandMonitor(id: PartyId, command: 'approve' | 'remove'): Promise<void>;
  /** Those that are still good, or `all`: with those of the last 30 days that are spent or have expired. */
  tokens(all?: boolean): Promise<readonly JoinToken[]>;
  /** The only time the token is shown. */
  createToken(role: JoinToken['role'], uses: number, hours: number): Promise<string>;
  removeToken(id: string): Promise<boolean>;
  durability(): Promise<{
    readonly whole: Durability;
    readonly byBucket: Readonly<Record<string, Durability>>;
  }>;
}
