/** Why a chunk is in the repair queue: readable text that repair itself reads again, to see what is urgent without asking anyone. */

/**
 * 'lost': shards cannot be read, never became durable, or lie where they cannot stay, which says nothing against the bytes of the others.
 * 'damage': wrong bytes were found somewhere.
 */
export type RepairKind = 'lost' | 'damage';

export interface RepairReason {
  readonly kind: RepairKind;
  /**
   * A shard may never have become durable where the record places it, so that its provider, which may be honest, must not be asked to prove
   * that it has it.
   */
  readonly late: boolean;
  /** How many more shards may be lost, where an examination has counted; see Classification.remaining. */
  readonly spare: number | undefined;
  /** Of a chunk that was put off: its healthy shards then as far as record and providers' states tell. */
  readonly recorded: number | undefined;
}

const COUNTED = /^(lost|damage): (-?\d{1,2}) spare\b/;
const PUT_OFF = /; put off with (\d{1,2}) on record$/;
/** What other rooms and readers write. */
const WRITTEN_LATE = /^written with missing shards$/;
const MARK = 'late; ';
const LOST = /^shard \d+: (NotFound|Unavailable|Timeout|NoSpace)$/;

export function formatReason(kind: RepairKind, spare: number, detail: string): string {
  return `${kind}: ${spare} spare; ${detail}`;
}

/** Why a chunk is left for later, so that it is looked at again when providers take more of it away. */
export function putOff(recorded: number): string {
  return `put off with ${recorded} on record`;
}

/** The same reason, of a chunk with a shard that may never have become durable. */
export function markLate(text: string): string {
  return parseReason(text).late ? text : MARK + text;
}

/** For an entry that is there already: it stays late, whatever else is found, until a repair has settled that. */
export function keepLate(given: string, text: string): string {
  return parseReason(given).late ? markLate(text) : text;
}

/** What is not understood counts as damage: everything is verified then. */
export function parseReason(text: string): RepairReason {
  if (text.startsWith(MARK)) return { ...parseReason(text.slice(MARK.length)), late: true };
  const counted = COUNTED.exec(text);
  if (counted) {
    const recorded = PUT_OFF.exec(text)?.[1];
    return {
      kind: counted[1] as RepairKind,
      late: false,
      spare: Number(counted[2]),
      recorded: recorded === undefined ? undefined : Number(recorded),
    };
  }
  const unknown = { spare: undefined, recorded: undefined };
  if (WRITTEN_LATE.test(text)) return { kind: 'lost', late: true, ...unknown };
  return { kind: LOST.test(text) ? 'lost' : 'damage', late: false, ...unknown };
}
