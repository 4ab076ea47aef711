import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { forEachBounded } from '../concurrency.ts';
import { verifyEvidence } from '../oracle/findings.ts';
import { order } from '../oracle/groups.ts';
import { scoreEraStepwise } from '../oracle/score.ts';
import { beaconAfter } from '../oracle/state.ts';
import { inTurns } from '../oracle/stepwise.ts';
import type { LoggedAssignment, NetworkState, OracleParameters, ProviderRecord } from '../oracle/types.ts';
import { Wakeup } from '../time.ts';
import type { ChunkCatalog, Clock, ProviderId, Random } from '../types.ts';
import { Canaries } from './canaries.ts';
import { EraFiles, type OpenEraPlan } from './eraFiles.ts';
import { planEra, type PlannedProvider } from './eraPlan.ts';
import { NetworkError } from './errors.ts';
import type { GatewayChain } from './gatewayChain.ts';
import type { Identity, PartyId } from './identity.ts';
import { takeInventory, type Holding } from './inventory.ts';
import type { Journal } from './journal.ts';
import { serves, type Members } from './members.ts';
import type { EraNotice, Report } from './messages.ts';
import type { NetworkEvent } from './serviceTypes.ts';
import { signStatement, type Signed } from './signed.ts';

const RETRY_MS = 10_000;
/** Providers asked for their time at once. */
const HELLOS_MAX = 16;
/** Share of an era that may go by with it. */
const HELLOS_SHARE = 0.02;

export interface ErasOptions {
  readonly identity: Identity;
  readonly folder: string;
  readonly catalog: ChunkCatalog;
  readonly journal: Journal;
  readonly members: Members;
  readonly chain: GatewayChain;
  readonly clock: Clock;
  readonly random: Random | undefined;
  readonly shardsAt: ((id: ProviderId) => Promise<number>) | undefined;
  readonly isEmptied: ((id: ProviderId) => boolean) | undefined;
  /** What a provider's clock is ahead of ours, in ms; after `until` it is not asked any more. */
  readonly clockOffset: (record: ProviderRecord, until: number) => Promise<number>;
  /** After an era was closed and everything that follows from it was done. */
  readonly onClosed: () => Promise<void>;
  readonly onEvent: (event: NetworkEvent) => void;
}

/** What the gateway saw of providers in an era that is open is saved so often: a stop takes no more. The clock is looked at as often. */
const SAVE_MS = 60_000;
/** An era that has longer to go than this many of its lengths was opened while the clock was ahead: it is closed at once. */
const LENGTHS_MAX = 2;

/** A signed proof of the longest path has some 2 KiB. */
const EVIDENCE_BYTES_MAX = 4096;

type Held = ReadonlyMap<ProviderId, Pick<Holding, 'shards' | 'bytes'>>;

/** Positions of canaries are secrets. */
const unforeseeable: Random = { fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48 };

/** Era after era: what is asked is made and promised, answers are taken, what they say is decided. */
export class Eras {
  readonly #options: ErasOptions;
  readonly #files: EraFiles;
  readonly #wakeup = new Wakeup();
  #plan: OpenEraPlan | undefined;
  /** By the last inventory. */
  #held: Held = new Map();
  /** When the last era opened that this run knows of. */
  #lastOpenedAt = -Infinity;
  /** Time that it took to make what was asked in it: that long, too, the next will open late. */
  #planningMs = 0;
  /** Taken from the chain for an era that is not open yet. */
  #reveal: string | undefined;
  #closing = false;
  #savedAt = -Infinity;
  #stopped = false;
  readonly #stop = new AbortController();

  constructor(options: ErasOptions) {
    this.#options = options;
    this.#files = new EraFiles(options.folder);
  }

  /** By the last inventory; empty before the first. */
  get held(): Held {
    return this.#held;
  }

