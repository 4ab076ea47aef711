/** What a store says of its durability. */

import type { KeyValueStore, StoreDurability } from './types.ts';

const STRONG: StoreDurability = { state: 'strong', reasons: [], reachable: true };

/** A store that says nothing of itself keeps the seam's promise always: durable when a commit resolves. */
export function durabilityOf(store: KeyValueStore): StoreDurability {
  return store.durability?.() ?? STRONG;
}
