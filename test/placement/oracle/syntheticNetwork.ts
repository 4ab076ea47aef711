/** A network in virtual time: real identities, shards, proofs and signatures; its parties do what they are told to. */
import { createHasher, LEAF_BYTES } from '#erasure';
import { challengeOf } from '../../../placement/network/beacon.ts';
import { createIdentity, type Identity } from '../../../placement/network/identity.ts';
import { digestOf } from '../../../placement/network/latencyDigest.ts';
import type { Audit, Finding, Location, Report } from '../../../placement/network/messages.ts';
import { signStatement } from '../../../placement/network/signed.ts';
import { scoreEra } from '../../../placement/oracle/score.ts';
import { applyRecord, beaconAfter } from '../../../placement/oracle/state.ts';
import { ORACLE_DEFAULTS } from '../../../placement/oracle/parameters.ts';
import type {
  EraVerdict,
  LoggedAssignment,
  LogRecord,
  NetworkState,
  OracleParameters,
} from '../../../placement/oracle/types.ts';
import { seededRandom } from '../../../placement/time.ts';
import { sampleBytes } from '../shards.ts';

const hasher = createHasher();
export const HOUR = 3_600_000;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hashOf = (text: string): string => hex(hasher.hash(Buffer.from(text)));

type Target = LoggedAssignment['tasks'][number]['targets'][number];
type EntryOf<Each> = Each extends LogRecord ? Omit<Each, 'at'> : never;
export type Entry = EntryOf<LogRecord>;

