/** Run as a process of its own by lmdb.test.ts: `<directory> <round>` commits for ever, `<directory> fill` fills a small disk. */

import { openLmdbStore } from '../../../gateway/metadata/lmdb.ts';
import { MetadataError } from '../../../gateway/metadata/types.ts';
import type { KeyValueStore } from '../../../gateway/metadata/types.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const [directory = '', mode = ''] = process.argv.slice(2);
const store = openLmdbStore({ directory });
await (mode === 'fill' ? fill() : commitForEver());

/** Commits of two keys each; prints a commit's name once it has resolved. */
async function commitForEver(): Promise<void> {
  let count = 0;
  const worker = async (): Promise<never> => {
    for (;;) {
      const name = `${mode}-${String(count++).padStart(7, '0')}`;
      const value = bytes(name);
      await store.commit(0, {
        checks: [{ key: bytes(`a${name}`), value: null }],
        puts: [
          [bytes(`a${name}`), value],
          [bytes(`b${name}`), value],
        ],
      });
      process.stdout.write(`${name}\n`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

async function fill(): Promise<void> {
  const value = new Uint8Array(50_000).fill(1);
  const stored: string[] = [];
  let error = 'none';
  let refused = '';
  for (let index = 0; error === 'none' && index < 200; index++) {
    refused = `k${index}`;
    try {
      await store.commit(0, {
        puts: [
          [bytes(refused), value],
          [bytes(`also ${refused}`), value],
        ],
      });
      stored.push(refused);
    } catch (reason) {
      error = reason instanceof MetadataError ? reason.kind : String(reason);
    }
  }
  const readsWhileFull = (await store.get(0, bytes('k0')))?.length === value.length;
  const lost = await missing(store, stored);
  const partial = Boolean(await store.get(0, bytes(`also ${refused}`)));
  await store.commit(0, { deletes: stored.map((name) => bytes(`also ${name}`)) });
  const smallWriteAfterDeletes = await store.commit(0, { puts: [[bytes('small'), bytes('1')]] });
  await store.close();
  const again = openLmdbStore({ directory });
  const lostAfterReopen = await missing(again, [...stored, 'small']);
  await again.close();
  const report = { error, lost, partial, readsWhileFull, smallWriteAfterDeletes, lostAfterReopen };
  process.stdout.write(JSON.stringify(report));
}

async function missing(from: KeyValueStore, names: readonly string[]): Promise<number> {
  const found = await Promise.all(names.map((name) => from.get(0, bytes(name))));
  return found.filter((value) => value === undefined).length;
}
