/** What is known of one object key, read before a change of it is decided. */
import type { Bytes, Check } from '../metadata/types.ts';
import { findBucket } from './buckets.ts';
import { gateCodec, guardCodec, versionCodec } from './codecs.ts';
import { commitPlan } from './commit.ts';
import type { Plan } from './commit.ts';
import type { Context } from './context.ts';
import { assertKeyLength, encodeKey, gateKey, keyPlace, partitionOf } from './keys.ts';
import type { KeyPlace } from './keys.ts';
import type { GuardRecord, Hex, VersionRecord } from './model.ts';
import { EngineError } from './types.ts';
import type { VersioningState } from './types.ts';

/** A version with its bytes as stored. */
export interface Stored {
  readonly record: VersionRecord;
  readonly bytes: Bytes;
}

export interface KeyState {
  readonly bucketId: Hex;
  readonly partition: number;
  readonly place: KeyPlace;
  readonly versioning: VersioningState;
  /** The current version; undefined when there is none or it is a delete marker. */
  readonly current: Stored | undefined;
  readonly guard: GuardRecord | undefined;
  /** Gate, current version and guard as they were read: what a commit must find unchanged. */
  readonly checks: readonly Check[];
  /** Newest among the older versions and delete markers. */
  older(limit: number): Promise<Stored[]>;
  /** One of them by its sequence. */
  at(sequence: number): Promise<Stored | undefined>;
}

/** Waits for a bucket whose gate is closed: it is being deleted, or that was given up. */
const GATE_TRIES_MAX = 100;
const GATE_WAIT_MS = 5;

/** Who commits to a key: bucket id, partition and the key's bytes follow from the bucket's record. */
export interface Located {
  readonly bucketId: Hex;
  readonly partition: number;
  readonly encoded: Buffer;
  readonly versioning: VersioningState;
}

/** @throws EngineError 'NoSuchBucket' | 'KeyTooLong' */
export async function locate(context: Context, bucket: string, key: string): Promise<Located> {
  assertKeyLength(key);
  const { record } = await findBucket(context, bucket);
  const encoded = encodeKey(key);
  return {
    bucketId: record.id,
    partition: partitionOf(record.id, encoded, context.kv.partitions),
    encoded,
    versioning: record.versioning,
  };
}

export const decodeVersion = (bytes: Bytes): Stored => ({ record: versionCodec.decode(bytes), bytes });

/** The bucket's gate in this partition, open. @throws EngineError 'NoSuchBucket' | 'OperationAborted' */
export async function openGate(
  context: Context,
  bucket: string,
  { bucketId, partition }: { bucketId: Hex; partition: number },
): Promise<{ check: Check; versioning: VersioningState }> {
  const key = gateKey(bucketId);
  for (let tries = 0; tries < GATE_TRIES_MAX; tries++) {
    const value = await context.kv.get(partition, key);
    const gate = value && gateCodec.decode(value);
    if (gate?.open) return { check: { key, value: value! }, versioning: gate.versioning };
    await context.clock.sleep(GATE_WAIT_MS);
    // Deleted, and perhaps created again under another id.
    if ((await findBucket(context, bucket)).record.id !== bucketId) break;
  }
  throw new EngineError('OperationAborted', 'A conflicting operation is in progress on this bucket');
}

async function readKey(context: Context, bucket: string, located: Located): Promise<KeyState> {
  const { bucketId, partition, encoded } = located;
  const { kv } = context;
  const place = keyPlace(bucketId, encoded);
  const [gate, currentBytes, guardBytes] = await Promise.all([
    openGate(context, bucket, located),
    kv.get(partition, place.current),
    kv.get(partition, place.guard),
  ]);
  return {
    bucketId,
    partition,
    place,
    versioning: gate.versioning,
    current: currentBytes && decodeVersion(currentBytes),
    guard: guardBytes && guardCodec.decode(guardBytes),
    checks: [
      gate.check,
      { key: place.current, value: currentBytes ?? null },
      { key: place.guard, value: guardBytes ?? null },
    ],
    older: async (limit) => {
      if (!guardBytes) return [];
      const page = await kv.scan(partition, { ...place.versions, limit });
      return page.map(([, value]) => decodeVersion(value));
    },
    at: async (sequence) => {
      const value = await kv.get(partition, place.version(sequence));
      return value && decodeVersion(value);
    },
  };
}

/**
 * Reads a key, decides, commits, and again on conflict. The plan's checks come on top of gate, current version and guard.
 * Changes of one key queue up within the process, so conflicts come from other processes only.
 */
export async function changeKey<R>(
  context: Context,
  bucket: string,
  key: string,
  decide: (state: KeyState) => Promise<Plan<R>>,
): Promise<R> {
  const located = await locate(context, bucket, key);
  return context.locks.run(`key ${located.bucketId} ${key}`, () =>
    commitPlan(context, located.partition, async () => {
      const state = await readKey(context, bucket, located);
      const plan = await decide(state);
      return { ...plan, checks: [...state.checks, ...plan.checks] };
    }),
  );
}
