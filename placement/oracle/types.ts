/**
 * Seams of the oracle. Everything that a score rests on is a record in one append-only, hash-chained log; the state of the network is a pure
 * fold over it (`applyRecord`), live and in a replay, and what an era's close decides is a pure function of that state (`scoreEra`).
 */
import type { ProviderId, ProviderState } from '../types.ts';
import type {
  Finding,
  Location,
  Observation,
  ProviderDescription,
  StorageClass,
} from '../network/messages.ts';
import type { Signed } from '../network/signed.ts';
import type { PartyId } from '../network/identity.ts';

/** All that can be set; part of the log's first record, so that a replay needs nothing else. Every default is one of providers-and-sla.md. */
export interface OracleParameters {
  /** Which rules decide an era: those of RULES (parameters.ts), or earlier ones for the eras of an older log. Absent: the first. */
  readonly rules?: number;
  /** Milliseconds of an era: 3 600 000. */
  readonly eraMs: number;
  /** Challenges per provider and era, of all monitors together: 20. */
  readonly challenges: number;
  /** Share of challenges that are canaries: 0.1; at least one per monitor and era. */
  readonly canaryShare: number;
  readonly vetting: { readonly audits: number; readonly days: number };
  /** Independent groups of monitors without which nothing is decided: 7. More than half of them must agree that a provider is down. */
  readonly groupsMin: number;
  /** Most weight of one group: 1/7. */
  readonly groupWeightMax: number;
  /** By storage class, beyond the round trip. */
  readonly serviceMs: Readonly<Record<StorageClass, number>>;
  /** Targets of the score by storage class: p99 latency in ms, p5 throughput in bytes per second. */
  readonly targets: Readonly<
    Record<StorageClass, { readonly p99Ms: number; readonly bytesPerSecond: number }>
  >;
  /** Half-lives of the scores for placement (6 h) and for settlement (30 days), in ms. */
  readonly halfLifeMs: { readonly placement: number; readonly settlement: number };
  /** degraded below `below` for `after` eras; back above `above` for `back` eras. */
  readonly degraded: {
    readonly below: number;
    readonly after: number;
    readonly above: number;
    readonly back: number;
  };
  /** suspended when availability (EWMA, placement's half-life) is below `below`; back above `above` for `back` eras. */
  readonly suspended: { readonly below: number; readonly above: number; readonly back: number };
  /** Share of canaries a monitor must report right, over its last `window` of them: 0.9 of 20. */
  readonly canary: { readonly accuracyMin: number; readonly window: number };
}

/** The five parts of a score, each in [0, 1]; undefined: not measured yet, and left out of the product. */
export interface ScoreComponents {
  readonly availability: number | undefined;
  readonly integrity: number | undefined;
  readonly latency: number | undefined;
  readonly throughput: number | undefined;
  readonly capacity: number | undefined;
}

/** What an era's close says of one provider, with what it rests on. */
export interface EraVerdict {
  readonly provider: ProviderId;
  /** NO_DECISION: too few independent groups reported. */
  readonly decision: 'up' | 'down' | 'NO_DECISION';
  readonly components: ScoreComponents;
  /** S of this era alone; undefined without a decision. */
  readonly score: number | undefined;
  /** EWMA for placement and for settlement; undefined until measured once. */
  readonly placementScore: number | undefined;
  readonly settlementScore: number | undefined;
  readonly state: ProviderState;
  /** Why the state is what it is, or why it changed. */
  readonly reason: string;
  readonly audits: {
    readonly passed: number;
    readonly late: number;
    readonly wrong: number;
    readonly missing: number;
    readonly silent: number;
  };
  /** Share of probes answered, by group. What an operator is shown; the monitors' names lead to the signed reports in the log. */
  readonly groups: readonly {
    readonly group: string;
    readonly monitors: readonly PartyId[];
    readonly weight: number;
    readonly answered: number | undefined;
    readonly p99Ms: number | undefined;
    readonly dropped: string | undefined;
  }[];
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Monitors whose round trips refute the claimed location. */
  readonly locationRefutedBy: readonly PartyId[];
  /** What the state takes over. */
  readonly reputation: Reputation;
}

export interface MonitorVerdict {
  readonly monitor: PartyId;
  readonly reported: boolean;
  readonly connected: boolean;
  /** Of its last canaries. */
  readonly canaryAccuracy: number | undefined;
  /** Correlated Agreement of this era: P(match on the shared task) − P(match on unrelated tasks). */
  readonly agreement: number | undefined;
  /** Share of the audits given to it that its report bears out (see honesty.ts); undefined: none were given, or it did not report. */
  readonly work?: number | undefined;
  readonly state: MonitorState;
  readonly reason: string;
  /** What the state takes over: its last canaries and agreements, newest last. */
  readonly canaries: readonly boolean[];
  readonly agreements: readonly number[];
}

type MonitorState = 'applied' | 'active' | 'removed';

