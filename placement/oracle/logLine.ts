import { createHasher } from '#erasure';
import { NetworkError } from '../network/errors.ts';
import type { LogHead } from './types.ts';

/**
 * One record as a line of JSON, chained to the one before:
 *
 *     {"sequence":7,"previous":"<hash>","hash":"<hash>","record":{…}}
 *
 *     hash = BLAKE3(previous ‖ sequence as u64 little-endian ‖ text of the record)
 *
 * A line names its previous hash, so that a segment can be verified without those before it.
 */
export interface Line {
  readonly sequence: number;
  readonly previous: string;
  readonly hash: string;
  /** JSON of the record. */
  readonly text: string;
}

/** Head of an empty log. */
export const START: LogHead = { sequence: 0, hash: '0'.repeat(64) };

const hasher = createHasher();
const PREFIX = /^\{"sequence":(\d{1,15}),"previous":"([0-9a-f]{64})","hash":"([0-9a-f]{64})","record":/;
/** Bytes of the previous hash and the sequence, which are hashed before the text. */
const HASHED_HEAD = 40;
/** No prefix is longer. */
const PREFIX_MAX = 256;

/** The log is not what was written: found at this record. */
export class TamperedError extends NetworkError {
  readonly sequence: number;
  readonly what: string;
  /** @param of what is chained: the ledger's records lie in the same form */
  constructor(sequence: number, what: string, of = 'log') {
    super('Tampered', `record ${sequence} of the ${of}: ${what}`);
    this.sequence = sequence;
    this.what = what;
  }
}

/**
 * The line after `head`, in parts, its newline included.
 * @param pieces JSON of the record, without a line break
 */
export function chainLine(
  head: LogHead,
  pieces: readonly Uint8Array[],
): { readonly parts: readonly Buffer[]; readonly head: LogHead } {
  const sequence = head.sequence + 1;
  // A close is of tens of megabytes: what is hashed and what is written lie in one buffer.
  const hashed = Buffer.concat([hashedHead(head.hash, sequence), ...pieces]);
  const hash = hexHash(hashed);
  const prefix = `{"sequence":${sequence},"previous":"${head.hash}","hash":"${hash}","record":`;
  const parts = [Buffer.from(prefix), hashed.subarray(HASHED_HEAD), Buffer.from('}\n')];
  return { parts, head: { sequence, hash } };
}

/**
 * The record of a line, without its newline; a text that says what is wrong when it does not continue the chain.
 * @param after undefined: of the chain before it nothing is known
 */
export function readLine(line: Buffer, after: LogHead | undefined): Line | string {
  const prefix = PREFIX.exec(line.toString('latin1', 0, PREFIX_MAX));
  if (prefix === null || line.at(-1) !== 0x7d) return 'is not a record';
  const [whole, sequenceText, previous, hash] = prefix as unknown as [string, string, string, string];
  const sequence = Number(sequenceText);
  if (after !== undefined && sequence !== after.sequence + 1) return `is numbered ${sequence}`;
  if (after !== undefined && previous !== after.hash) return 'does not follow the record before it';
  const text = line.subarray(whole.length, -1);
  if (chainHash(previous, sequence, text) !== hash) return 'was changed';
  return { sequence, previous, hash, text: text.toString() };
}

function chainHash(previous: string, sequence: number, text: Uint8Array): string {
  return hexHash(Buffer.concat([hashedHead(previous, sequence), text]));
}

function hashedHead(previous: string, sequence: number): Buffer {
  const head = Buffer.alloc(HASHED_HEAD);
  head.write(previous, 'hex');
  head.writeBigUInt64LE(BigInt(sequence), 32);
  return head;
}

function hexHash(bytes: Uint8Array): string {
  return Buffer.from(hasher.hash(bytes)).toString('hex');
}
