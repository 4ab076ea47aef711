import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { createHasher } from '#erasure';
import type { LogHead, LogRecord, NetworkState } from '../oracle/types.ts';
import { decodeSigned } from '../provider/wire.ts';
import type { CallOutcome, ProviderId } from '../types.ts';
import { Accounting } from './accounting.ts';
import { Admission } from './admission.ts';
import { changesBetween } from './changes.ts';
import { Eras } from './eras.ts';
import { NetworkError } from './errors.ts';
import { GatewayChain } from './gatewayChain.ts';
import { partyId, type PartyId } from './identity.ts';
import { Journal } from './journal.ts';
import { Members } from './members.ts';
import {
  assignmentRequestSchema,
  reportIntentSchema,
  reportSchema,
  type EraNotice,
  type GatewayDescription,
  type Standing,
} from './messages.ts';
import type { NetworkOperator } from './operator.ts';
import { OperatorDesk } from './operatorDesk.ts';
import type { NetworkEvent, NetworkServiceOptions } from './serviceTypes.ts';
import { checkCompact, openStatement, parseMessage, signedSchema, type Signed } from './signed.ts';
import { VerdictHistory } from './verdictHistory.ts';

/** End of the log, kept where the log is not. */
const HEAD_NOTE = 'network.head';
const hasher = createHasher();

/**
 * The gateway's part of the network: takes registrations and reports, opens and closes eras, and keeps the provider registry in step with
 * what is decided. Everything that counts is durable in the log before it has an effect.
 */
export class NetworkService implements NetworkOperator {
  readonly #options: NetworkServiceOptions;
  readonly #members: Members;
  readonly #history = new VerdictHistory();
  /** Reports of the open era by the hash of their text: one that comes again is answered again. */
  readonly #taken = new Map<PartyId, string>();
  readonly #accounting: Accounting | undefined;
  #journal!: Journal;
  #admission!: Admission;
  #eras!: Eras;
  #desk!: OperatorDesk;
  #isLive = false;
  #running: Promise<void> | undefined;

  private constructor(options: NetworkServiceOptions, accounting: Accounting | undefined) {
    this.#options = options;
    this.#members = new Members(options.registry, options.transportFor);
    this.#accounting = accounting;
  }

  /**
   * Reads the log, admits the providers that it knows to the registry, and goes on where the last run stopped. No era is opened or closed
   * before `start`.
   * @throws NetworkError 'Tampered' when the log or the ledger is not what was written
   */
  static async open(options: NetworkServiceOptions): Promise<NetworkService> {
    const { folder, ledger, clock } = options;
    const accounting = ledger && (await Accounting.open(folder, ledger, clock));
    const service = new NetworkService(options, accounting);
    try {
      await service.#open();
      return service;
    } catch (error) {
      await service.close();
      throw error;
    }
  }

  /** Begins with the eras. */
  start(): void {
    this.#running ??= this.#eras.run();
  }

  async close(): Promise<void> {
    this.#eras?.stop();
    await this.#running;
    await this.#eras?.save();
    await this.#admission?.close();
    await this.#journal?.close();
    await this.#accounting?.close();
  }

  /** As the log has it. */
  get state(): NetworkState {
    return this.#journal.state;
  }

  describe(): GatewayDescription {
    const { identity, clock } = this.#options;
    return { version: 1, id: identity.id, publicKey: identity.publicKey, time: Math.floor(clock.now()) };
  }

  /** All of these: @throws NetworkError */
  async registerProvider(statement: unknown): Promise<Standing> {
    return await this.#admission.registerProvider(parseMessage(signedSchema, statement));
  }

  async registerHyperNode(statement: unknown): Promise<Standing> {
    return await this.#admission.registerHyperNode(parseMessage(signedSchema, statement));
  }

  async heartbeat(statement: unknown): Promise<Standing> {
    return await this.#admission.heartbeat(parseMessage(signedSchema, statement));
  }

