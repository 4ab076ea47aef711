import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absent, makeFile, makeTree, run } from '../support/programs.ts';
import { startServer } from '../support/server.ts';
import type { Protocol, Server } from '../support/server.ts';

describe.skipIf(absent('restic')).each<Protocol>(['http', 'https'])('restic over %s', (protocol) => {
  let server: Server;
  let work: string;
  const restic = async (...args: string[]) =>
    await run(
      'restic',
      [...(server.certificate === undefined ? [] : ['--cacert', server.certificate]), ...args],
      {
        env: {
          RESTIC_REPOSITORY: `s3:${server.endpoint}/restic-repository/deep/prefix`,
          RESTIC_PASSWORD: 'a password for the test',
          RESTIC_CACHE_DIR: join(work, 'cache'),
          AWS_ACCESS_KEY_ID: server.accessKey,
          AWS_SECRET_ACCESS_KEY: server.secretKey,
        },
      },
    );

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'shardway-restic-'));
    server = await startServer({ protocol });
  });
  afterAll(async () => {
    await server.stop();
    await rm(work, { recursive: true, force: true });
  });

  test('init, two backups, check --read-data, restore, forget --prune', async () => {
    const source = join(work, 'source');
    await makeTree(source, 500);
    await makeFile(join(source, 'large.bin'), 64 * 1024 * 1024);
    await restic('init');
    await restic('backup', source);
    await appendFile(join(source, 'large.bin'), 'a change');
    await writeFile(join(source, 'new.txt'), 'a new file');
    await restic('backup', source);
    expect((await restic('check', '--read-data')).stdout).toContain('no errors were found');

    const target = join(work, 'target');
    await restic('restore', 'latest', '--target', target);
    await run('diff', ['-r', '--brief', source, join(target, source)]);

    await restic('forget', '--keep-last', '1', '--prune');
    expect((await restic('check', '--read-data')).stdout).toContain('no errors were found');
    expect(JSON.parse((await restic('snapshots', '--json')).stdout)).toHaveLength(1);
  });
});
