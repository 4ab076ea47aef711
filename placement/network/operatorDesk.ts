import * as z from 'zod';
import { independentGroups } from '../oracle/groups.ts';
import type { MonitorRecord, ProviderCommand, ProviderRecord } from '../oracle/types.ts';
import type { ChunkCatalog, Clock, ProviderId } from '../types.ts';
import type { Admission } from './admission.ts';
import type { Eras } from './eras.ts';
import { NetworkError } from './errors.ts';
import type { PartyId } from './identity.ts';
import type { Journal } from './journal.ts';
import type { Members } from './members.ts';
import type {
  JoinToken,
  NetworkOperator,
  NetworkOverview,
  ProviderDetail,
  ProviderSummary,
} from './operator.ts';
import type { VerdictHistory } from './verdictHistory.ts';

/** Shards that each provider which leaves had when it began to. */
const LEAVING_NOTE = 'network.leaving';
const leavingSchema = z.record(z.string(), z.number());
const PARTY = /^[0-9a-f]{32}$/;

export interface OperatorDeskOptions {
  readonly journal: Journal;
  readonly admission: Admission;
  readonly members: Members;
  readonly eras: Eras;
  readonly history: VerdictHistory;
  readonly catalog: ChunkCatalog;
  readonly clock: Clock;
  readonly ledgerRoot: () => string | undefined;
  readonly shardsAt: ((id: ProviderId) => Promise<number>) | undefined;
  readonly durability: (() => ReturnType<NetworkOperator['durability']>) | undefined;
}

/** What an operator sees of the network, and does with it. */
export class OperatorDesk implements NetworkOperator {
  readonly #options: OperatorDeskOptions;

  constructor(options: OperatorDeskOptions) {
    this.#options = options;
  }

  overview(): NetworkOverview {
    const { journal, eras, ledgerRoot } = this.#options;
    const { gateway, era, providers, monitors, parameters } = journal.state;
    const active = Object.values(monitors).filter(({ state }) => state === 'active');
    return {
      gateway,
      era,
      closesAt: eras.closesAt,
      providers: countStates(Object.values(providers)),
      monitors: countStates(Object.values(monitors)),
      groups: independentGroups(active, parameters).length,
      groupsMin: parameters.groupsMin,
      ledgerRoot: ledgerRoot(),
    };
  }

  providers(): Promise<readonly ProviderSummary[]> {
    const records = Object.values(this.#options.journal.state.providers);
    return Promise.resolve(records.map((record) => this.#summary(record)));
  }

  async provider(id: ProviderId): Promise<ProviderDetail> {
    const summary = this.#summary(this.#record(id));
    const { last } = summary;
    const kept = this.#options.history.of(id);
    const era = this.#options.journal.state.era;
    const history = kept.length > 0 || last === undefined ? kept : [{ ...last, era }];
    return { ...summary, history, leaving: await this.#leaving(summary) };
  }

  async commandProvider(id: ProviderId, command: Exclude<ProviderCommand, 'gone'>): Promise<void> {
    const { state } = this.#record(id);
    const { admission, journal } = this.#options;
    if (command === 'approve') {
      await admission.approveProvider(id);
      return;
    }
    const leaves = command === 'drain' || command === 'exit';
    if (leaves && state !== 'applied' && state !== 'exiting') await this.#noteLeaving(id);
    await journal.commit(() => ({ kind: 'provider-command', provider: id, command }));
  }

  monitors(): readonly MonitorRecord[] {
    return Object.values(this.#options.journal.state.monitors);
  }

  async commandMonitor(id: PartyId, command: 'approve' | 'remove'): Promise<void> {
    if (!PARTY.test(id)) throw new NetworkError('NotFound', 'there is no such HyperNode');
    await this.#options.journal.commit(() => ({ kind: 'hypernode-command', monitor: id, command }));
  }

  tokens(all?: boolean): Promise<readonly JoinToken[]> {
    return this.#options.admission.tokens.list(all);
  }

  createToken(role: JoinToken['role'], uses: number, hours: number): Promise<string> {
    return this.#options.admission.tokens.create(role, uses, hours);
  }

  removeToken(id: string): Promise<boolean> {
    return this.#options.admission.tokens.remove(id);
  }

  async durability(): ReturnType<NetworkOperator['durability']> {
    const { durability } = this.#options;
    if (durability === undefined) throw new NetworkError('Unavailable', 'durability is not computed here');
    return await durability();
  }

  /** A name that is none could be one of an object's own, like __proto__. @throws NetworkError 'NotFound' */
  #record(id: ProviderId): ProviderRecord {
    const found = PARTY.test(id) ? this.#options.journal.state.providers[id] : undefined;
    if (found === undefined) throw new NetworkError('NotFound', 'there is no such provider');
    return found;
  }

  #summary(record: ProviderRecord): ProviderSummary {
    const { members, eras, clock, admission } = this.#options;
    const heartbeat = members.heartbeat(record.id);
    const held = eras.held.get(record.id);
    return {
      ...record,
      reason: [record.reason, admission.askedOf(record)].filter(Boolean).join('; '),
      shards: held?.shards ?? 0,
      storedBytes: held?.bytes ?? 0,
      free: heartbeat?.free,
      heartbeatAgeMs: heartbeat && clock.now() - heartbeat.receivedAt,
    };
  }

  async #leaving({ id, state, shards }: ProviderSummary): Promise<ProviderDetail['leaving']> {
    if (state !== 'exiting') return undefined;
    const { catalog, shardsAt } = this.#options;
    const note = await catalog.getNote(LEAVING_NOTE);
    const shardsLeft = (await shardsAt?.(id)) ?? shards;
    const shardsAtStart = leavingSchema.parse(JSON.parse(note ?? '{}'))[id] ?? shardsLeft;
    return { shardsLeft, shardsAtStart: Math.max(shardsAtStart, shardsLeft) };
  }

  async #noteLeaving(id: ProviderId): Promise<void> {
    const { catalog, shardsAt, eras, journal } = this.#options;
    const shards = (await shardsAt?.(id)) ?? eras.held.get(id)?.shards ?? 0;
    const noted = leavingSchema.parse(JSON.parse((await catalog.getNote(LEAVING_NOTE)) ?? '{}'));
    const leaving = Object.entries(noted).filter(
      ([other]) => journal.state.providers[other]?.state === 'exiting',
    );
    await catalog.setNote(LEAVING_NOTE, JSON.stringify(Object.fromEntries([...leaving, [id, shards]])));
  }
}

function countStates(records: readonly { readonly state: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of records) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
