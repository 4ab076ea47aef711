/** Several engines over one store in one process. Their time moves by hand; their beats come by themselves unless they are stopped. */
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { customerKeyEncryption } from '../../../gateway/engine/keyring.ts';
import { openObjectStore } from '../../../gateway/engine/store.ts';
import type { Engine } from '../../../gateway/engine/store.ts';
import type { Peers, PeersOptions } from '../../../gateway/engine/peers.ts';
import { openMemoryStore } from '../../../gateway/metadata/memory.ts';
import type { Commit, KeyValueStore } from '../../../gateway/metadata/types.ts';
import { MemoryChunkStore } from '../../support/memoryChunkStore.ts';
import { SMALL } from './harness.ts';

const masterKey = randomBytes(32);

export interface Process {
  readonly engine: Engine;
  readonly peers: Peers;
  /** What its commits pass through: they wait while it stands still. */
  readonly gate: Gate;
  readonly errors: unknown[];
}

/** Holds calls back while it is shut: how a process that stands still looks to its store. */
class Gate {
  #open = Promise.withResolvers<void>();
  #isShut = false;
  constructor() {
    this.#open.resolve();
  }
  shut(): void {
    this.#isShut = true;
    this.#open = Promise.withResolvers();
  }
  open(): void {
    this.#isShut = false;
    this.#open.resolve();
  }
  get isShut(): boolean {
    return this.#isShut;
  }
  async pass(): Promise<void> {
    await this.#open.promise;
  }
}

/** What a test does to everybody's calls; whatever it throws the caller gets. */
export interface Hooks {
  beforeAll?: () => Promise<void>;
  afterGet?: (key: Uint8Array) => Promise<void>;
  beforeCommit?: (commit: Commit) => Promise<void>;
}

function hooked(kv: KeyValueStore, gate: Gate, hooks: Hooks): KeyValueStore {
  const begin = async (): Promise<void> => {
    await gate.pass();
    await hooks.beforeAll?.();
  };
  return {
    partitions: kv.partitions,
    async get(partition, key) {
      await begin();
      const value = await kv.get(partition, key);
      await hooks.afterGet?.(key);
      return value;
    },
    async scan(...all) {
      await begin();
      return await kv.scan(...all);
    },
    async commit(partition, commit) {
      await begin();
      await hooks.beforeCommit?.(commit);
      return await kv.commit(partition, commit);
    },
    close: () => kv.close(),
  };
}

export class Cluster {
  readonly kv: KeyValueStore;
  readonly chunks = new MemoryChunkStore();
  readonly processes: Process[] = [];
  readonly hooks: Hooks = {};
  /** Milliseconds of everybody's monotonic clock. */
  now = 0;

  constructor(partitions = 1) {
    this.kv = openMemoryStore({ partitions });
  }

  async start(options: Partial<PeersOptions> = {}): Promise<Process> {
    const gate = new Gate();
    const errors: unknown[] = [];
    const engine = await openObjectStore({
      kv: hooked(this.kv, gate, this.hooks),
      chunks: this.chunks,
      keyring: customerKeyEncryption(masterKey),
      clock: {
        now: () => Date.parse('2026-01-01') + this.now,
        sleep: async (_ms, signal) => {
          signal?.throwIfAborted();
          await setImmediate();
          signal?.throwIfAborted();
        },
      },
      random: { fraction: () => 0.5 },
      region: 'us-east-1',
      profile: { data: 2, parity: 1 },
      options: SMALL,
      peers: {
        group: 'g',
        exclusive: false,
        activity: () => ({ uploading: [], quietAt: [] }),
        onError: (error) => errors.push(error),
        monotonic: () => this.now,
        pause: async (_ms, signal) => {
          await gate.pass();
          if (!signal.aborted) await setImmediate();
        },
        ...options,
      },
    });
    const one: Process = { engine, peers: engine.peers!, gate, errors };
    this.processes.push(one);
    return one;
  }

  /** Lets time pass, with a beat a second of everybody who does not stand still. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.now += 1_000;
      await this.beats();
    }
  }

  /** Everybody who does not stand still has beaten, and looked, since. */
  async beats(): Promise<void> {
    await Promise.all(
      this.processes
        .filter(({ gate }) => !gate.isShut)
        .map(({ peers }) => peers.beat().catch(() => undefined)),
    );
  }

  /** Gives every loop many turns. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await setImmediate();
  }

  async stop(): Promise<void> {
    for (const { gate, engine } of this.processes.toReversed()) {
      gate.open();
      await engine.close();
    }
  }
}
