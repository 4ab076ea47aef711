import { join } from 'node:path';
import { openEventLog } from '../oracle/log.ts';
import { applyRecord } from '../oracle/state.ts';
import type { EventLog, LogHead, LogRecord, NetworkState } from '../oracle/types.ts';
import type { Clock } from '../types.ts';
import { NetworkError } from './errors.ts';
import { Serial } from './serial.ts';
import { readSnapshot, writeSnapshot, type Snapshot } from './snapshot.ts';

/** A record without its time, which the journal sets. */
type Entry = LogRecord extends infer Each ? (Each extends LogRecord ? Omit<Each, 'at'> : never) : never;

type MakeEntry = (state: NetworkState, at: number) => Entry | undefined | Promise<Entry | undefined>;

/** Called for every record of the fold, and with every new one: what it was applied to, and what came out. */
export type RecordListener = (
  record: LogRecord,
  before: NetworkState,
  after: NetworkState,
) => Promise<void> | void;

/**
 * The log and its fold. One change at a time: a record is tried on the state, made durable, applied, and acted on; one that cannot follow
 * never reaches the log.
 */
export class Journal {
  readonly #log: EventLog;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #onRecord: RecordListener;
  #state: NetworkState;
  readonly #serial = new Serial();
  #broken: Error | undefined;
  /** The clock's time at the last commit. */
  #lastNow: number;

  private constructor(parts: {
    log: EventLog;
    folder: string;
    clock: Clock;
    onRecord: RecordListener;
    state: NetworkState;
  }) {
    this.#log = parts.log;
    this.#folder = parts.folder;
    this.#clock = parts.clock;
    this.#onRecord = parts.onRecord;
    this.#state = parts.state;
    this.#lastNow = parts.clock.now();
  }

  /**
   * @param known a head that was kept elsewhere: the log must hold it
   * @throws NetworkError 'Tampered'
   */
  static async open(options: {
    folder: string;
    clock: Clock;
    genesis: Omit<Extract<LogRecord, { kind: 'genesis' }>, 'at'>;
    known: LogHead | undefined;
    onRecord: RecordListener;
    onWarning: (message: string) => void;
  }): Promise<Journal> {
    const { folder, clock, genesis, onRecord } = options;
    const log = await openEventLog(join(folder, 'log'));
    try {
      const state = (await fold(log, options)) ?? (await begin(log, clock, genesis));
      if (state.gateway !== genesis.gateway) {
        throw new NetworkError('Tampered', `the log in ${folder} is of another gateway`);
      }
      return new Journal({ log, folder, clock, onRecord, state });
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  get state(): NetworkState {
    return this.#state;
  }

  get head(): LogHead {
    return this.#log.head();
  }

  /**
   * @param make the record that follows the state; undefined: nothing to do any more. Also given the time that the record will have. Where it takes
   * its time, other changes wait for it.
   * @returns the state after it
   * @throws NetworkError as the record is refused, or 'Unavailable' when the log could not be written
   */
  async commit(make: MakeEntry): Promise<NetworkState> {
    return await this.#serial.run(() => this.#commit(make));
  }

  /** Makes the next start quick. */
  async snapshot(): Promise<void> {
    await this.#serial.run(async () => {
      if (this.#broken) return;
      await writeSnapshot(this.#folder, { head: this.#log.head(), state: this.#state });
    });
  }

  async close(): Promise<void> {
    await this.#serial.idle();
    await this.#log.close();
  }

  async #commit(make: MakeEntry): Promise<NetworkState> {
    if (this.#broken) {
      throw new NetworkError(
        'Unavailable',
        'the event log could not be written; the gateway has to be started anew',
        {
          cause: this.#broken,
        },
      );
    }
    const before = this.#state;
    const at = this.#timeAfter(before.at);
    const entry = await make(before, at);
    if (entry === undefined) return before;
    const record = { at, ...entry } as LogRecord;
    const after = applyRecord(before, record);
    try {
      await this.#log.append(record);
    } catch (error) {
      // Whether it became durable is not known: nothing may follow until the log has been read again.
      this.#broken = error as Error;
      throw new NetworkError('Unavailable', 'the event log could not be written', { cause: error });
    }
    this.#state = after;
    await this.#onRecord(record, before, after);
    return after;
  }

  /** Never decreases. While a clock that was set back is behind the log, the log's time goes on as fast as the clock's. */
  #timeAfter(last: number): number {
    const now = this.#clock.now();
    const passed = Math.max(0, now - this.#lastNow);
    this.#lastNow = now;
    return Math.max(now, last + (now < last ? passed : 0));
  }
}

async function begin(log: EventLog, clock: Clock, genesis: Entry): Promise<NetworkState> {
  const record = { at: clock.now(), ...genesis } as LogRecord;
  const state = applyRecord(undefined, record);
  await log.append(record);
  return state;
}

interface FoldOptions {
  readonly folder: string;
  readonly known: LogHead | undefined;
  readonly onRecord: RecordListener;
  readonly onWarning: (message: string) => void;
}

/** Undefined for an empty log. A snapshot that the log does not bear out is left aside. */
async function fold(log: EventLog, options: FoldOptions): Promise<NetworkState | undefined> {
  const snapshot = await readSnapshot(options.folder);
  if (snapshot !== undefined) {
    if (await follows(log, snapshot.head)) return await foldFrom(log, snapshot, options);
    options.onWarning('the snapshot of the network does not match its log, which is read from the start');
  }
  return await foldFrom(log, undefined, options);
}

async function foldFrom(
  log: EventLog,
  snapshot: Snapshot | undefined,
  { known, onRecord }: FoldOptions,
): Promise<NetworkState | undefined> {
  let state = snapshot?.state;
  let isKnown =
    known === undefined || isOf(known, snapshot?.head) || known.sequence < (snapshot?.head.sequence ?? 0);
  for await (const { sequence, hash, record } of log.read(snapshot?.head)) {
    isKnown ||= isOf({ sequence, hash }, known);
    const before = state;
    state = applyRecord(before, record);
    if (before) await onRecord(record, before, state);
  }
  if (isKnown) return state;
  throw new NetworkError(
    'Tampered',
    'the event log of the network lacks records that it had: restore it from its backup',
  );
}

function isOf(head: LogHead, other: LogHead | undefined): boolean {
  return head.sequence === other?.sequence && head.hash === other.hash;
}

/** Does the log go on from there? */
async function follows(log: EventLog, head: LogHead): Promise<boolean> {
  try {
    for await (const _record of log.read(head)) break;
    return true;
  } catch {
    return false;
  }
}
