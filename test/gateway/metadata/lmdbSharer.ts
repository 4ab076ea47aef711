/** Run as a worker of its own by lmdbShared.test.ts: `<directory> <name> race|write|ping`. */

import { setImmediate } from 'node:timers/promises';
import { openLmdbStore } from '../../../gateway/metadata/lmdb.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const [directory = '', name = '', mode = ''] = process.argv.slice(2);
const store = openLmdbStore({ directory, shared: true });

const MODES: Readonly<Record<string, () => Promise<void>>> = { race, write, follow };
await MODES[mode]!();
await store.close();

/** Claims 300 keys, each only if nobody has it, and adds to one counter 100 times; prints what it won. */
async function race(): Promise<void> {
  process.stdout.write('ready\n');
  while (!(await store.get(0, bytes('go')))) await setImmediate();
  const won: number[] = [];
  const claim = async (index: number): Promise<void> => {
    const key = bytes(`claim${index}`);
    if (await store.commit(0, { checks: [{ key, value: null }], puts: [[key, bytes(name)]] }))
      won.push(index);
  };
  const claims = Array.from({ length: 300 }, (_, index) => index);
  for (let at = 0; at < claims.length; at += 10) await Promise.all(claims.slice(at, at + 10).map(claim));
  for (let added = 0; added < 100;) if (await addOne()) added++;
  process.stdout.write(`${JSON.stringify(won)}\n`);
}

async function addOne(): Promise<boolean> {
  const key = bytes('count');
  const value = (await store.get(0, key)) ?? null;
  const next = bytes(String(Number(value ? Buffer.from(value).toString() : '0') + 1));
  return await store.commit(0, { checks: [{ key, value }], puts: [[key, next]] });
}

/** Commits pairs of keys for ever; prints a pair's name once it is acknowledged. */
async function write(): Promise<void> {
  let count = 0;
  const worker = async (): Promise<never> => {
    for (;;) {
      const pair = `${name}-${String(count++).padStart(7, '0')}`;
      const value = new Uint8Array(3_000).fill(7);
      await store.commit(0, {
        checks: [{ key: bytes(`a${pair}`), value: null }],
        puts: [
          [bytes(`a${pair}`), value],
          [bytes(`b${pair}`), value],
        ],
      });
      process.stdout.write(`${pair}\n`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** Reads a key as soon as it is told on stdin that it was written, and prints what it read. */
async function follow(): Promise<void> {
  process.stdout.write('ready\n');
  let text = '';
  for await (const piece of process.stdin) {
    text += String(piece);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const key = bytes(text.slice(0, end));
      text = text.slice(end + 1);
      const found = await store.get(0, key);
      const [entry] = await store.scan(0, { from: key, to: Buffer.concat([key, Buffer.of(0)]), limit: 1 });
      process.stdout.write(`${found && entry ? 'seen' : 'missed'}\n`);
    }
  }
}
