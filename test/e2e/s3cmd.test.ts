import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absent, makeFile, makeTree, run } from '../support/programs.ts';
import { startServer } from '../support/server.ts';
import type { Protocol, Server } from '../support/server.ts';

describe.skipIf(absent('s3cmd')).each<Protocol>(['http', 'https'])('s3cmd over %s', (protocol) => {
  let server: Server;
  let work: string;
  const s3cmd = async (...args: string[]) => await run('s3cmd', ['--config', join(work, 's3cfg'), ...args]);

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'shardway-s3cmd-'));
    server = await startServer({ protocol });
    const host = new URL(server.endpoint).host;
    await writeFile(
      join(work, 's3cfg'),
      [
        '[default]',
        `access_key = ${server.accessKey}`,
        `secret_key = ${server.secretKey}`,
        `host_base = ${host}`,
        `host_bucket = ${host}`,
        `use_https = ${protocol === 'https' ? 'True' : 'False'}`,
        `ca_certs_file = ${server.certificate ?? ''}`,
        'multipart_chunk_size_mb = 5',
      ].join('\n'),
    );
  });
  afterAll(async () => {
    await server.stop();
    await rm(work, { recursive: true, force: true });
  });

  test('mb, put, multipart put, get, cp, mv, info, sync, del, rb', async () => {
    const file = join(work, 'file.bin');
    await makeFile(file, 17 * 1024 * 1024 + 1);
    await s3cmd('mb', 's3://s3cmd-bucket');
    await s3cmd('put', file, 's3://s3cmd-bucket/a b/ünï+code.bin');
    await s3cmd('get', '--force', 's3://s3cmd-bucket/a b/ünï+code.bin', join(work, 'back.bin'));
    await run('cmp', [file, join(work, 'back.bin')]);
    await s3cmd('cp', 's3://s3cmd-bucket/a b/ünï+code.bin', 's3://s3cmd-bucket/copy.bin');
    await s3cmd('mv', 's3://s3cmd-bucket/copy.bin', 's3://s3cmd-bucket/moved.bin');
    expect((await s3cmd('info', 's3://s3cmd-bucket/moved.bin')).stdout).toContain(
      String(17 * 1024 * 1024 + 1),
    );
    expect((await s3cmd('info', 's3://s3cmd-bucket')).stdout).toContain('us-east-1');

    const source = join(work, 'source');
    await makeTree(source, 60);
    await s3cmd('sync', `${source}/`, 's3://s3cmd-bucket/tree/');
    await s3cmd('sync', 's3://s3cmd-bucket/tree/', `${join(work, 'target')}/`);
    await run('diff', ['-r', '--brief', source, join(work, 'target')]);

    await s3cmd('del', '--recursive', '--force', 's3://s3cmd-bucket');
    await s3cmd('rb', 's3://s3cmd-bucket');
  });
});
