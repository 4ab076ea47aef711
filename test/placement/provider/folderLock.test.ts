import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from '../../../placement/provider/folderLock.ts';
import { scratch } from '../directories.ts';

let folder: Awaited<ReturnType<typeof scratch>>;
beforeEach(async () => {
  folder = await scratch();
});
afterEach(async () => {
  await folder.remove();
});

test('one at a time, within a process too; giving back twice gives back once', () => {
  const path = join(folder.path, 'made', 'here');
  const first = lockFolder(path);
  expect(() => lockFolder(path)).toThrow(new RegExp(`in use by another process \\(pid ${process.pid} on `));
  first();
  const second = lockFolder(path);
  first();
  expect(() => lockFolder(path)).toThrow(/in use/);
  second();
});

test('a folder whose owner was killed is free at once, whatever it has left', async () => {
  const holder = await holderOf(folder.path);
  expect(() => lockFolder(folder.path)).toThrow(
    new RegExp(`in use by another process \\(pid ${holder.pid} on `),
  );
  await holder.kill();
  lockFolder(folder.path)();
});

test('what cannot be locked is said', async () => {
  const file = join(folder.path, 'file');
  await writeFile(file, '');
  expect(() => lockFolder(file)).toThrow(
    expect.objectContaining({
      kind: 'BadConfiguration',
      message: expect.stringContaining(`cannot lock ${file}`) as string,
    }) as Error,
  );
});

/** A process that locks a folder and does nothing else. */
async function holderOf(path: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const module = new URL('../../../placement/provider/folderLock.ts', import.meta.url).href;
  const script = `
    const { lockFolder } = await import(${JSON.stringify(module)});
    lockFolder(${JSON.stringify(path)});
    console.log('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(
    process.execPath,
    ['--conditions=shardway-source', '--input-type=module', '-e', script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  await Promise.race([
    once(child.stdout, 'data'),
    exited.then(() => {
      throw new Error('the holder of the lock has ended');
    }),
  ]);
  return {
    pid: child.pid!,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