  era(): EraNotice {
    return this.#eras.notice();
  }

  async assignment(question: unknown): Promise<Signed> {
    const statement = parseMessage(signedSchema, question);
    const opened = openStatement(statement, 'assignment-request', assignmentRequestSchema);
    const monitor = this.#activeMonitor(statement);
    this.#admission.take(opened, 'assignment');
    return await this.#eras.assignment(opened.value.era, monitor);
  }

  /**
   * Asked before a report is read: nothing else is listened to. Everybody may know a monitor's public key, and nobody else can sign this.
   * @param intent base64url of the JSON of a Signed 'report-intent'
   * @returns the monitor's public key, and the hash of what it is about to report
   */
  mayReport(intent: string): { readonly signer: string; readonly hash: string } {
    const statement = parseMessage(signedSchema, decodeSigned(intent));
    this.#activeMonitor(statement);
    const opened = openStatement(statement, 'report-intent', reportIntentSchema);
    this.#admission.take(opened, 'report-intent');
    const { era, report } = opened.value;
    if (era !== this.state.era) throw new NetworkError('NotFound', `era ${era} takes no reports`);
    return { signer: opened.publicKey, hash: report };
  }

  /** Durable when it resolves. @param announced what `mayReport` gave, where it was asked */
  async report(said: unknown, announced?: string): Promise<void> {
    const statement = parseMessage(signedSchema, said);
    // A report is long: what is certainly none is refused before anything is computed over it.
    const monitor = this.#activeMonitor(statement);
    const hash = textHash(statement);
    if (announced !== undefined && hash !== announced) {
      throw new NetworkError('Refused', 'the report is not the one that was announced');
    }
    if (this.#taken.get(monitor) === hash) return;
    const { value } = openStatement(statement, 'report', reportSchema);
    this.#eras.checkAsked(monitor, value);
    checkCompact(statement);
    await this.#journal.commit(() => {
      this.#eras.checkTakesReports();
      return { kind: 'report', statement };
    });
  }

  /** Shards that a provider said it holds, by its last heartbeat. */
  heldShards(id: ProviderId): number | undefined {
    return this.#members.heartbeat(id)?.shards;
  }

  /** What a reader found out about a provider: wrong bytes count against it. */
  noteOutcome(id: ProviderId, outcome: CallOutcome): void {
    this.#members.noteOutcome(id, outcome);
  }

  overview(): ReturnType<NetworkOperator['overview']> {
    return this.#desk.overview();
  }

  providers(): ReturnType<NetworkOperator['providers']> {
    return this.#desk.providers();
  }

  provider(id: ProviderId): ReturnType<NetworkOperator['provider']> {
    return this.#desk.provider(id);
  }

  commandProvider(...command: Parameters<NetworkOperator['commandProvider']>): Promise<void> {
    return this.#desk.commandProvider(...command);
  }

  monitors(): ReturnType<NetworkOperator['monitors']> {
    return this.#desk.monitors();
  }

  commandMonitor(...command: Parameters<NetworkOperator['commandMonitor']>): Promise<void> {
    return this.#desk.commandMonitor(...command);
  }

  tokens(...all: Parameters<NetworkOperator['tokens']>): ReturnType<NetworkOperator['tokens']> {
    return this.#desk.tokens(...all);
  }

  createToken(...token: Parameters<NetworkOperator['createToken']>): Promise<string> {
    return this.#desk.createToken(...token);
  }

  removeToken(id: string): Promise<boolean> {
    return this.#desk.removeToken(id);
  }

  durability(): ReturnType<NetworkOperator['durability']> {
    return this.#desk.durability();
  }

  async #open(): Promise<void> {
    const { identity, folder, catalog, clock, parameters, addresses, random, durability } = this.#options;
    const { shardsAt, isEmptied } = this.#options;
    await this.#history.load(folder);
    const chain = await GatewayChain.open(folder);
    const note = await catalog.getNote(HEAD_NOTE);
    const journal = await Journal.open({
      folder,
      clock,
      genesis: {
        kind: 'genesis',
        version: 1,
        gateway: identity.id,
        parameters,
        beacon: randomBytes(32).toString('hex'),
        beaconTip: chain.tip,
      },
      known: note === undefined ? undefined : (JSON.parse(note) as LogHead),
      onRecord: (...change) => this.#onRecord(...change),
      onWarning: (message) => this.#emit({ kind: 'warning', message }),
    });
    this.#journal = journal;
    const members = this.#members;
    const admission = new Admission({ gateway: identity.id, journal, members, catalog, clock, addresses });
    this.#admission = admission;
    const eras = new Eras({
      identity,
      folder,
      catalog,
      journal,
      members,
      chain,
      clock,
      random,
      shardsAt,
      isEmptied,
      clockOffset: (record, until) => admission.clockOffset(record, until),
      onClosed: () => this.#onClosed(),
      onEvent: (event) => this.#emit(event),
    });
    this.#eras = eras;
    this.#desk = new OperatorDesk({
      journal,
      admission,
      members,
      eras,
      history: this.#history,
      catalog,
      clock,
      ledgerRoot: () => this.#accounting?.root,
      shardsAt,
      durability,
    });
    await eras.resume();
    await this.#accounting?.begin(journal.state);
    await this.#attempt('the provider registry could not follow', () => members.follow(journal.state));
    this.#isLive = true;
    await journal.commit((state) =>
      isDeepStrictEqual(state.nextParameters ?? state.parameters, parameters)
        ? undefined
        : { kind: 'parameters', parameters },
    );
  }

  /** The record is durable and applied: nothing here can undo it, so that what fails is told and not thrown. */
  async #onRecord(record: LogRecord, before: NetworkState, after: NetworkState): Promise<void> {
    if (record.kind === 'era-opened') this.#taken.clear();
    if (record.kind === 'report')
      this.#taken.set(partyId(record.statement.signer), textHash(record.statement));
    if (record.kind === 'era-closed') this.#history.add(record.outcome);
    await this.#attempt('an era could not be accounted', async () =>
      this.#accounting?.settle(record, before, after),
    );
    if (!this.#isLive) return;
    if (before.providers !== after.providers) {
      await this.#attempt('the provider registry could not follow', () => this.#members.follow(after));
    }
    for (const event of changesBetween(before, after)) this.#emit(event);
    if (record.kind === 'era-closed') {
      this.#emit({ kind: 'era-closed', era: record.era, outcome: record.outcome });
    }
    this.#eras.noteParties();
  }

  async #onClosed(): Promise<void> {
    const { folder, catalog } = this.#options;
    await catalog.setNote(HEAD_NOTE, JSON.stringify(this.#journal.head));
    // An era that is not accounted has to be met again in the log.
    if (this.#accounting?.isWhole === false) return;
    await this.#history.save(folder);
    await this.#journal.snapshot();
  }

  /** @throws NetworkError */
  #activeMonitor({ signer }: Pick<Signed, 'signer'>): PartyId {
    const monitor = Object.values(this.#journal.state.monitors).find(({ publicKey }) => publicKey === signer);
    if (monitor === undefined) throw new NetworkError('NotFound', 'this HyperNode is not registered');
    if (monitor.state !== 'active') {
      throw new NetworkError('NotApproved', `this HyperNode is ${monitor.state}: ${monitor.reason}`);
    }
    return monitor.id;
  }

  async #attempt(message: string, work: () => Promise<void> | undefined): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#emit({ kind: 'warning', message, error: error as Error });
    }
  }

  #emit(event: NetworkEvent): void {
    this.#options.onEvent?.(event);
  }
}

function textHash({ body }: Signed): string {
  return Buffer.from(hasher.hash(Buffer.from(body))).toString('hex');
}
