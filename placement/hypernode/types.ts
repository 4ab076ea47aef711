/** What a HyperNode is started with, and what it shows of itself. */
import type { Location, Report, Standing } from '../network/messages.ts';
import type { NetworkError } from '../network/errors.ts';
import type { PartyId } from '../network/identity.ts';
import type { Clock, Random } from '../types.ts';

export interface HyperNodeOptions {
  /** Folder of its identity, its beacon seed, the gateway it belongs to and what it has revealed. */
  readonly data: string;
  /** Origin of the gateway's network listener. */
  readonly gateway: string;
  /** Join token; without one an operator has to approve. */
  readonly token?: string;
  /** Who runs it, and where: monitors that share any of these three count as one group. */
  readonly operator: string;
  readonly networkPrefix: string;
  readonly asn?: number;
  readonly location?: Location;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds that only ever grow: times every answer. The process's monotonic clock by default. */
  readonly stopwatch?: () => number;
  readonly limits?: Partial<HyperNodeLimits>;
  readonly onEvent?: (event: HyperNodeEvent) => void;
  /** Changes a report before it is signed: a dishonest monitor, for tests and demonstrations. */
  readonly alter?: (report: Report) => Report;
}

export interface HyperNodeLimits {
  /** Availability probes per provider and era. */
  readonly probes: number;
  /** Requests under way at once, of all providers together. */
  readonly requests: number;
  /** Most ms until a connection stands. */
  readonly connectMs: number;
  /** Most ms of a hello or a challenge, and of a run of leaves; in short eras less. */
  readonly answerMs: number;
  readonly readMs: number;
  /** Ms before a provider that could not be reached is asked again. */
  readonly retryMs: number;
  /** Providers asked in its own connectivity check, besides the gateway. */
  readonly connectivitySample: number;
  /** Most ms that an era's work is spread over; it never goes beyond nine tenths of the era. */
  readonly spreadMs: number;
  /** Ms between questions to a gateway that does not answer, has not approved it or has no era open. */
  readonly pollMs: number;
  /** Most bytes of a report's text. */
  readonly reportBytes: number;
}

export const HYPERNODE_LIMITS: HyperNodeLimits = {
  probes: 10,
  requests: 32,
  connectMs: 3000,
  answerMs: 5000,
  readMs: 30_000,
  retryMs: 1000,
  connectivitySample: 16,
  spreadMs: Infinity,
  pollMs: 5000,
  // The gateway takes 16 MiB with the envelope, in which quotes are escaped once more.
  reportBytes: 12 * 1024 * 1024,
};

/** What it does, for its log. `text` is for people. */
export interface HyperNodeEvent {
  readonly kind:
    | 'registered'
    | 'waiting'
    | 'era'
    | 'offline'
    | 'reported'
    /** A report that came too late, or that the gateway did not take. */
    | 'report-lost'
    /** The gateway, or who stands in its place, said what cannot be. */
    | 'gateway-refused'
    | 'gateway-away'
    | 'provider'
    | 'failed';
  readonly text: string;
  readonly era?: number;
  readonly provider?: string;
}

export interface RunningHyperNode {
  readonly id: PartyId;
  /** As the gateway last said; undefined until it has. */
  standing(): Standing | undefined;
  /**
   * Resolves when a gateway that has never taken the monitor in refuses it for good; it then waits to be stopped. Never resolves otherwise.
   */
  readonly refused: Promise<NetworkError>;
  /** Ends all work and connections. An era under way is not reported. */
  stop(): Promise<void>;
}
