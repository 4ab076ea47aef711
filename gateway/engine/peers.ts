/** One process among several over a store: its beats, the lease, and what it knows of the others. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ChunkId, Clock, ProviderId } from '#placement';
import type { KeyValueStore } from '../metadata/types.ts';
import { AllPins, ReadEpochs } from './epochs.ts';
import { Lease } from './lease.ts';
import { BEAT_MS, Members } from './members.ts';
import type { Saying } from './members.ts';
import type { Activity, MemberRecord, Place } from './memberRecords.ts';
import type { Pins } from './pins.ts';
import { counterOfId, partitionOfId, sessionOfId } from './session.ts';
import type { Session } from './session.ts';

/** A new epoch is passed at a beat of its own: who reclaims waits for it. */
const SOON_MS = 20;
/** Chunks remembered, of which another process is yet to say whether it still writes them. */
const ASKED_MAX = 10_000;

export interface PeersOptions {
  /** Names the processes under one parent. */
  readonly group: string;
  /** The store belongs to this group alone. */
  readonly exclusive: boolean;
  /** What this process does at the providers now. */
  readonly activity: () => Activity;
  /** Where this process is, for operators. */
  readonly place?: Place;
  /** A beat or a job that failed; it is tried again. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds that only grow; the machine's by default. */
  readonly monotonic?: () => number;
  /** Waits for the next beat; the machine's timers by default. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** One of the processes over a store, as operators see it. */
export interface StoreProcess {
  readonly place: Place | undefined;
  /** It is the one that was asked. */
  readonly isSelf: boolean;
  /** It does the background work. */
  readonly isHolder: boolean;
}

export class Peers {
  readonly members: Members;
  readonly lease: Lease;
  /** Readers of all processes. */
  readonly pins: AllPins;
  readonly #options: PeersOptions;
  readonly #session: Session;
  readonly #epochs: ReadEpochs;
  readonly #stopping = new AbortController();
  readonly #asked = new Map<ChunkId, { readonly looks: number; beat: number | undefined }>();
  #loop: Promise<void> = Promise.resolve();

  private constructor(
    parts: { kv: KeyValueStore; session: Session; pins: Pins; clock: Clock },
    options: PeersOptions,
  ) {
    const { kv, session, pins, clock } = parts;
    const { group, exclusive, onError, monotonic = () => performance.now() } = options;
    this.#options = options;
    this.#session = session;
    this.members = new Members({ kv, session: session.id, group, exclusive, monotonic });
    this.lease = new Lease({
      kv,
      session: session.id,
      isLive: (one) => this.members.isLive(one),
      isFresh: () => this.members.isFresh(),
      onError,
    });
    this.#epochs = new ReadEpochs(kv, pins);
    this.pins = new AllPins(pins, {
      kv,
      clock,
      alive: () => session.alive(),
      look: () => this.members.look(),
      others: () => this.members.others(),
    });
  }

  /** Makes the process known to the others, and takes the lease if it is free. @throws MetadataError */
  static async join(
    parts: { kv: KeyValueStore; session: Session; pins: Pins; clock: Clock },
    options: PeersOptions,
  ): Promise<Peers> {
    const peers = new Peers(parts, options);
    const { members, lease } = peers;
    await peers.#epochs.note();
    await parts.pins.quiesce();
    await members.join(peers.#saying());
    await parts.session.enterAll();
    // Twice: of a former holder without a record it is certain only then that there is none.
    await lease.attend();
    await members.look();
    await lease.attend();
    void members.lost.then(() => {
      parts.session.lose();
      return lease.lose();
    });
    peers.#loop = peers.#run();
    return peers;
  }

  /** Whether another process may still bring or take a shard of a chunk that it has written. */
  isUploading(chunk: ChunkId): boolean {
    const session = sessionOfId(chunk);
    if (session === this.#session.id) return false;
    const record = this.members.others().get(session);
    if (!record) {
      this.#asked.delete(chunk);
      // It may have joined since the last look.
      return this.members.isLive(session);
    }
    if (counterOfId(chunk) < (record.settledBelow[partitionOfId(chunk)] ?? 0))
      return listsUpload(record, chunk);
    const asked = this.#asked.get(chunk);
    if (!asked) {
      if (this.#asked.size >= ASKED_MAX) this.#asked.clear();
      this.#asked.set(chunk, { looks: this.members.looks, beat: undefined });
      return true;
    }
    if (this.members.hasLookedSince(asked.looks)) asked.beat ??= record.beat;
    // One beat may have been under way when the chunk was first asked about: the one after it knows of the chunk.
    if (asked.beat === undefined || record.beat < asked.beat + 2) return true;
    return listsUpload(record, chunk);
  }

  /** The same of a chunk that was garbage before the present epoch, and so was recorded before the beats that passed it. */
  listsUpload(chunk: ChunkId): boolean {
    const record = this.members.others().get(sessionOfId(chunk));
    return record !== undefined && listsUpload(record, chunk);
  }

  /** Other processes that may have a put to a leaving provider under way. */
  openPuts(provider: ProviderId): number {
    const others = [...this.members.others().values()];
    return others.filter(({ quietAt }) => !quietAt.includes(provider)).length;
  }

  /** This process and all others, as they were at the last look. @throws MetadataError */
  async processes(): Promise<StoreProcess[]> {
    const holder = await this.lease.holder();
    const self = this.#session.id;
    const all = new Map([[self, this.#options.place]]);
    for (const [session, { place }] of this.members.others()) all.set(session, place);
    return Array.from(all, ([session, place]) => ({
      place,
      isSelf: session === self,
      isHolder: session === holder,
    }));
  }

  /** One beat and all that belongs to it. Resolves to how long to wait for the next. @throws MetadataError */
  async beat(): Promise<number> {
    const { members, lease } = this;
    const isNew = await this.#epochs.note();
    await members.beat(this.#saying());
    await members.look();
    await lease.attend();
    return isNew ? SOON_MS : BEAT_MS;
  }

  /** After this process has begun nothing new, and everything of it has ended. @throws MetadataError */
  async leave(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await this.lease.release();
    await this.#session.close();
    await this.members.leave();
  }

  #saying(): Saying {
    const settledBelow = this.#session.settledBelow();
    const { activity, place } = this.#options;
    return { ...activity(), ...this.#epochs.report(), settledBelow, ...(place && { place }) };
  }

  async #run(): Promise<void> {
    const { pause = sleep, onError } = this.#options;
    const { signal } = this.#stopping;
    for (let wait = BEAT_MS; ;) {
      await pause(wait, signal);
      if (signal.aborted) return;
      wait = await this.beat().catch((error: unknown) => {
        onError(error);
        return BEAT_MS;
      });
    }
  }
}

function listsUpload({ uploading }: MemberRecord, chunk: ChunkId): boolean {
  return uploading?.includes(chunk) ?? true;
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
