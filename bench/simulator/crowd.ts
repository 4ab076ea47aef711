/**
 * A network of thousands in virtual time, with all that an era's close rests on: real identities, challenges, Merkle paths, signatures,
 * assignments and reports, in the form and number in which the product makes them. Most parties do well; some are down, slow or silent.
 */
import { createHasher, LEAF_BYTES } from '#erasure';
import { ORACLE_DEFAULTS, seededRandom, type Finding, type Random } from '#placement';
import { challengeOf } from '../../placement/network/beacon.ts';
import type { Identity } from '../../placement/network/identity.ts';
import { digestOf } from '../../placement/network/latencyDigest.ts';
import type { Report } from '../../placement/network/messages.ts';
import { signStatement, type Signed } from '../../placement/network/signed.ts';
import { applyRecord, beaconAfter } from '../../placement/oracle/state.ts';
import type { LoggedAssignment, LogRecord, NetworkState } from '../../placement/oracle/types.ts';
import { seededIdentity } from './seededIdentity.ts';

type Audit = Finding['audits'][number];
type Target = LoggedAssignment['tasks'][number]['targets'][number];
type EntryOf<Each> = Each extends LogRecord ? Omit<Each, 'at'> : never;
type Entry = EntryOf<LogRecord>;

const hasher = createHasher();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hashOf = (text: string): string => hex(hasher.hash(Buffer.from(text)));

export const CROWD_STARTED_AT = 1_700_000_000_000;
const CAPACITY = 100e12;
/** What a HyperNode makes unless told. */
const PROBES = 10;
/** A shard of a full chunk of 10+6. */
const SHARD_BYTES = Math.ceil((64 * 2 ** 20) / 10);
const ERAS_MAX = 8;
/** Shares of the providers. */
const DOWN = 0.005;
const FLAPPING = 0.01;
const SILENT = 0.01;
const LATE = 0.01;

/** What a provider does throughout. */
interface Conduct {
  readonly identity: Identity;
  /** Share of probes and challenges that reach it. */
  readonly up: number;
  readonly silent: number;
  readonly late: number;
  readonly latencyMs: number;
  readonly bytesPerSecond: number;
}

interface Watcher {
  readonly identity: Identity;
  /** Values of its hash chain, in the order in which they are revealed. */
  readonly reveals: readonly string[];
}

interface CrowdSize {
  readonly providers: number;
  readonly monitors: number;
  /** Targets of a monitor at a provider, canaries counted. */
  readonly targets: number;
}

export class Crowd {
  readonly #gateway = watcher('gateway');
  readonly #providers: readonly Conduct[];
  readonly #monitors: readonly Watcher[];
  readonly #random: Random;
  readonly #targets: number;
  readonly #shard = shard();
  readonly #genesis: LogRecord;

  constructor({ providers, monitors, targets }: CrowdSize, seed: number) {
    this.#random = seededRandom(seed);
    this.#targets = targets;
    this.#providers = Array.from({ length: providers }, (_, number) => this.#conduct(number));
    this.#monitors = Array.from({ length: monitors }, (_, number) => watcher(`monitor ${number}`));
    this.#genesis = {
      at: CROWD_STARTED_AT,
      kind: 'genesis',
      version: 1,
      gateway: this.#gateway.identity.id,
      parameters: ORACLE_DEFAULTS,
      beacon: hashOf('beacon'),
      beaconTip: tipOf(this.#gateway),
    };
  }

  get genesis(): Extract<LogRecord, { kind: 'genesis' }> {
    return this.#genesis as Extract<LogRecord, { kind: 'genesis' }>;
  }