export interface EraOutcome {
  readonly era: number;
  readonly beacon: string;
  /** In order of id. */
  readonly providers: readonly EraVerdict[];
  readonly monitors: readonly MonitorVerdict[];
}

/** What a monitor was asked, with what only the gateway knew: logged when the era closes, promised by its hash when it opens. */
export interface LoggedAssignment {
  readonly monitor: PartyId;
  /** BLAKE3 of the body of the Signed 'assignment'. */
  readonly hash: string;
  readonly tasks: readonly {
    readonly provider: ProviderId;
    readonly targets: readonly {
      readonly chunk: string;
      readonly index: number;
      readonly root: string;
      readonly length: number;
      readonly leaf: number;
      /** Outcome that an honest monitor must report: 'missing'. Undefined: a real shard. */
      readonly canary?: 'missing';
      /** The gateway itself had this shard deleted or moved away while the era was open: the answer says nothing of the provider. */
      readonly removed?: true;
    }[];
  }[];
}

/** One record of the log. `at`: ms since the epoch, never decreasing. */
export type LogRecord = { readonly at: number } & (
  | {
      readonly kind: 'genesis';
      readonly version: 1;
      readonly gateway: string;
      readonly parameters: OracleParameters;
      readonly beacon: string;
      readonly beaconTip: string;
    }
  /** Parameters an operator changed: they hold from the next era on. */
  | { readonly kind: 'parameters'; readonly parameters: OracleParameters }
  /** statement: Signed 'register-provider' */
  | { readonly kind: 'provider-registered'; readonly statement: Signed; readonly approved: boolean }
  /** statement: Signed 'heartbeat' with a new endpoint */
  | { readonly kind: 'provider-moved'; readonly statement: Signed }
  | {
      readonly kind: 'provider-command';
      readonly provider: ProviderId;
      readonly command: ProviderCommand;
    }
  /** statement: Signed 'register-hypernode' */
  | { readonly kind: 'hypernode-registered'; readonly statement: Signed; readonly approved: boolean }
  | { readonly kind: 'hypernode-command'; readonly monitor: PartyId; readonly command: 'approve' | 'remove' }
  /** assignments: the promised hashes. reveal: of the gateway's own chain, for the beacon that this era has. */
  | {
      readonly kind: 'era-opened';
      readonly era: number;
      readonly beacon: string;
      readonly reveal: string;
      readonly assignments: readonly { readonly monitor: PartyId; readonly hash: string }[];
    }
  /** statement: Signed 'report' */
  | { readonly kind: 'report'; readonly statement: Signed }
  | {
      readonly kind: 'assignments';
      readonly era: number;
      readonly assignments: readonly LoggedAssignment[];
      /**
       * What the order of the samples was drawn with, beside the beacon: BLAKE3('shardway sampling ' ‖ the gateway's next reveal, or a preimage
       * of it). Absent in older logs.
       */
      readonly sampling?: string;
    }
  /** statement: Signed 'observation' by the gateway */
  | { readonly kind: 'observation'; readonly statement: Signed }
  | { readonly kind: 'era-closed'; readonly era: number; readonly outcome: EraOutcome }
);

/** approve: applied → vetting. drain/exit: → exiting; 'gone' once empty. readmit: suspended, disqualified or gone → vetting, reputation anew. */
export type ProviderCommand = 'approve' | 'drain' | 'exit' | 'readmit' | 'gone';

/** What an era's close adds to, and the next one goes on from. Counts begin anew when a provider is readmitted. */
export interface Reputation {
  /** Beta reputation of possession, fading with every audit: α, β of signed evidence, and audits passed in all. */
  readonly alpha: number;
  readonly beta: number;
  readonly audits: number;
  /** Conclusive failures in all: a signed answer that is wrong, or a signed denial. */
  readonly failures: number;
  /** EWMA of the share of challenges answered in time, by the committee's median: monitors' word, without proof. */
  readonly timely: number;
  /** By monitor, fading: challenges made while the provider was there, and those it left unanswered. */
  readonly silence: Silence;
  /** EWMA of availability. */
  readonly availability: number | undefined;
  /** Consecutive eras below the degraded bound, above its way back, and above the suspended one's. */
  readonly erasBelow: number;
  readonly erasAbove: number;
  readonly erasAvailable: number;
  /** Consecutive eras in which possession was not shown in time. */
  readonly erasLate: number;
  /** Vetting is over: where a suspended provider goes back to. */
  readonly vetted: boolean;
}

export type Silence = Readonly<Record<PartyId, { readonly asked: number; readonly silent: number }>>;

