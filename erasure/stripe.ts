/** What every codec checks and allocates alike. */
import { formatProfile, parseProfile } from './profile.ts';
import { ErasureError, type Profile } from './types.ts';

/** @throws ErasureError 'BadProfile' beyond the limits of profile.ts, which the kernel's memory is laid out for */
export function checkProfile(profile: Profile): Profile {
  return parseProfile(formatProfile(profile));
}

/**
 * Memory for the parity of the stripe: `into` or new.
 * @throws ErasureError 'BadLength'
 */
export function parityMemory(
  profile: Profile,
  data: Uint8Array,
  cell: number,
  into: Uint8Array | undefined,
): Uint8Array {
  if (!Number.isSafeInteger(cell) || cell < 0 || data.length !== cell * profile.data) {
    const expected = `${profile.data} cells of ${cell} bytes`;
    throw new ErasureError('BadLength', `a stripe of ${expected} cannot have ${data.length} bytes of data`);
  }
  return memoryOf(cell * profile.parity, into);
}

export interface Reconstruction {
  /** The k shards to compute from, ascending. */
  readonly sources: readonly number[];
  /** The shards to compute, ascending, each once: those wanted and not present. At most m. */
  readonly missing: readonly number[];
  /** Memory for each of `missing`. */
  readonly rebuilt: readonly Uint8Array[];
  /** Length of every slice. */
  readonly bytes: number;
}

/**
 * @throws ErasureError 'TooFewShards' or 'BadLength' as ErasureCodec.reconstruct says
 * @throws RangeError when `wanted` names a shard that the profile does not have
 */
export function planReconstruction(
  profile: Profile,
  shards: readonly (Uint8Array | undefined)[],
  wanted: readonly number[],
  into: readonly Uint8Array[] | undefined,
): Reconstruction {
  const total = profile.data + profile.parity;
  if (shards.length !== total) {
    throw new ErasureError(
      'BadLength',
      `${formatProfile(profile)} has ${total} shards, got ${shards.length}`,
    );
  }
  const present = shards.flatMap((shard, index) => (shard ? [index] : []));
  if (present.length < profile.data) {
    throw new ErasureError(
      'TooFewShards',
      `${formatProfile(profile)} needs ${profile.data} shards, ${present.length} are present`,
    );
  }
  const bytes = shards[present[0]!]!.length;
  const other = present.find((index) => shards[index]!.length !== bytes);
  if (other !== undefined) {
    throw new ErasureError(
      'BadLength',
      `shard ${present[0]} has ${bytes} bytes, shard ${other} has ${shards[other]!.length}`,
    );
  }
  const outside = wanted.find((index) => !Number.isInteger(index) || index < 0 || index >= total);
  if (outside !== undefined) throw new RangeError(`${formatProfile(profile)} has no shard ${outside}`);
  const missing = [...new Set(wanted)].filter((index) => !shards[index]).sort((a, b) => a - b);
  const rebuilt = missing.map((index) => memoryOf(bytes, into?.[wanted.indexOf(index)]));
  return { sources: present.slice(0, profile.data), missing, rebuilt, bytes };
}

/** New memory is not zeroed, which would take half as long as coding it: the caller overwrites every byte. */
function memoryOf(bytes: number, given: Uint8Array | undefined): Uint8Array {
  if (given && given.length !== bytes) {
    throw new ErasureError('BadLength', `memory of ${given.length} bytes given for ${bytes}`);
  }
  return given ?? new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}
