import { NetworkError } from '../network/errors.ts';
import { canonicalJson, type Canonical } from './canonical.ts';
import { foldRecord, type LedgerBook } from './ledgerBook.ts';
import { readLedger } from './ledgerLog.ts';
import { AccountTree } from './merkle.ts';
import type { EraRecord } from './record.ts';
import type { LedgerState } from './types.ts';

export interface ExportOptions {
  readonly format: 'json' | 'csv';
  /** First era: 0 unless told. */
  readonly from?: number;
  /** Last era: the last settled unless told. */
  readonly to?: number;
}

/** How an export is written, piece by piece. */
interface Format {
  readonly begin: () => string;
  readonly era: (record: EraRecord, hash: string, first: boolean) => string;
  readonly end: (from: number, to: number, state: LedgerState | undefined) => string;
}

/**
 * Entries of a range of eras, and after the last of them all balances with their root and a proof for each. The same ledger and range are the
 * same bytes.
 * @throws NetworkError 'BadMessage' for a range that is none, 'Tampered'
 */
export async function exportLedger(folder: string, options: ExportOptions): Promise<string> {
  let text = '';
  for await (const piece of exportPieces(folder, options)) text += piece;
  return text;
}

/** As exportLedger, for ledgers that are larger than memory. */
export async function* exportPieces(
  folder: string,
  { format, from = 0, to = Number.MAX_SAFE_INTEGER }: ExportOptions,
): AsyncGenerator<string> {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || to < from) {
    throw new NetworkError('BadMessage', `there are no eras from ${from} to ${to}`);
  }
  const { begin, era, end } = FORMATS[format];
  yield begin();
  let book: LedgerBook | undefined;
  let first = true;
  for await (const { record, hash } of readLedger(folder)) {
    if (record.kind === 'era' && record.era > to) break;
    book = foldRecord(book, record);
    if (record.kind !== 'era' || record.era < from) continue;
    yield era(record, hash, first);
    first = false;
  }
  yield end(from, Math.min(to, book?.state.era ?? -1), book?.state);
}

/** One canonical JSON value: the keys come in their order. */
const json: Format = {
  begin: () => '{"eras":[',
  era: ({ entries, era, root }, hash, first) =>
    `${first ? '' : ','}${canonicalJson({ entries: entries as unknown as Canonical, era, hash, root })}`,
  end: (from, to, state) => {
    const balances = state?.balances ?? {};
    const tree = new AccountTree(balances);
    const accounts = Object.keys(balances)
      .sort()
      .map((name) => ({ name, amount: balances[name], proof: tree.proof(name) as unknown as Canonical }));
    const after = canonicalJson({ accounts, root: tree.root });
    return `],"from":${from},"kind":"shardway-ledger","state":${after},"to":${to},"version":1}\n`;
  },
};

/**
 * RFC 4180, one table: an 'entry' has an amount that moved, a 'balance' one that an account has after the last era, with its proof as
 * "<index> <accounts> <sibling>…"; 'root' is what the proofs lead to.
 */
const csv: Format = {
  begin: () => row('kind', 'era', 'from', 'to', 'amount', 'reason', 'proof'),
  era: ({ entries, era }) =>
    entries.map(({ from, to, amount, reason }) => row('entry', era, from, to, amount, reason, '')).join(''),
  end: (_from, to, state) => {
    const balances = state?.balances ?? {};
    const tree = new AccountTree(balances);
    const rows = Object.keys(balances)
      .sort()
      .map((name) => {
        const { index, accounts, path } = tree.proof(name)!;
        return row('balance', to, '', name, balances[name]!, '', [index, accounts, ...path].join(' '));
      });
    return [...rows, row('root', to, '', '', '', '', tree.root)].join('');
  },
};

const FORMATS: Readonly<Record<ExportOptions['format'], Format>> = { json, csv };

/** Quoted only where it has to be. */
function row(...fields: readonly (string | number | bigint)[]): string {
  const quoted = fields.map((field) => {
    const text = String(field);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${quoted.join(',')}\r\n`;
}
