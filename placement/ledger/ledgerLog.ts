import { openEventLog } from '../oracle/log.ts';
import { TamperedError } from '../oracle/logLine.ts';
import { readLog } from '../oracle/logReader.ts';
import type { LogHead } from '../oracle/types.ts';
import { parseRecord, textOf, type LedgerRecord } from './record.ts';

export interface LoggedLedgerRecord {
  readonly sequence: number;
  readonly hash: string;
  /** Hash of the record before it. */
  readonly previous: string;
  readonly record: LedgerRecord;
}

/** The oracle's log of hash-chained lines, with the ledger's records in it: the log itself never looks into a record. */
export interface LedgerLog {
  /** Resolves when the record is durable. @throws NetworkError 'Unavailable' */
  append(record: LedgerRecord): Promise<void>;
  /** The records after `after`, or all. @throws NetworkError 'Tampered' */
  read(after?: LogHead): AsyncIterable<LoggedLedgerRecord>;
  head(): LogHead;
  close(): Promise<void>;
}

interface AnyLog {
  append(record: object): Promise<unknown>;
  read(after?: LogHead): AsyncIterable<{ sequence: number; hash: string; record: unknown }>;
  head(): LogHead;
  close(): Promise<void>;
}

const NO_RECORD = '0'.repeat(64);

/** Made at the first call; what a crash left behind the last acknowledged record is cut off. @throws NetworkError 'Tampered' */
export async function openLedgerLog(folder: string): Promise<LedgerLog> {
  const log = (await openEventLog(folder).catch(ofLedger)) as unknown as AnyLog;
  return {
    append: async (record) => {
      await log.append(JSON.parse(textOf(record)) as object);
    },
    read: (after) => parsed(log.read(after), after?.hash ?? NO_RECORD),
    head: () => log.head(),
    close: () => log.close(),
  };
}

/** All records of a ledger, without writing anything. @throws NetworkError 'Tampered' */
export function readLedger(folder: string): AsyncGenerator<LoggedLedgerRecord> {
  return parsed(readLog(folder), NO_RECORD);
}

async function* parsed(
  records: AsyncIterable<{ sequence: number; hash: string; record: unknown }>,
  before: string,
): AsyncGenerator<LoggedLedgerRecord> {
  let previous = before;
  try {
    for await (const { sequence, hash, record } of records) {
      yield { sequence, hash, previous, record: parseRecord(record) };
      previous = hash;
    }
  } catch (error) {
    ofLedger(error);
  }
}

/** What the log's reader finds wrong here is wrong with the ledger. */
function ofLedger(error: unknown): never {
  throw error instanceof TamperedError ? new TamperedError(error.sequence, error.what, 'ledger') : error;
}
