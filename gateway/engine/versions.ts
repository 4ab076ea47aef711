/**
 * S3's versioning rules as changes of one key's records. The current version lies in an index of its own; older ones and delete markers
 * lie in the other, newest first. Order is the commit sequence, never a clock.
 */
import type { Bytes } from '../metadata/types.ts';
import { garbageCodec, guardCodec, versionCodec } from './codecs.ts';
import { newShortId } from './context.ts';
import type { KeyState, Stored } from './keyState.ts';
import { garbageKey, invertSequence } from './keys.ts';
import type { GuardRecord, VersionRecord } from './model.ts';
import { bodyIdOf, storedBody } from './segments.ts';

export const NULL_VERSION = 'null';
/** Inverted sequence, then chance: a sequence number can come again after its version was deleted. */
const VERSION_ID = /^[0-9a-f]{32}$/;

export const isVersionId = (id: string): boolean => id === NULL_VERSION || VERSION_ID.test(id);
const versionIdOf = (sequence: number, tail: string): string =>
  invertSequence(sequence).toString('hex') + tail;
/** @param id any but 'null' */
export const sequenceOf = (id: string): number =>
  Number(0xffff_ffff_ffff_ffffn - BigInt(`0x${id.slice(0, 16)}`));

export interface Change {
  readonly puts: (readonly [Bytes, Bytes])[];
  readonly deletes: Bytes[];
}

/** Puts what a version leaves behind into the garbage. */
function discard(change: Change, { record }: Stored): void {
  const body = storedBody(record.body);
  const id = bodyIdOf(body);
  if (id !== undefined) change.puts.push([garbageKey(id), garbageCodec.encode({ kind: 'body', body })]);
}

type NewVersion = Omit<VersionRecord, 'sequence' | 'versionId'>;

/**
 * Adds the newest version of a key: an object or a delete marker. Unless versioning is enabled it is the null version, and replaces
 * the one there was.
 * @param tail 16 hex digits for the version's id, the same on every try
 */
export async function addVersion(
  state: KeyState,
  version: NewVersion,
  tail: string,
): Promise<Change & { record: VersionRecord }> {
  const change: Change = { puts: [], deletes: [] };
  const { place, current, guard } = state;
  const isNull = state.versioning !== 'Enabled';
  const newest = current ?? (await state.older(1))[0];
  const sequence = (newest?.record.sequence ?? 0) + 1;
  const record = { ...version, sequence, versionId: isNull ? NULL_VERSION : versionIdOf(sequence, tail) };
  let nullSequence = guard?.nullSequence;
  let olderChanged = false;

  if (isNull && nullSequence !== undefined) {
    const replaced = await state.at(nullSequence);
    if (replaced) discard(change, replaced);
    change.deletes.push(place.version(nullSequence));
    nullSequence = undefined;
    olderChanged = true;
  }
  if (current && isNull && current.record.versionId === NULL_VERSION) {
    discard(change, current);
  } else if (current) {
    change.puts.push([place.version(current.record.sequence), current.bytes]);
    if (current.record.versionId === NULL_VERSION) nullSequence = current.record.sequence;
    olderChanged = true;
  }
  if (record.deleteMarker) {
    change.puts.push([place.version(sequence), versionCodec.encode(record)]);
    if (current) change.deletes.push(place.current);
    if (isNull) nullSequence = sequence;
    olderChanged = true;
  } else {
    change.puts.push([place.current, versionCodec.encode(record)]);
  }
  if (olderChanged) change.puts.push([place.guard, guardOf(nullSequence)]);
  return { ...change, record };
}

function guardOf(nullSequence: number | undefined): Bytes {
  const guard: GuardRecord = {
    stamp: newShortId(),
    ...(nullSequence === undefined ? {} : { nullSequence }),
  };
  return guardCodec.encode(guard);
}

/** Removes the current version of a key in a bucket that never had versioning. */
export function removeOnly(state: KeyState): Change {
  const change: Change = { puts: [], deletes: [] };
  if (state.current) {
    discard(change, state.current);
    change.deletes.push(state.place.current);
  }
  return change;
}

/** A version by its id. `isLatest` holds for a delete marker as well. */
export async function findVersion(
  state: KeyState,
  versionId: string,
): Promise<(Stored & { isLatest: boolean }) | undefined> {
  const { current, guard } = state;
  if (current?.record.versionId === versionId) return { ...current, isLatest: true };
  const sequence = versionId === NULL_VERSION ? guard?.nullSequence : sequenceOf(versionId);
  if (sequence === undefined || !guard || !Number.isSafeInteger(sequence)) return undefined;
  const found = await state.at(sequence);
  if (!found || found.record.versionId !== versionId) return undefined;
  const newest = current ? undefined : (await state.older(1))[0];
  return { ...found, isLatest: newest?.record.sequence === sequence };
}

/** Removes exactly this version. When it was the latest, the next newest takes its place. */
export async function removeVersion(
  state: KeyState,
  target: Stored & { isLatest: boolean },
): Promise<Change> {
  const change: Change = { puts: [], deletes: [] };
  const { place, current, guard } = state;
  const { sequence } = target.record;
  const isCurrent = current?.record.sequence === sequence;
  discard(change, target);
  change.deletes.push(isCurrent ? place.current : place.version(sequence));

  // Three at most matter: the target, the one promoted, and whether another is left.
  const left = (await state.older(3)).filter(({ record }) => record.sequence !== sequence);
  const next = target.isLatest ? left[0] : undefined;
  const promoted = next && !next.record.deleteMarker ? next : undefined;
  if (promoted) {
    change.puts.push([place.current, promoted.bytes]);
    change.deletes.push(place.version(promoted.record.sequence));
    // The current version's key is put, not deleted.
    if (isCurrent) change.deletes.splice(change.deletes.indexOf(place.current), 1);
  }
  if (isCurrent && !promoted) return change;
  const gone = [sequence, promoted?.record.sequence];
  const nullSequence = gone.includes(guard?.nullSequence) ? undefined : guard?.nullSequence;
  if (left.length > (promoted ? 1 : 0)) change.puts.push([place.guard, guardOf(nullSequence)]);
  else change.deletes.push(place.guard);
  return change;
}

/** Puts a version back in place with other attributes. */
export function replaceVersion(
  { place, current, guard }: Pick<KeyState, 'place' | 'current' | 'guard'>,
  before: Stored,
  record: VersionRecord,
): Change {
  const bytes = versionCodec.encode(record);
  if (current?.record.sequence === record.sequence) return { puts: [[place.current, bytes]], deletes: [] };
  return {
    puts: [
      [place.version(before.record.sequence), bytes],
      [place.guard, guardOf(guard?.nullSequence)],
    ],
    deletes: [],
  };
}
