import type { Durability, NetworkOperator, NetworkOverview } from '#placement';

/** What operators can ask of a running gateway; the composition root supplies it. */

export interface JobProgress {
  readonly job: string;
  /** Items done, and their total where it is known. */
  readonly done: number;
  readonly total: number | undefined;
  readonly bytes: number;
}

/** A job's outcome: `ok` decides the exit code; the rest is printed. */
export interface JobReport {
  readonly ok: boolean;
  readonly summary: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type Job = (
  options: Readonly<Record<string, unknown>>,
  onProgress: (progress: JobProgress) => void,
  signal: AbortSignal,
) => Promise<JobReport>;

interface ProviderStatus {
  readonly id: string;
  readonly endpoint: string;
  readonly state: string;
  /** It answered when it was last asked. */
  readonly reachable: boolean;
  readonly writable: boolean;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  /** S for placement; absent where no oracle measures it. */
  readonly score?: number;
}

/** Without a place: a gateway of an earlier version. */
interface ProcessStatus {
  readonly host?: string;
  readonly pid?: number;
  /** Data folder of its gateway. */
  readonly data?: string;
  /** It does what one does for all: scrub, repair, reclaim, the network. */
  readonly background: boolean;
  /** It is the one that answers. */
  readonly self: boolean;
}

/** Of deletions. */
export interface AwaitingReclaim {
  readonly bodies: number;
  readonly chunks: number;
  readonly countedMax: number;
}

export interface GatewayStatus {
  readonly version: string;
  readonly endpoint: string;
  readonly uptimeSeconds: number;
  readonly region: string;
  readonly profile: string;
  readonly metadata: string;
  /** Whether the metadata store keeps what it acknowledged, and why it may not. */
  readonly metadataDurability: {
    readonly state: 'strong' | 'weak';
    readonly reasons: readonly string[];
    readonly reachable: boolean;
  };
  /** This and the next three: absent while the metadata store is away. */
  readonly buckets?: number;
  readonly chunksAwaitingRepair?: number;
  /** Deleted and overwritten bodies whose space is not free yet, and chunks that may go; each counted up to `countedMax`. */
  readonly awaitingReclaim?: AwaitingReclaim;
  /** Of all gateways over the store, workers included; absent where one process has it to itself. */
  readonly processes?: readonly ProcessStatus[];
  readonly providers: readonly ProviderStatus[];
  /** Shards of a chunk that may be lost without harm, with the providers usable now. */
  readonly writeQuorum: number;
  readonly writable: boolean;
  /** Of the last survey of all chunks; absent before the first. */
  readonly durability?: {
    readonly whole: Durability;
    readonly byBucket: Readonly<Record<string, Durability>>;
    readonly ageMs: number;
  };
  /** Of providers and HyperNodes; absent while the network listener is off. */
  readonly network?: NetworkOverview;
}

/** An access key without its secret. */
export interface KeyInfo {
  readonly accessKey: string;
  readonly displayName: string;
  /** ms since the epoch */
  readonly created: number | undefined;
  readonly enabled: boolean;
  readonly root: boolean;
}

export interface KeyManager {
  list(): readonly KeyInfo[];
  /** The only time the secret is shown. */
  create(displayName: string): Promise<{ readonly accessKey: string; readonly secretKey: string }>;
  /** Both: false when there is no such key. */
  remove(accessKey: string): Promise<boolean>;
  setEnabled(accessKey: string, enabled: boolean): Promise<boolean>;
}

export interface Operator {
  readonly keys: KeyManager;
  /** Undefined while the network listener is off. */
  network(): NetworkOperator | undefined;
  status(): Promise<GatewayStatus>;
  /** False while starting and while draining. */
  ready(): boolean;
  readonly jobs: Readonly<Record<string, Job>>;
}

/** Where the admin listener of a running gateway is; kept in the data folder with mode 0600. */
export interface AdminAddress {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
}