  get closesAt(): number | undefined {
    const { open, parameters } = this.#options.journal.state;
    return open && (this.#plan?.closesAt ?? open.openedAt + parameters.eraMs);
  }

  /** Goes on with the era that was open when the gateway stopped: it takes reports until its time, or closes as it is. */
  async resume(): Promise<void> {
    const { journal, members } = this.#options;
    const { open } = journal.state;
    await this.#files.keepOnly(open?.era);
    const seen = await this.#files.readSeen();
    if (seen) members.takeUp(seen, seen.era === seenIn(journal.state), this.#options.clock.now());
    if (open === undefined) return;
    this.#lastOpenedAt = open.openedAt;
    this.#plan = await this.#files.read(open.era);
    this.#held = this.#plan?.holdings ?? new Map();
    if (this.#plan === undefined && Object.keys(open.promised).length > 0) {
      this.#warn(`what was asked in era ${open.era} is lost: its reports cannot be judged`);
    }
  }

  /** Keeps what was seen of providers since the last observation for the next start. Never rejects. */
  async save(): Promise<void> {
    const { journal, members, clock } = this.#options;
    this.#savedAt = clock.now();
    try {
      await this.#files.writeSeen({ era: seenIn(journal.state), ...members.seen() });
    } catch (error) {
      this.#warn('what was seen of the providers could not be saved', error as Error);
    }
  }

  /** Until `stop`. Never rejects. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#step();
      } catch (error) {
        if (this.#stopped) return;
        this.#warn('an era could not be opened or closed; it is tried again', error as Error);
        await this.#wakeup.wait(this.#options.clock, RETRY_MS);
      }
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#stop.abort(new Error('the network service is closed'));
    this.#wakeup.notify();
  }

  /** Ends the wait for somebody to register. */
  noteParties(): void {
    if (this.#options.journal.state.open === undefined) this.#wakeup.notify();
  }

  /** @throws NetworkError 'Unavailable' */
  notice(): EraNotice {
    const { journal } = this.#options;
    const { open, era, beacon } = journal.state;
    const closesAt = this.closesAt;
    if (open === undefined || closesAt === undefined) throw noEra();
    return { version: 1, era, opensAt: this.#opensAt(open.openedAt, closesAt), closesAt, beacon };
  }

  /** What the monitor is asked in the era that is open: the same bytes every time. @throws NetworkError */
  async assignment(era: number, monitor: PartyId): Promise<Signed> {
    const { open } = this.#options.journal.state;
    if (open === undefined) throw noEra();
    if (open.era !== era) throw new NetworkError('NotFound', `era ${era} is not open; era ${open.era} is`);
    const found = open.promised[monitor] && (await this.#files.assignment(era, monitor));
    if (!found) throw new NetworkError('NotFound', `nothing is asked of this monitor in era ${era}`);
    return found;
  }

  /** @throws NetworkError 'NotFound' once no reports are taken */
  checkTakesReports(): void {
    const closesAt = this.closesAt;
    if (closesAt === undefined || this.#closing || this.#options.clock.now() > closesAt) {
      throw new NetworkError('NotFound', 'the era is closed: its reports are no longer taken');
    }
  }

  /**
   * A report tells of what its monitor was asked, and of nothing else: the log keeps what it says for good.
   * @throws NetworkError 'BadMessage'
   */
  checkAsked(monitor: PartyId, { era, findings }: Report): void {
    // Of another era, it is refused for that.
    if (this.#plan === undefined || this.#plan.era !== era) return;
    const asked = this.#plan.assignments.find((assignment) => assignment.monitor === monitor);
    const targets = new Map(asked?.tasks.map((task) => [task.provider, task.targets.length]));
    for (const { provider, audits } of findings) {
      const count = targets.get(provider);
      if (count === undefined) {
        throw new NetworkError(
          'BadMessage',
          `the report tells of provider ${provider}, which was not asked for`,
        );
      }
      for (const { target, evidence } of audits) {
        if (target >= count) {
          throw new NetworkError(
            'BadMessage',
            `the report tells of target ${target} of ${count} at ${provider}`,
          );
        }
        if (evidence !== undefined && Buffer.byteLength(JSON.stringify(evidence)) > EVIDENCE_BYTES_MAX) {
          throw new NetworkError('BadMessage', `the evidence of target ${target} at ${provider} is too long`);
        }
      }
    }
  }

  async #step(): Promise<void> {
    const { clock, journal } = this.#options;
    if (this.closesAt === undefined) {
      if (hasParties(journal.state)) await this.#open();
      else await this.#wakeup.wait(clock, journal.state.parameters.eraMs);
      return;
    }
    const sinceSaved = clock.now() - this.#savedAt;
    if (sinceSaved >= SAVE_MS || sinceSaved < 0) await this.save();
    const left = this.closesAt - clock.now();
    if (left <= 0 || left > LENGTHS_MAX * journal.state.parameters.eraMs) {
      await this.#close();
    } else if (!this.#stopped) {
      await this.#wakeup.wait(clock, Math.min(SAVE_MS, left));
    }
  }

  /** Times in the log never decrease: after the clock was set back, they are ahead of the time that an era has. */
  #opensAt(openedAt: number, closesAt: number): number {
    return openedAt < closesAt ? openedAt : closesAt - this.#options.journal.state.parameters.eraMs;
  }

  /** Heartbeats that came later came in the era. */
  #heardSince(): number {
    const { opensAt, closesAt } = this.notice();
    const now = this.#options.clock.now();
    return opensAt <= now ? opensAt : Math.min(now, closesAt) - this.#options.journal.state.parameters.eraMs;
  }

  async #open(): Promise<void> {
    const { journal, chain, catalog, clock } = this.#options;
    const { state } = journal;
    const startedAt = clock.now();
    const era = state.era + 1;
    // Tried again, it is the same value: the chain has an end, and its gaps a bound.
    const reveal = (this.#reveal ??= await chain.reveal());
    const beacon = beaconAfter(state, reveal);
    const providers = Object.values(state.providers).filter(serves);
    const ids = providers.map(({ id }) => id);
    const { canaryShare, eraMs } = parametersOf(state);
    const canaries = new Canaries(chain.canarySecret, era, canaryShare);
    const sampling = chain.sampling();
    const holdings = await takeInventory(catalog, ids, sampling + beacon, canaries, this.#stop.signal);
    this.#held = holdings;
    await this.#releaseEmpty(holdings);
    // A clock that was set in between must not stretch the era.
    const closesAt = startedAt + Math.min(this.#planningMs, eraMs) + eraMs;
    const assignments = await this.#files.write(
      { era, closesAt, sampling, holdings },
      this.#planned({ era, beacon, closesAt, holdings, canaries }),
    );
    const promised = assignments.map(({ monitor, hash }) => ({ monitor, hash }));
    this.#stop.signal.throwIfAborted();
    this.#plan = { era, closesAt, sampling, assignments, holdings };
    await journal.commit(({ monitors }) => ({
      kind: 'era-opened',
      era,
      beacon,
      reveal,
      assignments: promised.filter(({ monitor }) => monitors[monitor]?.state === 'active'),
    }));
    this.#reveal = undefined;
    // By the log's time, as what it is compared to.
    this.#lastOpenedAt = journal.state.open?.openedAt ?? clock.now();
    this.#planningMs = Math.max(0, clock.now() - startedAt);
    this.#options.onEvent({ kind: 'era-opened', era, providers: ids.length, monitors: promised.length });
  }

  async *#planned(era: {
    readonly era: number;
    readonly beacon: string;
    readonly closesAt: number;
    readonly holdings: ReadonlyMap<ProviderId, Holding>;
    readonly canaries: Canaries;
  }): ReturnType<typeof planEra> {
    const { journal, identity, catalog, clock, clockOffset, random = unforeseeable } = this.#options;
    const { providers, monitors } = journal.state;
    // Those that are down take long to say nothing: they must not hold up the era.
    const hellosUntil = clock.now() + parametersOf(journal.state).eraMs * HELLOS_SHARE;
    const asked: PlannedProvider[] = [];
    await forEachBounded(Object.values(providers), HELLOS_MAX, async (record) => {
      const holding = era.holdings.get(record.id);
      if (holding === undefined || !serves(record) || record.state === 'disqualified') return;
      asked.push({ record, holding, clockOffsetMs: await clockOffset(record, hellosUntil) });
    });
    asked.sort((a, b) => order(a.record.id, b.record.id));
    const active = Object.values(monitors).filter(({ state }) => state === 'active');
    for await (const one of planEra({
      ...era,
      gateway: identity,
      parameters: parametersOf(journal.state),
      providers: asked,
      monitors: active,
      catalog,
      random,
    })) {
      this.#stop.signal.throwIfAborted();
      yield one;
    }
  }

  /**
   * A provider that leaves is gone once it has been emptied, nothing is on its way there, and after that nothing is recorded there; not
   * before a whole era after it began to leave, for the sake of other processes' writes.
   */
  async #releaseEmpty(holdings: Held): Promise<void> {
    const { journal, members, shardsAt, isEmptied } = this.#options;
    for (const { id, state, stateSince } of Object.values(journal.state.providers)) {
      if (state !== 'exiting' || stateSince >= this.#lastOpenedAt) continue;
      if (members.openPuts(id) > 0 || isEmptied?.(id) === false) continue;
      if ((holdings.get(id)?.shards ?? 0) > 0 || ((await shardsAt?.(id)) ?? 0) > 0) continue;
      await journal.commit((now) =>
        now.providers[id]?.state === 'exiting'
          ? { kind: 'provider-command', provider: id, command: 'gone' }
          : undefined,
      );
    }
  }

  async #close(): Promise<void> {
    const { journal, members, identity } = this.#options;
    this.#closing = true;
    try {
      const { open } = journal.state;
      if (open === undefined) return;
      const { era } = open;
      if (open.assignments === undefined) {
        const asked = (this.#plan?.assignments ?? []).filter(({ monitor }) => open.promised[monitor]);
        const assignments = await this.#withRemoved(asked);
        const sampling = this.#plan?.sampling;
        await journal.commit(() => ({
          kind: 'assignments',
          era,
          assignments,
          ...(sampling !== undefined && { sampling }),
        }));
      }
      if (open.observation === undefined) {
        const observation = members.takeObservation(era, this.#heardSince(), this.#held);
        const statement = signStatement(identity, 'observation', observation);
        await journal.commit(() => ({ kind: 'observation', statement }));
      }
      await this.#decide(era);
    } finally {
      this.#closing = false;
    }
  }

  async #decide(era: number): Promise<void> {
    const { journal, onClosed } = this.#options;
    // Clients must wait neither for two hundred thousand signatures nor for what is computed from them.
    await verifyEvidence(journal.state, () => turn());
    await journal.commit(async (state, at) => {
      const outcome = await inTurns(scoreEraStepwise(state, at), () => turn());
      return { kind: 'era-closed', era, outcome };
    });
    this.#plan = undefined;
    await this.#files.keepOnly(undefined);
    await onClosed();
  }

  /** Marks what the gateway itself has deleted or moved since: an honest provider does not have it any more. */
  async #withRemoved(assignments: readonly LoggedAssignment[]): Promise<readonly LoggedAssignment[]> {
    const { catalog } = this.#options;
    const marked: LoggedAssignment[] = [];
    for (const assignment of assignments) {
      const tasks: LoggedAssignment['tasks'][number][] = [];
      for (const { provider, targets } of assignment.tasks) {
        const checked = targets.map(async (target) => {
          if (target.canary) return target;
          const place = (await catalog.get(target.chunk))?.shards[target.index];
          return place?.provider === provider ? target : { ...target, removed: true as const };
        });
        tasks.push({ provider, targets: await Promise.all(checked) });
        await turn();
      }
      marked.push({ ...assignment, tasks });
    }
    return marked;
  }

  #warn(message: string, error?: Error): void {
    this.#options.onEvent({ kind: 'warning', message, ...(error && { error }) });
  }
}

/** The era whose observation will tell what is seen now. */
function seenIn({ open, era }: NetworkState): number {
  return open === undefined || open.observation !== undefined ? era + 1 : era;
}

function hasParties({ providers, monitors }: NetworkState): boolean {
  return (
    Object.values(providers).some(serves) || Object.values(monitors).some(({ state }) => state === 'active')
  );
}

/** Those of the next era. */
function parametersOf({ parameters, nextParameters }: NetworkState): OracleParameters {
  return nextParameters ?? parameters;
}

function noEra(): NetworkError {
  return new NetworkError('Unavailable', 'no era is open now');
}
