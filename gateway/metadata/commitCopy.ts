/** A commit that waits must not see its caller's arrays change. */

import type { Bytes, Check, Commit } from './types.ts';

export interface OwnedCommit {
  readonly checks: readonly Check[];
  readonly puts: readonly (readonly [key: Bytes, value: Bytes])[];
  readonly deletes: readonly Bytes[];
  /** Bytes of all keys and values. */
  readonly bytes: number;
}

/** Everything copied into one allocation. */
export function copyCommit({ checks = [], puts = [], deletes = [] }: Commit): OwnedCommit {
  const bytes = sizeOf(checks, puts, deletes);
  const memory = Buffer.allocUnsafe(bytes);
  let used = 0;
  const copy = (source: Bytes): Bytes => {
    memory.set(source, used);
    used += source.length;
    return memory.subarray(used - source.length, used);
  };
  return {
    checks: checks.map(({ key, value }) => ({ key: copy(key), value: value && copy(value) })),
    puts: puts.map(([key, value]) => [copy(key), copy(value)] as const),
    deletes: deletes.map(copy),
    bytes,
  };
}

function sizeOf(
  checks: readonly Check[],
  puts: readonly (readonly [Bytes, Bytes])[],
  deletes: readonly Bytes[],
): number {
  let bytes = 0;
  for (const { key, value } of checks) bytes += key.length + (value?.length ?? 0);
  for (const [key, value] of puts) bytes += key.length + value.length;
  for (const key of deletes) bytes += key.length;
  return bytes;
}

/** One character per byte: equal keys, equal text. */
export function keyText(key: Bytes): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
