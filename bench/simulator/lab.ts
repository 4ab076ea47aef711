/**
 * The oracle in virtual time: what monitors see is drawn at random, and what follows from it is the product's `scoreEra` and
 * `applyRecord`. Parties, signatures, Merkle paths and nonces are real; because the oracle remembers answers that it has verified, one
 * signed answer of each kind serves in every era, which all have the beacon of the first.
 */
import { createHasher, LEAF_BYTES } from '#erasure';
import { ORACLE_DEFAULTS, type Finding, type MonitorRecord, type OracleParameters } from '#placement';
import { challengeOf } from '../../placement/network/beacon.ts';
import { digestOf } from '../../placement/network/latencyDigest.ts';
import { signStatement } from '../../placement/network/signed.ts';
import { scoreEra } from '../../placement/oracle/score.ts';
import { applyRecord } from '../../placement/oracle/state.ts';
import type {
  EraOutcome,
  EraVerdict,
  LoggedAssignment,
  LogRecord,
  NetworkState,
} from '../../placement/oracle/types.ts';
import { seededIdentity } from './seededIdentity.ts';

const hasher = createHasher();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hashOf = (text: string): string => hex(hasher.hash(Buffer.from(text)));

type Audit = Finding['audits'][number];
export type Outcome = Audit['outcome'];
type Target = LoggedAssignment['tasks'][number]['targets'][number];
type Observed = NonNullable<NetworkState['observation']>['providers'][number];

/** What one monitor saw of one provider in an era. */
export interface Seen {
  /** Of PROBES. */
  readonly answered: number;
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
  /** One for each challenge. */
  readonly audits: readonly Outcome[];
  /** Bytes that the provider told it are free. */
  readonly free?: number;
}

export const PROBES = 12;
export const LAB_CAPACITY = 1e12;
/** Monitors of a committee, and what the product has each of them ask, so that 20 challenges an era are reached. */
export const MONITORS = 7;
export const CHALLENGES_EACH = Math.ceil(ORACLE_DEFAULTS.challenges / MONITORS);
const STARTED_AT = 1_700_000_000_000;
const LATE_MS = 5_000;

export const GOOD: Seen = {
  answered: PROBES,
  latencyMs: 40,
  bytesPerSecond: 50e6,
  audits: Array.from({ length: CHALLENGES_EACH }, () => 'ok' as const),
};

type Identity = ReturnType<typeof seededIdentity>;
export interface LabOptions {
  readonly providers: number;
  readonly monitors?: number;
  readonly parameters?: Partial<OracleParameters>;
}

export class OracleLab {
  state: NetworkState;
  readonly providers: readonly Identity[];
  readonly #monitors: readonly Identity[];
  readonly #shard = shard();
  readonly #assignments: readonly LoggedAssignment[];
  readonly #findings = new Map<string, Finding>();
  readonly #answers = new Map<string, Audit>();
  readonly #numbers: ReadonlyMap<string, number>;

