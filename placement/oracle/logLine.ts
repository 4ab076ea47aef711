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
/** No prefix is longer. */
const PREFIX_MAX = 256;

/** The log is not what was written: found at this record. */
export class TamperedError extends NetworkError {
  readonly sequence: number;
  constructor(sequence: number, what: string) {
    super('Tampered', `record ${sequence} of the log: ${what}`);
    this.sequence = sequence;
  }
}

/** The line after `head`, its newline included. @param text JSON of the record, without a line break */
export function chainLine(head: LogHead, text: string): { readonly bytes: Buffer; readonly head: LogHead } {
  const sequence = head.sequence + 1;
  const hash = chainHash(head.hash, sequence, Buffer.from(text));
  const line = `{"sequence":${sequence},"previous":"${head.hash}","hash":"${hash}","record":${text}}\n`;
  return { bytes: Buffer.from(line), head: { sequence, hash } };
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
  const head = Buffer.alloc(40);
  head.write(previous, 'hex');
  head.writeBigUInt64LE(BigInt(sequence), 32);
  return Buffer.from(hasher.hash(Buffer.concat([head, text]))).toString('hex');
}