/** A hash chain as the parties hold it, short. */
class Chain {
  readonly #values: Uint8Array[];
  #next = 2;
  constructor(seed: string) {
    this.#values = [hasher.hash(Buffer.from(seed))];
    for (let i = 0; i < 300; i++) this.#values.push(hasher.hash(this.#values.at(-1)!));
  }
  get tip(): string {
    return hex(this.#values.at(-1)!);
  }
  reveal(): string {
    return hex(this.#values.at(-this.#next++)!);
  }
}

interface Shard {
  readonly chunk: string;
  readonly index: number;
  readonly length: number;
  readonly root: string;
  readonly leaves: Uint8Array;
}

/** What a provider does; everything else is as it should be. */
export interface Conduct {
  /** Of these of its twenty shards: says it has none, signs other bytes. */
  readonly lost?: readonly number[];
  readonly wrong?: readonly number[];
  /** Proofs come after their time. */
  readonly late?: boolean;
  /** Gives no answer to challenges. */
  readonly silent?: boolean;
  /** Gives none to these monitors, by number. */
  readonly silentTo?: readonly number[];
  /** Shards that it has lost and says nothing about. */
  readonly hushed?: readonly number[];
  /** Share of the time in which it is there. */
  readonly up?: number;
  readonly latencyMs?: number;
  readonly bytesPerSecond?: number;
  /** Says that nothing is stored. */
  readonly claimsEmpty?: boolean;
  /** Holds this part of what the others hold, in bytes. */
  readonly part?: number;
  /** Its shards have left: nothing is stored there, and nothing but canaries is asked. */
  readonly empty?: boolean;
  readonly location?: Location;
  readonly rttMinMs?: number;
}

export interface Provider {
  readonly identity: Identity;
  readonly shards: readonly Shard[];
  conduct: Conduct;
}

/** What a monitor makes of what it saw, before it signs. */
export type Alter = (findings: Finding[], report: Report) => Finding[];

export interface Monitor {
  readonly identity: Identity;
  readonly chain: Chain;
  alter: Alter | undefined;
  connectivity: Report['connectivity'];
  /** Does not report. */
  quiet: boolean;
}

const SHARDS = 20;
const CAPACITY = 1_000_000_000_000;
/** Each byte stands for so many: what is claimed and what is stored are compared with some slack. */
const BYTES_EACH = 1_000_000;
/** Identities are made once: the same parties in every network of a run, so that runs can be compared. */
const identities: Identity[] = [];
function identity(number: number): Identity {
  while (identities.length <= number) identities.push(createIdentity());
  return identities[number]!;
}

function shardOf(provider: number, index: number): Shard {
  const bytes = sampleBytes(LEAF_BYTES + 1000 + index * 900, 1 + provider * SHARDS + index);
  const tree = hasher.tree();
  tree.update(bytes);
  const { root, leaves, length } = tree.finish();
  const chunk = hashOf(`chunk ${provider} ${index}`).slice(0, 32);
  return { chunk, index: index % 6, length, root: hex(root), leaves };
}

const shards = new Map<number, readonly Shard[]>();
function shardsOf(provider: number): readonly Shard[] {
  const made = shards.get(provider) ?? Array.from({ length: SHARDS }, (_, index) => shardOf(provider, index));
  shards.set(provider, made);
  return made;
}

export interface Setting {
  readonly providers: readonly Conduct[];
  readonly monitors: number;
  readonly parameters?: Partial<OracleParameters>;
  /** Real challenges of each monitor at each provider. */
  readonly challenges?: number;
  readonly locations?: readonly (Location | undefined)[];
}

export class SyntheticNetwork {
  readonly gateway = identity(0);
  readonly records: LogRecord[] = [];
  readonly providers: Provider[] = [];
  readonly monitors: Monitor[] = [];
  readonly #chain = new Chain('gateway');
  readonly #challenges: number;
  state: NetworkState;
  now = 1_700_000_000_000;
  #said = 0;

  constructor({ providers, monitors, parameters, challenges = 3, locations = [] }: Setting) {
    this.#challenges = challenges;
    const genesis: LogRecord = {
      at: this.now,
      kind: 'genesis',
      version: 1,
      gateway: this.gateway.id,
      parameters: { ...ORACLE_DEFAULTS, vetting: { audits: 100, days: 0.25 }, ...parameters },
      beacon: hashOf('first beacon'),
      beaconTip: this.#chain.tip,
    };
    this.records.push(genesis);
    this.state = applyRecord(undefined, genesis);
    providers.forEach((conduct, number) => this.#addProvider(number, conduct));
    for (let number = 0; number < monitors; number++)
      this.addMonitor(number, { location: locations[number] });
  }

  /** Appends a record at the present time, as the log would hold it: as JSON. */
  record(entry: Entry): NetworkState {
    const record = JSON.parse(JSON.stringify({ at: this.now, ...entry })) as LogRecord;
    this.state = applyRecord(this.state, record);
    this.records.push(record);
    return this.state;
  }

  /** `at` of a statement: later than all before. */
  said(): number {
    return this.now + this.#said++;
  }

  #addProvider(number: number, conduct: Conduct): void {
    const provider: Provider = {
      identity: identity(100 + number),
      shards: shardsOf(number),
      conduct,
    };
    this.providers.push(provider);
    this.register(provider, `http://127.0.0.1:${9000 + number}`, true);
  }

  register(provider: Provider, endpoint: string, approved: boolean, gateway = this.gateway.id): void {
    const { location } = provider.conduct;
    const statement = signStatement(provider.identity, 'register-provider', {
      version: 1,
      gateway,
      at: this.said(),
      description: {
        endpoint,
        region: 'eu',
        site: 'fra',
        operator: 'op',
        networkPrefix: '203.0.113.0/24',
        storageClass: 'ssd',
        capacity: CAPACITY,
        ...(location && { location }),
      },
    });
    this.record({ kind: 'provider-registered', statement, approved });
  }

  addMonitor(
    number: number,
    marks: { operator?: string; networkPrefix?: string; asn?: number; location?: Location | undefined } = {},
  ): Monitor {
    const monitor: Monitor = {
      identity: identity(200 + number),
      chain: new Chain(`monitor ${number}`),
      alter: undefined,
      connectivity: { checked: 5, reached: 5 },
      quiet: false,
    };
    const { location, ...others } = marks;
    const statement = signStatement(monitor.identity, 'register-hypernode', {
      version: 1,
      gateway: this.gateway.id,
      at: this.said(),
      operator: `watch${number}`,
      networkPrefix: `198.51.${number}.0/24`,
      ...others,
      ...(location && { location }),
      beaconTip: monitor.chain.tip,
    });
    this.record({ kind: 'hypernode-registered', statement, approved: true });
    this.monitors.push(monitor);
    return monitor;
  }

  open(): readonly LoggedAssignment[] {
    const era = this.state.era + 1;
    const reveal = this.#chain.reveal();
    const assignments = this.monitors
      .filter(({ identity }) => this.state.monitors[identity.id]?.state === 'active')
      .map((monitor) => this.#assign(era, monitor));
    this.record({
      kind: 'era-opened',
      era,
      beacon: beaconAfter(this.state, reveal),
      reveal,
      assignments: assignments.map(({ monitor, hash }) => ({ monitor, hash })),
    });
    return assignments;
  }

  /** An era from its opening to its close; `before` the close, more may happen. */
  era(before?: () => void): readonly EraVerdict[] {
    const assignments = this.open();
    this.now += HOUR - 10_000;
    for (const monitor of this.monitors) {
      const assignment = assignments.find((each) => each.monitor === monitor.identity.id);
      if (assignment && !monitor.quiet) this.report(monitor, this.reportOf(monitor, assignment));
    }
    before?.();
    return this.close(assignments);
  }

  close(assignments: readonly LoggedAssignment[]): readonly EraVerdict[] {
    const { era } = this.state;
    this.record({ kind: 'assignments', era, assignments });
    this.record({
      kind: 'observation',
      statement: signStatement(this.gateway, 'observation', {
        version: 1,
        era,
        providers: this.providers.map((provider) => this.#observe(provider)),
      }),
    });
    this.now += 10_000;
    const outcome = scoreEra(this.state, this.now);
    this.record({ kind: 'era-closed', era, outcome });
    return outcome.providers;
  }

  report(monitor: Monitor, report: Report): void {
    this.record({ kind: 'report', statement: signStatement(monitor.identity, 'report', report) });
  }

  reportOf(monitor: Monitor, assignment: LoggedAssignment): Report {
    const findings = assignment.tasks.map((task) => this.#look(monitor, task));
    const report: Report = {
      version: 1,
      gateway: this.gateway.id,
      at: this.said(),
      era: this.state.era,
      assignment: assignment.hash,
      connectivity: monitor.connectivity,
      reveal: monitor.chain.reveal(),
      findings,
    };
    return { ...report, findings: monitor.alter?.(findings, report) ?? findings };
  }

  verdictOf(number: number, verdicts: readonly EraVerdict[]): EraVerdict {
    return verdicts.find(({ provider }) => provider === this.providers[number]!.identity.id)!;
  }

  stateOf(number: number): NetworkState['providers'][string] {
    return this.state.providers[this.providers[number]!.identity.id]!;
  }

  monitorOf(number: number): NetworkState['monitors'][string] {
    return this.state.monitors[this.monitors[number]!.identity.id]!;
  }

  /** Targets follow from era, provider and monitor by number: the same in every run. */
  #assign(era: number, monitor: Monitor): LoggedAssignment {
    const number = this.monitors.indexOf(monitor);
    const tasks = this.providers.map(({ identity, shards, conduct }, provider) => {
      const random = seededRandom(era * 7919 + number * 104_729 + provider * 1_299_709);
      const targets: Target[] = Array.from({ length: conduct.empty ? 0 : this.#challenges }, () => {
        const shard = shards[Math.floor(random.fraction() * shards.length)]!;
        return targetOf(shard, Math.floor(random.fraction() * 2));
      });
      if ((era + number + provider) % 4 === 0) {
        targets.splice(Math.floor(random.fraction() * targets.length), 0, canary(era, number, provider));
      }
      return { provider: identity.id, targets };
    });
    return { monitor: monitor.identity.id, hash: hashOf(`assignment ${era} ${number}`), tasks };
  }

  #observe({ identity, shards, conduct }: Provider): object {
    const { part = 1 } = conduct;
    const bytes = Math.floor(part * BYTES_EACH * shards.reduce((sum, { length }) => sum + length, 0));
    const storedBytes = conduct.empty ? 0 : bytes;
    return {
      provider: identity.id,
      shards: shards.length,
      storedBytes,
      space: { capacity: CAPACITY, free: CAPACITY - (conduct.claimsEmpty ? 0 : storedBytes) },
      writes: 10,
      refusedWithSpace: 0,
      reads: 0,
      wrongReads: 0,
      egressBytes: 0,
      repairEgressBytes: 0,
    };
  }

  #look(monitor: Monitor, { provider: id, targets }: LoggedAssignment['tasks'][number]): Finding {
    const provider = this.providers.find(({ identity }) => identity.id === id)!;
    const { up = 1, latencyMs = 20, bytesPerSecond = 50_000_000, rttMinMs = 4 } = provider.conduct;
    const reached = (at: number): boolean => (at * 0.618_033_988_749) % 1 < up;
    const audits = targets.map((target, at): Audit => {
      if (!reached(at)) return { target: at, outcome: 'unreachable', elapsedMs: 0 };
      return this.#ask(monitor, provider, target, at);
    });
    return {
      provider: id,
      probes: 10,
      answered: Math.round(10 * up),
      ...(up > 0 && { rttMinMs }),
      latency: up > 0 ? digestOf([latencyMs * 0.8, latencyMs, latencyMs]) : [],
      throughput: up > 0 ? [bytesPerSecond] : [],
      audits,
    };
  }

  #ask(monitor: Monitor, provider: Provider, target: Target, at: number): Audit {
    const { beacon, era } = this.state;
    const { identity, conduct } = provider;
    const nonce = challengeOf(beacon, era, identity.id, monitor.identity.id, at);
    const place = {
      provider: identity.id,
      chunk: target.chunk,
      index: target.index,
      leaf: target.leaf,
      nonce,
    };
    const number = provider.shards.findIndex(({ chunk }) => chunk === target.chunk);
    const isSilent = conduct.silent || conduct.silentTo?.includes(this.monitors.indexOf(monitor));
    if (isSilent || conduct.hushed?.includes(number))
      return { target: at, outcome: 'silent', elapsedMs: 5000 };
    if (number === -1 || conduct.lost?.includes(number)) {
      const evidence = signStatement(identity, 'denial', { ...place, reason: 'NotFound' });
      return { target: at, outcome: 'missing', elapsedMs: 5, evidence };
    }
    const isWrong = conduct.wrong?.includes(number);
    const { leaves } = provider.shards[number]!;
    const evidence = signStatement(identity, 'proof', {
      ...place,
      leafHash: isWrong
        ? hashOf('other bytes')
        : hex(leaves.subarray(target.leaf * 32, (target.leaf + 1) * 32)),
      path: Buffer.from(hasher.proof(leaves, target.leaf, 1)).toString('base64url'),
    });
    if (isWrong) return { target: at, outcome: 'wrong', elapsedMs: 15, evidence };
    return {
      target: at,
      outcome: conduct.late ? 'late' : 'ok',
      elapsedMs: conduct.late ? 400 : 15,
      evidence,
    };
  }
}

function targetOf({ chunk, index, length, root }: Shard, leaf: number): Target {
  return { chunk, index, length, root, leaf };
}

function canary(era: number, monitor: number, provider: number): Target {
  const name = `canary ${era} ${monitor} ${provider}`;
  return {
    chunk: hashOf(name).slice(0, 32),
    index: 1,
    length: 20_000,
    root: hashOf(`${name} root`),
    leaf: 0,
    canary: 'missing',
  };
}