  /** All parties registered and vetted. */
  populated(): NetworkState {
    const first = this.#providers[0]!.identity;
    let state = applyRecord(undefined, this.#genesis);
    for (const [number, monitor] of this.#monitors.entries())
      state = applyRecord(state, this.#joins(monitor, number));
    state = applyRecord(state, this.#registers(first));
    // One after the other, each would copy those before it.
    const model = {
      ...state.providers[first.id]!,
      state: 'active',
      vetted: true,
      alpha: 900,
      audits: 2000,
    } as const;
    const providers = Object.fromEntries(
      this.#providers.map(({ identity: { id, publicKey } }, number) => {
        const description = { ...model.description, endpoint: `http://127.0.0.1:${1024 + number}` };
        return [id, { ...model, id, publicKey, description }];
      }),
    );
    return { ...state, providers };
  }

  /** What every monitor is asked, and the record that opens the era after this state. */
  opening(state: NetworkState): {
    readonly opened: Entry;
    readonly assignments: readonly LoggedAssignment[];
  } {
    const era = state.era + 1;
    const reveal = this.#gateway.reveals[era]!;
    const assignments = this.#monitors.map(({ identity }, monitor): LoggedAssignment => {
      const tasks = this.#providers.map((provider) => ({
        provider: provider.identity.id,
        targets: Array.from({ length: this.#targets }, () => this.#target()),
      }));
      return { monitor: identity.id, hash: hashOf(`assignment ${era} ${monitor}`), tasks };
    });
    const promised = assignments.map(({ monitor, hash }) => ({ monitor, hash }));
    const opened: Entry = {
      kind: 'era-opened',
      era,
      beacon: beaconAfter(state, reveal),
      reveal,
      assignments: promised,
    };
    return { opened, assignments };
  }

  /** What a monitor says of the open era. */
  report(state: NetworkState, number: number, { hash, tasks }: LoggedAssignment, at: number): Signed {
    const { identity, reveals } = this.#monitors[number]!;
    const report: Report = {
      version: 1,
      gateway: state.gateway,
      at,
      era: state.era,
      assignment: hash,
      connectivity: { checked: 5, reached: 5 },
      reveal: reveals[state.era]!,
      findings: tasks.map(({ targets }, provider) =>
        this.#finding(state, identity.id, this.#providers[provider]!, targets),
      ),
    };
    return signStatement(identity, 'report', report);
  }

  observation(era: number): Signed {
    const providers = this.#providers.map(({ identity: { id } }) => ({
      provider: id,
      shards: 1_000_000,
      storedBytes: CAPACITY / 2,
      space: { capacity: CAPACITY, free: CAPACITY / 2 },
      writes: 1_000,
      refusedWithSpace: 0,
      reads: 5_000,
      wrongReads: 0,
      egressBytes: 30e9,
      repairEgressBytes: 1e9,
    }));
    return signStatement(this.#gateway.identity, 'observation', { version: 1, era, providers });
  }

  #conduct(number: number): Conduct {
    const kind = this.#random.fraction();
    const within = (from: number, share: number): boolean => kind >= from && kind < from + share;
    return {
      identity: seededIdentity(`provider ${number}`),
      up: within(0, DOWN) ? 0 : within(DOWN, FLAPPING) ? 0.8 : 1,
      silent: within(DOWN + FLAPPING, SILENT) ? 0.2 : 0,
      late: within(DOWN + FLAPPING + SILENT, LATE) ? 0.5 : 0,
      latencyMs: 5 + 60 * this.#random.fraction() ** 2,
      bytesPerSecond: 8e6 + 90e6 * this.#random.fraction(),
    };
  }

  #chance(share: number): boolean {
    return share > 0 && this.#random.fraction() < share;
  }

  #target(): Target {
    const { root, length, leaves } = this.#shard;
    const leaf = Math.floor(this.#random.fraction() * leaves);
    const name = Math.floor(this.#random.fraction() * 2 ** 48).toString(16);
    const target = { chunk: name.padStart(32, '0'), index: 3, root, length, leaf };
    return this.#chance(ORACLE_DEFAULTS.canaryShare) ? { ...target, canary: 'missing' } : target;
  }

  #finding(state: NetworkState, monitor: string, conduct: Conduct, targets: readonly Target[]): Finding {
    const { identity, up, latencyMs, bytesPerSecond } = conduct;
    const isThere = up > 0;
    const times = Array.from(
      { length: targets.length + 1 },
      () => latencyMs * (0.8 + 0.5 * this.#random.fraction()),
    );
    return {
      provider: identity.id,
      probes: PROBES,
      answered: Array.from({ length: PROBES }, () => this.#chance(up)).filter(Boolean).length,
      ...(isThere && { rttMinMs: 4 }),
      latency: isThere ? digestOf(times) : [],
      throughput: isThere ? [bytesPerSecond * (0.8 + 0.4 * this.#random.fraction())] : [],
      ...(isThere && { space: { capacity: CAPACITY, free: CAPACITY / 2 } }),
      audits: targets.map((target, number) => this.#audit(state, monitor, conduct, target, number)),
    };
  }

  #audit(
    { beacon, era }: NetworkState,
    monitor: string,
    { identity, up, silent, late, latencyMs }: Conduct,
    { chunk, index, leaf, canary }: Target,
    number: number,
  ): Audit {
    if (!this.#chance(up)) return { target: number, outcome: 'unreachable', elapsedMs: 0 };
    if (this.#chance(silent)) return { target: number, outcome: 'silent', elapsedMs: 5_000 };
    const nonce = challengeOf(beacon, era, identity.id, monitor, number);
    const place = { provider: identity.id, chunk, index, leaf, nonce };
    if (canary) {
      const evidence = signStatement(identity, 'denial', { ...place, reason: 'NotFound' });
      return { target: number, outcome: 'missing', elapsedMs: latencyMs, evidence };
    }
    const evidence = signStatement(identity, 'proof', { ...place, ...this.#shard.show(leaf) });
    const isLate = this.#chance(late);
    return { target: number, outcome: isLate ? 'late' : 'ok', elapsedMs: isLate ? 900 : latencyMs, evidence };
  }

  #registers(provider: Identity): LogRecord {
    const statement = signStatement(provider, 'register-provider', {
      version: 1,
      gateway: this.#gateway.identity.id,
      at: CROWD_STARTED_AT,
      description: {
        endpoint: 'http://127.0.0.1:1024',
        region: 'r',
        site: 's',
        operator: 'o',
        networkPrefix: '203.0.113.0/24',
        storageClass: 'ssd',
        capacity: CAPACITY,
      },
    });
    return { at: CROWD_STARTED_AT, kind: 'provider-registered', statement, approved: true };
  }

  /** Three of an operator. */
  #joins(monitor: Watcher, number: number): LogRecord {
    const statement = signStatement(monitor.identity, 'register-hypernode', {
      version: 1,
      gateway: this.#gateway.identity.id,
      at: CROWD_STARTED_AT,
      operator: `watch${Math.floor(number / 3)}`,
      networkPrefix: `198.51.${number}.0/24`,
      beaconTip: tipOf(monitor),
    });
    return { at: CROWD_STARTED_AT, kind: 'hypernode-registered', statement, approved: true };
  }
}

function watcher(name: string): Watcher {
  const reveals = [hashOf(`${name} chain`)];
  for (let era = 0; era < ERAS_MAX; era++) reveals.unshift(hex(hasher.hash(Buffer.from(reveals[0]!, 'hex'))));
  return { identity: seededIdentity(name), reveals };
}

function tipOf({ reveals }: Watcher): string {
  return hex(hasher.hash(Buffer.from(reveals[0]!, 'hex')));
}

/** The one shard that all challenges are about, by many names. */
function shard(): {
  readonly root: string;
  readonly length: number;
  readonly leaves: number;
  readonly show: (leaf: number) => { readonly leafHash: string; readonly path: string };
} {
  const tree = hasher.tree();
  tree.update(Buffer.alloc(SHARD_BYTES, 7));
  const { root, leaves, length } = tree.finish();
  const shown = Array.from({ length: Math.ceil(length / LEAF_BYTES) }, (_, leaf) => ({
    leafHash: hex(leaves.subarray(32 * leaf, 32 * (leaf + 1))),
    path: Buffer.from(hasher.proof(leaves, leaf, 1)).toString('base64url'),
  }));
  return { root: hex(root), length, leaves: shown.length, show: (leaf) => shown[leaf]! };
}
