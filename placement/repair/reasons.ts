/** Why a chunk is in the repair queue: readable text that repair itself reads again, to see what is urgent without asking anyone. */

/**
 * 'late': shards may not have become durable. 'lost': shards cannot be read, or lie where they cannot stay. Neither says anything
 * against the bytes of the others. 'damage': wrong bytes were found somewhere.
 */
export type RepairKind = 'late' | 'lost' | 'damage';

export interface RepairReason {
  readonly kind: RepairKind;
  /** How many more shards may be lost, where an examination has counted; see Classification.remaining. */
  readonly spare: number | undefined;
  /** Of a chunk that was put off: its healthy shards then as far as record and providers' states tell. */
  readonly recorded: number | undefined;
}

const COUNTED = /^(late|lost|damage): (-?\d{1,2}) spare\b/;
const PUT_OFF = /; put off with (\d{1,2}) on record$/;
/** What other rooms and readers write. */
const LATE = /^written with missing shards$/;
const LOST = /^shard \d+: (NotFound|Unavailable|Timeout|NoSpace)$/;

export function formatReason(kind: RepairKind, spare: number, detail: string): string {
  return `${kind}: ${spare} spare; ${detail}`;
}

/** Why a chunk is left for later, so that it is looked at again when providers take more of it away. */
export function putOff(recorded: number): string {
  return `put off with ${recorded} on record`;
}

/** What is not understood counts as damage: everything is verified then. */
export function parseReason(text: string): RepairReason {
  const counted = COUNTED.exec(text);
  if (counted) {
    const recorded = PUT_OFF.exec(text)?.[1];
    return {
      kind: counted[1] as RepairKind,
      spare: Number(counted[2]),
      recorded: recorded === undefined ? undefined : Number(recorded),
    };
  }
  const unknown = { spare: undefined, recorded: undefined };
  if (LATE.test(text)) return { kind: 'late', ...unknown };
  return { kind: LOST.test(text) ? 'lost' : 'damage', ...unknown };
}
