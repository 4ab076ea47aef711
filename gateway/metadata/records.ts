/**
 * Stored records: one byte of format version, then MessagePack. An older version is read through its migrations, one version at a
 * time; a newer one is refused, since guessing would lose what it added. Names that users choose are values in arrays of pairs,
 * never property names.
 */

import { Packr, Unpackr } from 'msgpackr';
import { MetadataError } from './types.ts';
import type { Bytes } from './types.ts';

const VERSION_MAX = 255;

/** Plain MessagePack, without msgpackr's extensions for shared structures. */
const FORMAT = { useRecords: false, mapsAsObjects: true } as const;
const packr = new Packr(FORMAT);
const unpackr = new Unpackr(FORMAT);

export interface RecordFormat {
  /** For error texts. */
  readonly name: string;
  /** Version that is written, 1…255. */
  readonly version: number;
  /** From each older version still in use to the one after it: key n takes a value of version n and gives one of n + 1. */
  readonly migrate?: Readonly<Record<number, (older: never) => unknown>>;
}

export interface RecordCodec<T> {
  encode(value: T): Buffer;
  /** Byte arrays in the result are views of `bytes`. @throws MetadataError 'Corrupt' */
  decode(bytes: Bytes): T;
}

/** @throws RangeError when the version or a migration's is out of range */
export function defineRecord<T>({ name, version, migrate = {} }: RecordFormat): RecordCodec<T> {
  if (!Number.isInteger(version) || version < 1 || version > VERSION_MAX) {
    throw new RangeError(`version of ${name}: an integer 1…${VERSION_MAX}, not ${version}`);
  }
  for (const from of Object.keys(migrate)) {
    if (!(Number(from) >= 1 && Number(from) < version))
      throw new RangeError(`${name} has no version ${from} to migrate from`);
  }
  return {
    encode(value) {
      const packed = packr.pack(value);
      const record = Buffer.allocUnsafe(packed.length + 1);
      record[0] = version;
      record.set(packed, 1);
      return record;
    },
    decode(bytes) {
      const stored = bytes[0];
      if (stored === version) return unpack(name, bytes) as T;
      if (stored === undefined || stored === 0) throw corrupt(name, 'it has no format version');
      if (stored > version) {
        throw corrupt(
          name,
          `it has format ${stored}, written by a newer gateway; this one reads up to ${version}`,
        );
      }
      return migrated(name, unpack(name, bytes), { from: stored, to: version, migrate }) as T;
    },
  };
}

function unpack(name: string, bytes: Bytes): unknown {
  try {
    return unpackr.unpack(bytes.subarray(1));
  } catch (error) {
    throw corrupt(name, 'it is no MessagePack', error);
  }
}

interface Journey {
  readonly from: number;
  readonly to: number;
  readonly migrate: NonNullable<RecordFormat['migrate']>;
}

function migrated(name: string, value: unknown, { from, to, migrate }: Journey): unknown {
  let current = value;
  for (let at = from; at < to; at++) {
    const step = migrate[at];
    if (!step) throw corrupt(name, `it has format ${at}, which this gateway no longer reads`);
    current = step(current as never);
  }
  return current;
}

function corrupt(name: string, reason: string, cause?: unknown): MetadataError {
  return new MetadataError('Corrupt', `a stored ${name} cannot be read: ${reason}`, { cause });
}
