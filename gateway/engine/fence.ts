/**
 * The holder's fence: every commit of the background work checks that its session lives, in its own partition. A holder that stood still
 * until another took its place can change nothing more.
 */
import type { Commit, KeyValueStore } from '../metadata/types.ts';
import type { Session } from './session.ts';
import { EngineError } from './types.ts';

/** @param session entered in every partition */
export function fenced(kv: KeyValueStore, session: Session): KeyValueStore {
  return {
    partitions: kv.partitions,
    get: (partition, key) => kv.get(partition, key),
    scan: (partition, range) => kv.scan(partition, range),
    async commit(partition, { checks = [], puts = [], deletes = [] }: Commit) {
      const alive = session.alive();
      if (await kv.commit(partition, { checks: [alive, ...checks], puts, deletes })) return true;
      if (checks.length > 0 && (await kv.get(partition, alive.key))) return false;
      throw new EngineError('Unavailable', 'This process does the background work no longer');
    },
    close: () => kv.close(),
  };
}
