/**
 * The processes that share a store. Each writes a beat every second. One whose beat has not changed for ten seconds, by the clock of whoever
 * looks, is declared dead: its record is marked, by compare-and-set, so that a beat in the last moment saves it; then its sessions' keys are
 * taken in every partition, after which no commit of it applies; last its record goes. So a process without a record is fenced off.
 */
import type { Bytes, KeyValueStore } from '../metadata/types.ts';
import { idAt, memberKey, KIND, ofKind, sessionKey } from './keys.ts';
import { HOME, memberCodec } from './memberRecords.ts';
import type { MemberRecord } from './memberRecords.ts';
import type { Hex } from './model.ts';
import { scanPages } from './scan.ts';

/** Between two beats. */
export const BEAT_MS = 1_000;
/** Silence after which a process is dead to whoever looks. */
const DEAD_AFTER_MS = 10_000;
/** A process this long without a beat that went through takes nothing on: others will soon declare it dead. */
const FRESH_MS = DEAD_AFTER_MS / 2;
/** Most silence that one look adds: while the looker itself was away, or the store was, nobody could be heard. */
const LOOK_MS_MAX = 2 * BEAT_MS;
/** Who has not been heard itself for so long counts nobody's silence: it may be the store that takes no commits. */
const HEARD_MS = 3 * BEAT_MS;
const PAGE = 256;
/** Sessions remembered that nobody knows. */
const STRANGERS_MAX = 10_000;

export interface MembersOptions {
  readonly kv: KeyValueStore;
  /** Of this process. */
  readonly session: Hex;
  readonly group: string;
  /** The store belongs to this group alone: members of another are dead for certain. */
  readonly exclusive: boolean;
  /** Milliseconds that only grow, from any beginning. */
  readonly monotonic: () => number;
}

/** What a process says with its beat, besides that it lives. */
export type Saying = Omit<MemberRecord, 'beat' | 'group' | 'dying'>;

interface Seen {
  readonly bytes: Bytes;
  readonly record: MemberRecord;
  readonly silentMs: number;
}

export class Members {
  readonly #options: MembersOptions;
  /** Own record as it was last known to be; undefined: to be read. */
  #own: Bytes | undefined;
  #beat = 0;
  #beatenAt = -Infinity;
  #lookedAt: number | undefined;
  /** Number of the look that began last, and of the one that ended last. */
  #begun = 0;
  #ended = 0;
  #looking: Promise<void> = Promise.resolve();
  #seen: ReadonlyMap<Hex, Seen> = new Map();
  /** Sessions asked about that had no record, with the look that had begun by then. */
  readonly #strangers = new Map<Hex, number>();
  readonly #exited = new Set<Hex>();
  readonly #lost = Promise.withResolvers<void>();
  #isLost = false;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Resolves when this process has been declared dead. */
  get lost(): Promise<void> {
    return this.#lost.promise;
  }

  /** Before anything else is written in the session's name. @throws MetadataError */
  async join(saying: Saying): Promise<void> {
    const { kv, session, monotonic } = this.#options;
    const at = monotonic();
    const value = this.#encode(saying);
    if (
      !(await kv.commit(HOME, {
        checks: [{ key: memberKey(session), value: null }],
        puts: [[memberKey(session), value]],
      }))
    )
      throw new Error(`the session ${session} exists already`);
    this.#own = value;
    this.#beatenAt = at;
    await this.look();
  }

