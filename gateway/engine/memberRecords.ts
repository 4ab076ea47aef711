/** What the processes of one store tell each other. All of it lies in partition 0. */
import { defineRecord } from '../metadata/records.ts';
import type { ChunkId, ProviderId } from '#placement';
import type { Hex } from './model.ts';

/** Partition of beats, lease and epoch. */
export const HOME = 0;

/** What a process does at the providers, for those who repair and empty them. */
export interface Activity {
  /** Chunks of which it may still bring or take a shard; undefined: too many to list. */
  readonly uploading: readonly ChunkId[] | undefined;
  /** Providers that it knows to be leaving, and to which it has no put under way. */
  readonly quietAt: readonly ProviderId[];
}

/** Where a process is, for operators. */
export interface Place {
  readonly host: string;
  readonly pid: number;
  /** Data folder of its gateway. */
  readonly data: string;
}

export interface MemberRecord extends Activity {
  /** Another with every beat. */
  readonly beat: number;
  /** Processes under one parent; none of another group lives where a group has a store of its own. */
  readonly group: string;
  /** Declared dead: it is being fenced off, and may not go on. */
  readonly dying: boolean;
  /** Last epoch that it has passed: its reads from before are over, but for those of `pins`. */
  readonly passed: number;
  readonly pins: readonly Hex[];
  /** By partition: chunks of this process with a smaller counter were recorded, if ever, before the beat. */
  readonly settledBelow: readonly number[];
  /** Absent from one that says nothing of it. */
  readonly place?: Place;
}

export interface LeaseRecord {
  readonly holder: Hex;
  /** One more with every holder. */
  readonly term: number;
}

type PlaceRow = [string, number, string];
/** The place came later: who does not know it reads the rest. */
type MemberRow = [number, string, boolean, number, string[], string[] | null, string[], number[], PlaceRow?];
const memberRow = defineRecord<MemberRow>({ name: 'member', version: 1 });

export const memberCodec = {
  encode(record: MemberRecord): Buffer {
    const { beat, group, dying, passed, pins, uploading, quietAt, settledBelow, place } = record;
    const row: MemberRow = [
      beat,
      group,
      dying,
      passed,
      [...pins],
      uploading ? [...uploading] : null,
      [...quietAt],
      [...settledBelow],
    ];
    if (place) row[8] = [place.host, place.pid, place.data];
    return memberRow.encode(row);
  },
  decode(bytes: Uint8Array): MemberRecord {
    const [beat, group, dying, passed, pins, uploading, quietAt, settledBelow, at] = memberRow.decode(bytes);
    return {
      beat,
      group,
      dying,
      passed,
      pins,
      uploading: uploading ?? undefined,
      quietAt,
      settledBelow,
      ...(at && { place: { host: at[0], pid: at[1], data: at[2] } }),
    };
  },
};

const leaseRow = defineRecord<[string, number]>({ name: 'lease', version: 1 });

export const leaseCodec = {
  encode: ({ holder, term }: LeaseRecord): Buffer => leaseRow.encode([holder, term]),
  decode(bytes: Uint8Array): LeaseRecord {
    const [holder, term] = leaseRow.decode(bytes);
    return { holder, term };
  },
};

export const epochCodec = defineRecord<number>({ name: 'epoch', version: 1 });
