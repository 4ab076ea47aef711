import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absent, makeFile, makeTree, run } from '../support/programs.ts';
import { startServer } from '../support/server.ts';
import type { Protocol, Server } from '../support/server.ts';

const FILES = Number(process.env['SHARDWAY_E2E_FILES'] ?? 10_000);
const LARGE_BYTES = Number(process.env['SHARDWAY_E2E_LARGE_MIB'] ?? 1024) * 1024 * 1024;

describe.skipIf(absent('rclone')).each<Protocol>(['http', 'https'])('rclone over %s', (protocol) => {
  let server: Server;
  let work: string;
  const rclone = async (...args: string[]) =>
    await run(
      'rclone',
      [...(server.certificate === undefined ? [] : ['--ca-cert', server.certificate]), ...args],
      {
        env: {
          RCLONE_CONFIG: join(work, 'none.conf'),
          RCLONE_CONFIG_SHARDWAY_TYPE: 's3',
          RCLONE_CONFIG_SHARDWAY_PROVIDER: 'Other',
          RCLONE_CONFIG_SHARDWAY_ENDPOINT: server.endpoint,
          RCLONE_CONFIG_SHARDWAY_REGION: 'us-east-1',
          RCLONE_CONFIG_SHARDWAY_ACCESS_KEY_ID: server.accessKey,
          RCLONE_CONFIG_SHARDWAY_SECRET_ACCESS_KEY: server.secretKey,
        },
      },
    );

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'shardway-rclone-'));
    server = await startServer({ protocol });
  });
  afterAll(async () => {
    await server.stop();
    await rm(work, { recursive: true, force: true });
  });

  test(`syncs a tree of ${FILES} files and a large one up and down, without a difference`, async () => {
    const source = join(work, 'source');
    await makeTree(source, FILES);
    await makeFile(join(source, 'large.bin'), LARGE_BYTES);
    await rclone('sync', source, 'shardway:tree', '--transfers', '16', '--checkers', '16');
    const check = await rclone('check', '--download', '--checkers', '16', source, 'shardway:tree');
    expect(check.stderr).toContain('0 differences found');
    expect(check.stderr).toContain(`${FILES + 1} matching files`);

    const target = join(work, 'target');
    await rclone('sync', 'shardway:tree', target, '--transfers', '16', '--checkers', '16');
    await run('diff', ['-r', '--brief', source, target]);

    // A second sync moves nothing: times and sizes came back as they went.
    const again = await rclone('sync', source, 'shardway:tree', '--checkers', '16', '-v', '--stats-one-line');
    expect(again.stderr).toContain('There was nothing to transfer');
  });

  test('moves, lists, deletes and purges', async () => {
    await rclone('moveto', 'shardway:tree/large.bin', 'shardway:tree/moved/large.bin');
    expect((await rclone('lsf', 'shardway:tree/moved')).stdout).toBe('large.bin\n');
    await rclone('delete', 'shardway:tree/d1');
    expect((await rclone('lsf', '-R', '--files-only', 'shardway:tree/d1')).stdout).toBe('');
    await rclone('purge', 'shardway:tree');
    expect((await rclone('lsd', 'shardway:')).stdout).toBe('');
  });
});