/** What is known of one registered provider. */
export interface ProviderRecord extends Reputation {
  readonly id: ProviderId;
  readonly publicKey: string;
  readonly description: ProviderDescription;
  readonly registeredAt: number;
  /** 'applied' until an operator or a token has approved it. */
  readonly state: ProviderState | 'applied';
  readonly stateSince: number;
  readonly reason: string;
  readonly placementScore: number | undefined;
  readonly settlementScore: number | undefined;
  readonly last: EraVerdict | undefined;
  /** `at` of its last logged statement: an older one is a replay. */
  readonly statedAt: number;
  /** When it was admitted or readmitted: the days of vetting count from here. */
  readonly vettingSince: number;
}

export interface MonitorRecord {
  readonly id: PartyId;
  readonly publicKey: string;
  readonly operator: string;
  readonly networkPrefix: string;
  readonly asn: number | undefined;
  readonly location: Location | undefined;
  readonly registeredAt: number;
  /** Since when its operator, prefix and ASN count: they were stated, and approved. Undefined: since it registered. */
  readonly marksSince?: number;
  readonly state: MonitorState;
  readonly reason: string;
  /** `at` of its last logged statement: an older one is a replay. */
  readonly statedAt: number;
  /** End of its hash chain, and the last value of it that was revealed, or that end. */
  readonly beaconTip: string;
  readonly beaconValue: string;
  /** Its last canaries, newest last: right or not. A report of an audit that its evidence does not bear out counts as one that is not. */
  readonly canaries: readonly boolean[];
  /** Correlated agreement of its last eras, newest last. */
  readonly agreements: readonly number[];
  readonly last: MonitorVerdict | undefined;
}

/** What monitors of one party have in common. */
type MonitorMarks = Pick<MonitorRecord, 'operator' | 'networkPrefix' | 'asn' | 'marksSince'>;

/** The fold of the log. Plain data: it can be saved as JSON. */
export interface NetworkState {
  /** Party id. */
  readonly gateway: string;
  /** `at` of the last record. */
  readonly at: number;
  readonly parameters: OracleParameters;
  /** Set while an era is open, for the eras after it. */
  readonly nextParameters: OracleParameters | undefined;
  readonly providers: Readonly<Record<ProviderId, ProviderRecord>>;
  readonly monitors: Readonly<Record<PartyId, MonitorRecord>>;
  /** Last value of the gateway's chain that was revealed, or the tip. */
  readonly beaconValue: string;
  readonly beacon: string;
  /** Last era opened; −1 before the first. */
  readonly era: number;
  /** Of the era that is open; undefined between a close and the next opening. */
  readonly open:
    | {
        readonly era: number;
        readonly openedAt: number;
        readonly promised: Readonly<Record<PartyId, string>>;
        /** Verified: signature, shape, monitor, era, assignment, reveal; one a monitor. */
        readonly reports: Readonly<Record<PartyId, VerifiedReport>>;
        readonly assignments: readonly LoggedAssignment[] | undefined;
        readonly observation: Observation | undefined;
      }
    | undefined;
  /** Reveals of the last closed era, for the next beacon. */
  readonly reveals: readonly string[];
  /** Of the last closed era. */
  readonly observation: Observation | undefined;
  /** When the last era closed; undefined before. */
  readonly closedAt: number | undefined;
}

export interface VerifiedReport {
  readonly monitor: PartyId;
  /** Its own connectivity check passed: at least half of what it tried answered. Otherwise its findings do not count. */
  readonly connected: boolean;
  readonly reveal: string;
  /** By which it is grouped: those of its monitor when it came, whatever the monitor states later. */
  readonly marks?: MonitorMarks;
  readonly findings: readonly Finding[];
}

/** One record as it lies in the log. */
export interface LoggedRecord {
  /** From 1. */
  readonly sequence: number;
  /** BLAKE3 over the previous hash, the sequence and the record's text: 64 hex digits. */
  readonly hash: string;
  readonly record: LogRecord;
}

/** End of a log: its last acknowledged record. Sequence 0 and a hash of zeroes: none. */
export interface LogHead {
  readonly sequence: number;
  readonly hash: string;
}

export interface EventLog {
  /**
   * Resolves when the record is durable; records lie in the order of the calls.
   * @throws NetworkError 'Unavailable' when it could not be written: the log then takes no more, and has to be opened again
   */
  append(record: LogRecord): Promise<LogHead>;
  /**
   * The records acknowledged so far, verified one by one; from the first, or those after a head that the caller trusts.
   * @throws NetworkError 'Tampered' naming the record
   */
  read(after?: LogHead): AsyncIterable<LoggedRecord>;
  head(): LogHead;
  close(): Promise<void>;
}

/** What a replay found. */
export interface ReplayReport {
  readonly records: number;
  /** Eras closed, and scores among their verdicts that were computed again. */
  readonly eras: number;
  readonly scores: number;
  readonly agree: boolean;
  readonly firstDisagreement: { readonly sequence: number; readonly what: string } | undefined;
  /** The record at which the log is not what was written. */
  readonly tamperedAt: number | undefined;
  readonly head: LogHead;
  /** After the last record that could be followed. */
  readonly state: NetworkState | undefined;
}