  constructor({ providers, monitors = MONITORS, parameters }: LabOptions) {
    const gateway = seededIdentity('gateway');
    this.providers = Array.from({ length: providers }, (_, number) => seededIdentity(`provider ${number}`));
    this.#monitors = Array.from({ length: monitors }, (_, number) => seededIdentity(`monitor ${number}`));
    this.#numbers = new Map(this.providers.map(({ id }, number) => [id, number]));
    // Vetting is no part of what is measured: it ends with its audits.
    const vetting = { ...ORACLE_DEFAULTS.vetting, days: 0 };
    this.state = applyRecord(undefined, {
      at: STARTED_AT,
      kind: 'genesis',
      version: 1,
      gateway: gateway.id,
      parameters: { ...ORACLE_DEFAULTS, vetting, ...parameters },
      beacon: hashOf('beacon'),
      beaconTip: hashOf('gateway'),
    });
    this.providers.forEach((provider, number) => this.#registerProvider(provider, number, gateway.id));
    this.#monitors.forEach((monitor, number) => this.#registerMonitor(monitor, number, gateway.id));
    this.state = { ...this.state, era: 0 };
    const targets = Array.from({ length: CHALLENGES_EACH }, () => this.#shard.target);
    const tasks = this.providers.map(({ id }) => ({ provider: id, targets }));
    this.#assignments = this.#monitors.map(({ id }) => ({ monitor: id, hash: hashOf(id), tasks }));
  }

  /**
   * One era. @param look what monitor m saw of provider p; undefined: it does not report of it
   * @param observe what the gateway itself saw
   * @returns verdicts in the order of the providers
   */
  era(
    look: (provider: number, monitor: number) => Seen | undefined,
    observe?: (provider: number) => Partial<Observed>,
  ): EraVerdict[] {
    const openedAt = this.state.closedAt ?? STARTED_AT;
    const closedAt = openedAt + this.state.parameters.eraMs;
    const reports = Object.fromEntries(
      this.#monitors.map(({ id }, monitor) => {
        const findings = this.providers.flatMap((_, provider) => {
          const seen = look(provider, monitor);
          return seen === undefined ? [] : [this.#finding(provider, monitor, seen)];
        });
        return [id, { monitor: id, connected: true, reveal: hashOf(id), findings }];
      }),
    );
    const observation = observe && {
      version: 1 as const,
      era: 0,
      providers: this.providers.map(({ id }, number) => ({ ...observed(id), ...observe(number) })),
    };
    const open = { era: 0, openedAt, promised: {}, reports, assignments: this.#assignments, observation };
    const state: NetworkState = { ...this.state, at: closedAt, open };
    const outcome = scoreEra(state, closedAt);
    this.#close(state, outcome);
    return this.#inOrder(outcome.providers);
  }

  /** A long good record, earned by the first provider alone and given to all. @param eras after which its reputation is full */
  warmUp(eras: number): void {
    for (let era = 0; era < eras; era++) {
      this.era((provider) => (provider === 0 ? GOOD : undefined));
    }
    const model = this.state.providers[this.providers[0]!.id]!;
    const providers = Object.fromEntries(
      Object.values(this.state.providers).map((record) => {
        const { id, publicKey, description } = record;
        return [id, { ...model, id, publicKey, description, last: undefined }];
      }),
    );
    this.state = { ...this.state, providers };
  }

  monitor(number: number): MonitorRecord {
    return this.state.monitors[this.#monitors[number]!.id]!;
  }

  #close(state: NetworkState, outcome: EraOutcome): void {
    this.state = applyRecord(state, { at: state.at, kind: 'era-closed', era: 0, outcome });
  }

  #inOrder(verdicts: readonly EraVerdict[]): EraVerdict[] {
    const ordered: EraVerdict[] = [];
    for (const verdict of verdicts) ordered[this.#numbers.get(verdict.provider)!] = verdict;
    return ordered;
  }

  #finding(provider: number, monitor: number, seen: Seen): Finding {
    const { answered, latencyMs, bytesPerSecond, audits, free } = seen;
    const key = [provider, monitor, answered, latencyMs, bytesPerSecond, free, ...audits].join(' ');
    let finding = this.#findings.get(key);
    if (finding === undefined) {
      finding = {
        provider: this.providers[provider]!.id,
        probes: PROBES,
        answered,
        ...(answered > 0 && { rttMinMs: 4 }),
        latency: answered > 0 ? digestOf([latencyMs * 0.7, latencyMs, latencyMs]) : [],
        throughput: answered > 0 ? [bytesPerSecond] : [],
        ...(free !== undefined && { space: { capacity: LAB_CAPACITY, free } }),
        audits: audits.map((outcome, at) => this.#audit(provider, monitor, at, outcome)),
      };
      this.#findings.set(key, finding);
    }
    return finding;
  }

  #audit(provider: number, monitor: number, at: number, outcome: Outcome): Audit {
    const key = [provider, monitor, at, outcome].join(' ');
    let audit = this.#answers.get(key);
    if (audit === undefined) {
      const evidence = this.#evidence(this.providers[provider]!, this.#monitors[monitor]!.id, at, outcome);
      const elapsedMs = outcome === 'late' || outcome === 'silent' ? LATE_MS : 15;
      audit = { target: at, outcome, elapsedMs, ...(evidence === undefined ? {} : { evidence }) };
      this.#answers.set(key, audit);
    }
    return audit;
  }

  /** What the provider signs; nothing where it does not answer. */
  #evidence(provider: Identity, monitor: string, at: number, outcome: Outcome): Audit['evidence'] {
    if (outcome === 'silent' || outcome === 'unreachable') return undefined;
    const { target, leafHash, path } = this.#shard;
    const nonce = challengeOf(this.state.beacon, 0, provider.id, monitor, at);
    const { chunk, index, leaf } = target;
    const place = { provider: provider.id, chunk, index, leaf, nonce };
    if (outcome === 'missing') return signStatement(provider, 'denial', { ...place, reason: 'NotFound' });
    const shown = outcome === 'wrong' ? hashOf('other bytes') : leafHash;
    return signStatement(provider, 'proof', { ...place, leafHash: shown, path });
  }

  #record(record: LogRecord): void {
    this.state = applyRecord(this.state, record);
  }

  #registerProvider(provider: Identity, number: number, gateway: string): void {
    const statement = signStatement(provider, 'register-provider', {
      version: 1,
      gateway,
      at: STARTED_AT,
      description: {
        endpoint: `http://127.0.0.1:${1024 + number}`,
        region: 'r',
        site: 's',
        operator: 'o',
        networkPrefix: '203.0.113.0/24',
        storageClass: 'ssd',
        capacity: LAB_CAPACITY,
      },
    });
    this.#record({ at: STARTED_AT, kind: 'provider-registered', statement, approved: true });
  }

  #registerMonitor(monitor: Identity, number: number, gateway: string): void {
    const statement = signStatement(monitor, 'register-hypernode', {
      version: 1,
      gateway,
      at: STARTED_AT,
      operator: `watch${number}`,
      networkPrefix: `198.51.${number}.0/24`,
      beaconTip: hashOf(`monitor ${number}`),
    });
    this.#record({ at: STARTED_AT, kind: 'hypernode-registered', statement, approved: true });
  }
}

/** The one shard that all challenges are about. */
function shard(): { readonly target: Target; readonly leafHash: string; readonly path: string } {
  const tree = hasher.tree();
  tree.update(Buffer.alloc(LEAF_BYTES + 1_000, 7));
  const { root, leaves, length } = tree.finish();
  return {
    target: { chunk: hashOf('chunk').slice(0, 32), index: 0, root: hex(root), length, leaf: 0 },
    leafHash: hex(leaves.subarray(0, 32)),
    path: Buffer.from(hasher.proof(leaves, 0, 1)).toString('base64url'),
  };
}

function observed(provider: string): Observed {
  const counts = { writes: 100, refusedWithSpace: 0, reads: 100, wrongReads: 0 };
  return { provider, shards: 1, storedBytes: 0, ...counts, egressBytes: 0, repairEgressBytes: 0 };
}
