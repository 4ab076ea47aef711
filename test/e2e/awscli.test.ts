import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absent, makeFile, makeTree, run } from '../support/programs.ts';
import { startServer } from '../support/server.ts';
import type { Protocol, Server } from '../support/server.ts';

const LARGE_BYTES = Number(process.env['SHARDWAY_E2E_LARGE_MIB'] ?? 1024) * 1024 * 1024;

describe.skipIf(absent('aws')).each<Protocol>(['http', 'https'])('aws-cli over %s', (protocol) => {
  let server: Server;
  let work: string;
  const aws = async (...args: string[]) =>
    await run('aws', ['--endpoint-url', server.endpoint, ...args], {
      env: {
        AWS_ACCESS_KEY_ID: server.accessKey,
        AWS_SECRET_ACCESS_KEY: server.secretKey,
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_CONFIG_FILE: join(work, 'none'),
        AWS_SHARED_CREDENTIALS_FILE: join(work, 'none'),
        ...(server.certificate === undefined ? {} : { AWS_CA_BUNDLE: server.certificate }),
      },
    });

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'shardway-aws-'));
    server = await startServer({ protocol });
    await aws('s3', 'mb', 's3://aws-bucket');
  });
  afterAll(async () => {
    await server.stop();
    await rm(work, { recursive: true, force: true });
  });

  test('cp, mv, presign and rm of a large file', async () => {
    const file = join(work, 'large.bin');
    await makeFile(file, LARGE_BYTES);
    await aws('s3', 'cp', file, 's3://aws-bucket/large.bin', '--no-progress');
    await aws('s3', 'cp', 's3://aws-bucket/large.bin', join(work, 'back.bin'), '--no-progress');
    await run('cmp', [file, join(work, 'back.bin')]);

    await aws('s3', 'mv', 's3://aws-bucket/large.bin', 's3://aws-bucket/moved/large.bin', '--no-progress');
    expect((await aws('s3', 'ls', 's3://aws-bucket/')).stdout.trim()).toBe('PRE moved/');
    const url = (await aws('s3', 'presign', 's3://aws-bucket/moved/large.bin')).stdout.trim();
    const trust = server.certificate === undefined ? [] : ['--cacert', server.certificate];
    await run('curl', [
      '--fail',
      '--silent',
      '--show-error',
      ...trust,
      '-o',
      join(work, 'presigned.bin'),
      url,
    ]);
    await run('cmp', [file, join(work, 'presigned.bin')]);
    expect((await stat(join(work, 'presigned.bin'))).size).toBe(LARGE_BYTES);

    await aws('s3', 'rm', 's3://aws-bucket/moved/large.bin');
    expect((await aws('s3', 'ls', 's3://aws-bucket/', '--recursive')).stdout).toBe('');
  });

  test('sync up, down, and with --delete', async () => {
    const source = join(work, 'source');
    const target = join(work, 'target');
    await makeTree(source, 300);
    await aws('s3', 'sync', source, 's3://aws-bucket/tree', '--no-progress');
    await aws('s3', 'sync', 's3://aws-bucket/tree', target, '--no-progress');
    await run('diff', ['-r', '--brief', source, target]);
    expect((await aws('s3', 'sync', source, 's3://aws-bucket/tree', '--no-progress')).stdout).toBe('');

    await rm(join(source, 'd1'), { recursive: true });
    await aws('s3', 'sync', source, 's3://aws-bucket/tree', '--delete', '--no-progress');
    expect((await aws('s3', 'ls', 's3://aws-bucket/tree/')).stdout).not.toContain('PRE d1/');
    await aws('s3', 'rm', 's3://aws-bucket/tree', '--recursive');
    await aws('s3', 'rb', 's3://aws-bucket');
  });

  test('s3api: versions, tags, attributes and conditions', async () => {
    await aws('s3api', 'create-bucket', '--bucket', 'versions');
    await aws(
      's3api',
      'put-bucket-versioning',
      '--bucket',
      'versions',
      '--versioning-configuration',
      'Status=Enabled',
    );
    const file = join(work, 'small.txt');
    await makeFile(file, 1000);
    const first = JSON.parse(
      (
        await aws(
          's3api',
          'put-object',
          '--bucket',
          'versions',
          '--key',
          'a',
          '--body',
          file,
          '--tagging',
          'x=1&y=2',
        )
      ).stdout,
    ) as { VersionId: string };
    await aws('s3api', 'delete-object', '--bucket', 'versions', '--key', 'a');
    await expect(aws('s3api', 'head-object', '--bucket', 'versions', '--key', 'a')).rejects.toThrow('404');
    const get = [
      's3api',
      'get-object',
      '--bucket',
      'versions',
      '--key',
      'a',
      '--version-id',
      first.VersionId,
    ];
    await aws(...get, join(work, 'version.txt'));
    await run('cmp', [file, join(work, 'version.txt')]);
    const listed = JSON.parse(
      (await aws('s3api', 'list-object-versions', '--bucket', 'versions')).stdout,
    ) as {
      Versions: unknown[];
      DeleteMarkers: unknown[];
    };
    expect(listed.Versions).toHaveLength(1);
    expect(listed.DeleteMarkers).toHaveLength(1);
    const tags = [
      's3api',
      'get-object-tagging',
      '--bucket',
      'versions',
      '--key',
      'a',
      '--version-id',
      first.VersionId,
    ];
    expect(JSON.parse((await aws(...tags)).stdout)).toMatchObject({ TagSet: [{ Key: 'x' }, { Key: 'y' }] });
    await expect(aws(...get, '--if-match', 'nothing', join(work, 'no.txt'))).rejects.toThrow(
      'PreconditionFailed',
    );
  });
});
