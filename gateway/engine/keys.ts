/**
 * Layout of the engine's metadata keys. The first byte of a key is its kind; ids are stored as raw bytes.
 *
 * Object keys are stored as their UTF-8 bytes plus one. UTF-8 never uses the bytes 0xf5…0xff (RFC 3629), so this keeps the order, cannot
 * overflow, and frees 0x00 as a terminator and 0xff as an upper bound, without escapes.
 */
import type { Bytes } from '../metadata/types.ts';
import { EngineError } from './types.ts';

/** Kinds this engine keeps. Every other first byte is free for others who share the store. */
export const KIND = {
  /** Bucket by name; partition 0. */
  bucket: 0x42, // B
  /** Gate of a bucket in one partition: checked by every commit to its objects. */
  gate: 0x47, // G
  /** Current version of a key, unless it is a delete marker. */
  current: 0x6f, // o
  /** Older versions and delete markers, newest first. */
  version: 0x76, // v
  /** Guard of a key that has entries under `version`. */
  guard: 0x68, // h
  upload: 0x75, // u
  part: 0x70, // p
  /** Answer of a completed upload, for retries. */
  completed: 0x6d, // m
  /** When an answer may be forgotten: time ‖ upload id. */
  expiry: 0x65, // e
  /** Page of a long body. */
  page: 0x62, // b
  chunk: 0x63, // c
  /** Reference: chunk id ‖ owner id. */
  ref: 0x72, // r
  repair: 0x71, // q
  note: 0x4e, // N
  /** Body that nothing names any more. */
  garbage: 0x67, // g
  /** Chunk that lost a reference: to be deleted when it has none left. */
  doomed: 0x64, // d
  /** Body that a session is about to make visible: session ‖ owner id. */
  pending: 0x78, // x
  /** Life of a session in this partition; commits of its chunks check it. */
  session: 0x73, // s
  /** Chunk ids a session may use: session id. */
  reservation: 0x69, // i
  /** Beat of a process that shares the store, by its session; partition 0. Gone once it is fenced off. */
  member: 0x61, // a
  /** Who does the background work; partition 0. */
  lease: 0x6c, // l
  /** Number that readers pass, so that what was garbage before it can go; partition 0. */
  epoch: 0x6e, // n
} as const;

/** An S3 key has 1…1,024 bytes of UTF-8. */
const KEY_BYTES_MAX = 1024;

/** Between an object key and what follows it. */
export const TERMINATOR = Buffer.of(0x00);
/** Greater than every stored byte of an object key. */
export const AFTER_ALL = Buffer.of(0xff);
/** Smaller than every stored byte of an object key, greater than the terminator's entries. */
export const AFTER_KEY = Buffer.of(0x01);

export function encodeKey(key: string): Buffer {
  const bytes = Buffer.from(key, 'utf8');
  for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i]! + 1;
  return bytes;
}

export function decodeKey(encoded: Uint8Array): string {
  const bytes = Buffer.allocUnsafe(encoded.length);
  for (let i = 0; i < encoded.length; i++) bytes[i] = encoded[i]! - 1;
  return bytes.toString('utf8');
}

/** @throws EngineError 'KeyTooLong' */
export function assertKeyLength(key: string): void {
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) {
    throw new EngineError('KeyTooLong', `A key has at most ${KEY_BYTES_MAX} bytes of UTF-8`);
  }
}

function join(kind: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 1;
  for (const part of parts) length += part.length;
  const key = Buffer.allocUnsafe(length);
  key[0] = kind;
  let at = 1;
  for (const part of parts) {
    key.set(part, at);
    at += part.length;
  }
  return key;
}

const id = (hex: string): Buffer => Buffer.from(hex, 'hex');

function u64(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), 0);
  bytes.writeUInt32BE(value % 2 ** 32, 4);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

/** All bits of a sequence number inverted: later ones sort first. */
export function invertSequence(sequence: number): Buffer {
  const bytes = u64(sequence);
  for (let i = 0; i < 8; i++) bytes[i] = ~bytes[i]! & 0xff;
  return bytes;
}

export function revertSequence(bytes: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 8; i++) value = value * 256 + (~bytes[i]! & 0xff);
  return value;
}

export const bucketKey = (name: string): Buffer => join(KIND.bucket, encodeKey(name));
export const gateKey = (bucket: string): Buffer => join(KIND.gate, id(bucket));
export const partKey = (upload: string, number: number): Buffer =>
  join(KIND.part, id(upload), u32(number).subarray(2));