  /** @throws MetadataError: nothing is lost yet */
  async beat(saying: Saying): Promise<void> {
    const { kv, session, monotonic } = this.#options;
    if (this.#isLost) return;
    const key = memberKey(session);
    const before = this.#own ?? (await kv.get(HOME, key));
    if (!before || memberCodec.decode(before).dying) return this.#lose();
    const at = monotonic();
    const value = this.#encode(saying);
    // Whatever comes of it, should it throw: the next beat reads it.
    this.#own = undefined;
    if (!(await kv.commit(HOME, { checks: [{ key, value: before }], puts: [[key, value]] })))
      return this.#lose();
    this.#own = value;
    this.#beatenAt = at;
  }

  /** Number of the look that began last, for `hasLookedSince`. */
  get looks(): number {
    return this.#begun;
  }

  /** Another look, begun after that number was asked for, has ended. */
  hasLookedSince(looks: number): boolean {
    return this.#ended > looks;
  }

  /** Reads everyone's beat, and buries the dead. Looks come one after another. @throws MetadataError */
  look(): Promise<void> {
    const look = this.#looking.then(() => this.#look());
    this.#looking = look.catch(() => undefined);
    return look;
  }

  async #look(): Promise<void> {
    const { kv, session, monotonic } = this.#options;
    const number = ++this.#begun;
    const at = monotonic();
    const isHeard = at - this.#beatenAt < HEARD_MS;
    const passedMs = isHeard ? Math.min(LOOK_MS_MAX, at - (this.#lookedAt ?? at)) : 0;
    const seen = new Map<Hex, Seen>();
    for await (const page of scanPages(kv, HOME, ofKind(KIND.member), PAGE)) {
      for (const [key, bytes] of page) {
        const member = idAt(key, 1, 8);
        if (member === session) continue;
        const before = this.#seen.get(member);
        const isSilent = before !== undefined && Buffer.compare(before.bytes, bytes) === 0;
        const silentMs = isSilent ? before.silentMs + passedMs : 0;
        seen.set(member, { bytes, record: memberCodec.decode(bytes), silentMs });
      }
    }
    this.#lookedAt = at;
    for (const member of this.#seen.keys()) if (!seen.has(member)) this.#forget(member);
    this.#seen = seen;
    this.#ended = number;
    for (const member of seen.keys()) this.#strangers.delete(member);
    for (const [member, one] of seen) if (this.#isDead(member, one)) await this.#bury(member, one);
  }

  /**
   * Whether commits of a session may still apply. Of one that is not known it is said only after another look at all records: its
   * record was there before anything else of it was.
   */
  isLive(session: Hex): boolean {
    if (session === this.#options.session || this.#seen.has(session)) return true;
    const asked = this.#strangers.get(session);
    if (asked !== undefined) return !this.hasLookedSince(asked);
    if (this.#strangers.size > STRANGERS_MAX) this.#strangers.clear();
    this.#strangers.set(session, this.#begun);
    return true;
  }

  /** Its last beat went through lately: nobody can have declared it dead. */
  isFresh(): boolean {
    return !this.#isLost && this.#options.monotonic() - this.#beatenAt < FRESH_MS;
  }

  /** All others, as they were at the last look. */
  others(): ReadonlyMap<Hex, MemberRecord> {
    return new Map(Array.from(this.#seen, ([member, { record }]) => [member, record]));
  }

  /** A process that is known to have ended: it is not waited for. */
  exited(session: Hex): void {
    this.#exited.add(session);
  }

  /** At a clean end, after the session's keys are gone. @throws MetadataError */
  async leave(): Promise<void> {
    const { kv, session } = this.#options;
    this.#isLost = true;
    await kv.commit(HOME, { deletes: [memberKey(session)] });
  }

  #encode(saying: Saying): Buffer {
    return memberCodec.encode({ ...saying, beat: ++this.#beat, group: this.#options.group, dying: false });
  }

  #lose(): void {
    this.#isLost = true;
    this.#lost.resolve();
  }

  #isDead(member: Hex, { record, silentMs }: Seen): boolean {
    const { group, exclusive } = this.#options;
    const isForeign = exclusive && record.group !== group;
    return record.dying || isForeign || this.#exited.has(member) || silentMs >= DEAD_AFTER_MS;
  }

  async #bury(member: Hex, { bytes, record }: Seen): Promise<void> {
    const { kv } = this.#options;
    const key = memberKey(member);
    const mark = record.dying ? bytes : memberCodec.encode({ ...record, dying: true });
    if (!record.dying) {
      const declared = await kv.commit(HOME, { checks: [{ key, value: bytes }], puts: [[key, mark]] });
      if (!declared) return;
    }
    await fenceOff(kv, member);
    await kv.commit(HOME, { checks: [{ key, value: mark }], deletes: [key] });
    const seen = new Map(this.#seen);
    seen.delete(member);
    this.#seen = seen;
    this.#forget(member);
  }

  /** Its record is gone for good: nothing more needs to be seen of it. */
  #forget(member: Hex): void {
    this.#exited.delete(member);
    this.#strangers.set(member, -1);
  }
}

/** Takes a session's life in every partition: from then on none of its commits that check it applies. */
async function fenceOff(kv: KeyValueStore, session: Hex): Promise<void> {
  const partitions = Array.from({ length: kv.partitions }, (_, partition) => partition);
  await Promise.all(partitions.map((partition) => kv.commit(partition, { deletes: [sessionKey(session)] })));
}
