/**
 * Readers of other processes. Who reclaims has seen some garbage, and asks for a new epoch. Every process notes when it has seen the epoch's
 * number, and reports to have passed it once no read from before is looking for its version any more; bodies that such reads still hold it
 * lists. A read that begins later cannot find what was garbage before. So what was garbage then, and is on nobody's list, nobody reads.
 */
import type { Clock } from '#placement';
import type { Check, KeyValueStore } from '../metadata/types.ts';
import { EPOCH_KEY } from './keys.ts';
import { epochCodec, HOME } from './memberRecords.ts';
import type { MemberRecord } from './memberRecords.ts';
import type { Hex } from './model.ts';
import { Pins } from './pins.ts';

/** Bodies that a process lists at most: beyond it, it passes an epoch once enough of its readers are done. */
const LISTED_MAX = 1_000;
/** Between two looks at who has passed, and longest wait: what was not passed then stays garbage until the next pass. */
const LOOK_MS = 100;
const WAIT_MS = 30_000;

async function currentEpoch(kv: KeyValueStore): Promise<number> {
  const value = await kv.get(HOME, EPOCH_KEY);
  return value ? epochCodec.decode(value) : 0;
}

interface Mark {
  readonly epoch: number;
  /** Reads up to this one began before the epoch was noted. */
  readonly serial: number;
}

/** What this process says of its readers. */
export class ReadEpochs {
  readonly #kv: KeyValueStore;
  readonly #pins: Pins;
  #noted: number | undefined;
  #passing: Mark | undefined;
  #passed: Mark = { epoch: 0, serial: 0 };

  constructor(kv: KeyValueStore, pins: Pins) {
    this.#kv = kv;
    this.#pins = pins;
  }

  /** Notes the present epoch. Resolves to true when it is a new one, which will be passed in a moment, as a rule. @throws MetadataError */
  async note(): Promise<boolean> {
    const epoch = await currentEpoch(this.#kv);
    if (epoch === this.#noted) return false;
    this.#noted = epoch;
    void this.#quiesce(epoch);
    return true;
  }

  async #quiesce(epoch: number): Promise<void> {
    await this.#pins.quiesce();
    if (this.#noted === epoch) this.#passing = { epoch, serial: this.#pins.serial };
  }

  report(): Pick<MemberRecord, 'passed' | 'pins'> {
    if (this.#passing && this.#pins.heldUpTo(this.#passing.serial, LISTED_MAX + 1).length <= LISTED_MAX) {
      this.#passed = this.#passing;
      this.#passing = undefined;
    }
    const { epoch, serial } = this.#passed;
    return { passed: epoch, pins: this.#pins.heldUpTo(serial, LISTED_MAX) };
  }
}

export interface OtherReaders {
  readonly kv: KeyValueStore;
  readonly clock: Clock;
  /** Of the holder's fence. */
  readonly alive: () => Check;
  /** Reads everyone's beat. */
  readonly look: () => Promise<void>;
  readonly others: () => ReadonlyMap<Hex, MemberRecord>;
}

/** Readers of all processes, for the one that reclaims. Everything else goes to the pins of this process. */
export class AllPins extends Pins {
  /** Every page costs a round of beats. */
  override readonly garbageAtOnce = 4096;
  readonly #own: Pins;
  readonly #parts: OtherReaders;
  /** Bodies that others still hold; undefined: not known. */
  #listed: ReadonlySet<Hex> | undefined;
  #round: Promise<unknown> = Promise.resolve();
  #next: Promise<void> | undefined;
  #isOver = false;

  constructor(own: Pins, parts: OtherReaders) {
    super();
    this.#own = own;
    this.#parts = parts;
  }

  /** Waits for every reader that may have seen what the caller has seen as garbage, and has not pinned it yet. @throws MetadataError */
  override quiesce(): Promise<void> {
    // Those who come while an epoch is waited for share the next one.
    if (!this.#next) {
      this.#next = this.#round.then(() => {
        this.#next = undefined;
        return this.#pass();
      });
      this.#round = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  /** This process ends: others are waited for no more, and what they may still read stays for the next holder. */
  giveUp(): void {
    this.#isOver = true;
  }

  override has(body: Hex): boolean {
    return !this.#listed || this.#listed.has(body) || this.#own.has(body);
  }

  async #pass(): Promise<void> {
    const epoch = await this.#raise();
    await this.#own.quiesce();
    const { clock, look, others } = this.#parts;
    for (let waited = 0; waited < WAIT_MS && !this.#isOver; waited += LOOK_MS) {
      await look();
      const members = [...others().values()];
      if (members.every(({ passed }) => passed >= epoch)) {
        this.#listed = new Set(members.flatMap(({ pins }) => pins));
        return;
      }
      await clock.sleep(LOOK_MS);
    }
    this.#listed = undefined;
  }

  override resolving<T>(work: () => Promise<T>): Promise<T> {
    return this.#own.resolving(work);
  }

  override pin(body: Hex): () => void {
    return this.#own.pin(body);
  }

  async #raise(): Promise<number> {
    const { kv, alive } = this.#parts;
    for (;;) {
      const value = await kv.get(HOME, EPOCH_KEY);
      const epoch = (value ? epochCodec.decode(value) : 0) + 1;
      const raised = await kv.commit(HOME, {
        checks: [alive(), { key: EPOCH_KEY, value: value ?? null }],
        puts: [[EPOCH_KEY, epochCodec.encode(epoch)]],
      });
      if (raised) return epoch;
      if ((await currentEpoch(kv)) < epoch) throw new Error('This process was declared dead');
    }
  }
}