export const completedKey = (upload: string): Buffer => join(KIND.completed, id(upload));
export const expiryKey = (at: number, upload: string): Buffer => join(KIND.expiry, u64(at), id(upload));
export const pageKey = (body: string, page: number): Buffer => join(KIND.page, id(body), u32(page));
export const chunkKey = (chunk: string): Buffer => join(KIND.chunk, id(chunk));
export const refKey = (chunk: string, owner: string): Buffer => join(KIND.ref, id(chunk), id(owner));
export const repairKey = (chunk: string): Buffer => join(KIND.repair, id(chunk));
export const noteKey = (name: string): Buffer => join(KIND.note, encodeKey(name));
export const garbageKey = (owner: string): Buffer => join(KIND.garbage, id(owner));
export const doomedKey = (chunk: string): Buffer => join(KIND.doomed, id(chunk));
export const pendingKey = (session: string, owner: string): Buffer =>
  join(KIND.pending, id(session), id(owner));
export const sessionKey = (session: string): Buffer => join(KIND.session, id(session));
export const memberKey = (session: string): Buffer => join(KIND.member, id(session));
export const LEASE_KEY: Bytes = Buffer.of(KIND.lease);
export const EPOCH_KEY: Bytes = Buffer.of(KIND.epoch);
export const reservationKey = (session: string): Buffer => join(KIND.reservation, id(session));

/** The key of an upload within its bucket: object key, terminator, upload id. */
export const uploadKey = (bucket: string, key: Uint8Array, upload: string): Buffer =>
  join(KIND.upload, id(bucket), key, TERMINATOR, id(upload));

/** All the keys of one object key. */
export interface KeyPlace {
  readonly current: Buffer;
  readonly guard: Buffer;
  version(sequence: number): Buffer;
  /** Range of its entries under `version`. */
  readonly versions: { readonly from: Bytes; readonly to: Bytes };
}

export function keyPlace(bucket: string, key: Uint8Array): KeyPlace {
  const bucketId = id(bucket);
  const from = join(KIND.version, bucketId, key, TERMINATOR);
  return {
    current: join(KIND.current, bucketId, key),
    guard: join(KIND.guard, bucketId, key),
    version: (sequence) => Buffer.concat([from, invertSequence(sequence)]),
    versions: { from, to: join(KIND.version, bucketId, key, AFTER_KEY) },
  };
}

/** Bytes of kind and bucket id before the object key. */
export const OBJECT_KEY_AT = 9;
export const SEQUENCE_BYTES = 8;
export const UPLOAD_ID_BYTES = 16;

/** A kind's records within a bucket, from `suffix` on. */
export const inBucket = (kind: number, bucket: string, suffix: Uint8Array = Buffer.alloc(0)): Buffer =>
  join(kind, id(bucket), suffix);

/** Range of every record whose key starts with `prefix`. Raw ids may be all 0xff: the bound is the prefix's successor. */
export function prefixRange(prefix: Uint8Array): { from: Buffer; to: Buffer } {
  const to = Buffer.from(prefix);
  let last = to.length - 1;
  while (last >= 0 && to[last] === 0xff) last--;
  if (last < 0) throw new RangeError('A prefix of 0xff bytes has no successor');
  to[last] = to[last]! + 1;
  return { from: Buffer.from(prefix), to: to.subarray(0, last + 1) };
}

export const ofKind = (kind: number): { from: Buffer; to: Buffer } => prefixRange(Buffer.of(kind));
export const pagesOf = (body: string): { from: Buffer; to: Buffer } => prefixRange(join(KIND.page, id(body)));
export const partsOf = (upload: string): { from: Buffer; to: Buffer } =>
  prefixRange(join(KIND.part, id(upload)));
export const refsOf = (chunk: string): { from: Buffer; to: Buffer } => prefixRange(join(KIND.ref, id(chunk)));
export const pendingOf = (session: string): { from: Buffer; to: Buffer } =>
  prefixRange(join(KIND.pending, id(session)));

/** Hex of the id that starts at `at`, after the kind byte by default. */
export const idAt = (key: Uint8Array, at: number, bytes: number): string =>
  Buffer.from(key.buffer, key.byteOffset + at, bytes).toString('hex');

/** Partition of every record of an object key: FNV-1a with a final mix, fixed for the life of the data. */
export function partitionOf(bucket: string, key: Uint8Array, partitions: number): number {
  if (partitions === 1) return 0;
  let hash = 0x811c9dc5;
  for (const byte of id(bucket)) hash = Math.imul(hash ^ byte, 0x01000193);
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash ^= hash >>> 13;
  return (hash >>> 0) % partitions;
}

/** A chunk's id starts with its home partition: 4 hex digits. */
export const homeOf = (chunk: string): number => Number.parseInt(chunk.slice(0, 4), 16);
