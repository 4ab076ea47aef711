import { NetworkError } from '../network/errors.ts';
import { stateAfter } from './books.ts';
import { foldRecord, type LedgerBook } from './ledgerBook.ts';
import { openLedgerLog, type LedgerLog } from './ledgerLog.ts';
import { balancesRoot } from './merkle.ts';
import { textOf, type LedgerRecord } from './record.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import type { LedgerParameters, LedgerState, Settlement, SettlementBackend } from './types.ts';

/** How a new ledger begins; of one that is there, only other parameters count. */
export interface LedgerStart {
  readonly parameters: LedgerParameters;
  /** Milliseconds since the epoch: months of emission count from there. */
  readonly at: number;
  /** Era of the oracle's log that is the ledger's first: 0 unless told. */
  readonly firstEra?: number;
}

/** The ledger as hash-chained lines of JSON in a folder; one writer at a time. */
export class FileSettlement implements SettlementBackend {
  readonly #folder: string;
  readonly #log: LedgerLog;
  #book: LedgerBook;

  private constructor(folder: string, log: LedgerLog, book: LedgerBook) {
    this.#folder = folder;
    this.#log = log;
    this.#book = book;
  }

  /**
   * @param start begins a ledger where there is none; parameters other than the ledger's are recorded, and hold from the next era on
   * @throws NetworkError 'NotFound' when there is none and none is begun, 'Tampered' when it is not what was written
   */
  static async open(folder: string, start?: LedgerStart): Promise<FileSettlement> {
    const log = await openLedgerLog(folder);
    try {
      const found = await bookOf(folder, log);
      const first = found === undefined ? genesisOf(start, folder) : changed(start, found);
      if (first !== undefined) await log.append(first);
      const book = first === undefined ? found! : foldRecord(found, first);
      return new FileSettlement(folder, log, book);
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  get parameters(): LedgerParameters {
    return this.#book.parameters;
  }

  /** The first era of the oracle's log that the ledger accounts. */
  get firstEra(): number {
    return this.#book.firstEra;
  }

  /** After the last settled era. */
  get state(): LedgerState {
    return this.#book.state;
  }

  /** Hash of the last record: what the next settlement calls `previous`. */
  get head(): string {
    return this.#log.head().hash;
  }

  lastEra(): Promise<number> {
    return Promise.resolve(this.state.era);
  }

  /** @throws NetworkError 'Conflict' when it does not follow from the last, 'Unavailable' when it could not be written */
  async settle({ previous, ...settlement }: Settlement): Promise<void> {
    const record: LedgerRecord = { kind: 'era', ...settlement };
    if (record.era <= this.state.era) {
      await this.#compare(record, previous);
      return;
    }
    if (previous !== this.head) {
      throw new NetworkError('Conflict', `era ${record.era} does not follow the last record`);
    }
    const state = stateAfter(this.state, record);
    if (balancesRoot(state.balances) !== record.root) {
      throw new NetworkError('Conflict', `the root of era ${record.era} is not that of its balances`);
    }
    await this.#log.append(record);
    this.#book = { ...this.#book, state };
    // Only the next start is slower without it: the era is settled.
    await writeSnapshot(this.#folder, { head: this.#log.head(), book: this.#book }).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  /** Settling an era again is success only with what was settled. */
  async #compare(record: LedgerRecord & { readonly era: number }, previous: string): Promise<void> {
    for await (const settled of this.#log.read()) {
      if (settled.record.kind !== 'era' || settled.record.era !== record.era) continue;
      if (settled.previous === previous && textOf(settled.record) === textOf(record)) return;
    }
    throw new NetworkError('Conflict', `era ${record.era} is settled otherwise, or was left out`);
  }
}

/** From the snapshot on where it belongs to this log, from the genesis where not. Undefined for a log without records. */
async function bookOf(folder: string, log: LedgerLog): Promise<LedgerBook | undefined> {
  const snapshot = await readSnapshot(folder);
  if (snapshot !== undefined && snapshot.head.sequence <= log.head().sequence) {
    try {
      return await foldFrom(log, snapshot.book, snapshot.head);
    } catch (error) {
      if (!(error instanceof NetworkError) || error.kind !== 'Tampered') throw error;
    }
  }
  return await foldFrom(log, undefined);
}

async function foldFrom(
  log: LedgerLog,
  from: LedgerBook | undefined,
  after?: LedgerLogHead,
): Promise<LedgerBook | undefined> {
  let book = from;
  for await (const { record } of log.read(after)) book = foldRecord(book, record);
  return book;
}

type LedgerLogHead = ReturnType<LedgerLog['head']>;

/** @throws NetworkError 'NotFound' */
function genesisOf(start: LedgerStart | undefined, folder: string): LedgerRecord {
  if (start === undefined) throw new NetworkError('NotFound', `there is no ledger in ${folder}`);
  const { parameters, at, firstEra = 0 } = start;
  return { kind: 'genesis', version: 1, at: Math.floor(at), firstEra, parameters };
}

function changed(start: LedgerStart | undefined, { parameters }: LedgerBook): LedgerRecord | undefined {
  if (start === undefined || textOf(start.parameters) === textOf(parameters)) return undefined;
  return { kind: 'parameters', parameters: start.parameters };
}
