import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/programs.ts';
import { startServer } from '../support/server.ts';
import type { Protocol, Server } from '../support/server.ts';

const SCRIPT = join(import.meta.dirname, 'scripts/sdk_client.ts');

// In a process of its own, so that it trusts the test's certificate through NODE_EXTRA_CA_CERTS.
describe.each<Protocol>(['http', 'https'])('JavaScript SDKs over %s', (protocol) => {
  let server: Server;
  beforeAll(async () => {
    server = await startServer({ protocol });
  });
  afterAll(async () => {
    await server.stop();
  });

  test('AWS SDK v3 with lib-storage, and minio-js', async () => {
    const { stdout } = await run(
      process.execPath,
      [SCRIPT, server.endpoint, server.accessKey, server.secretKey],
      {
        env: server.certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: server.certificate },
      },
    );
    expect(stdout).toBe('ok\n');
  });
});
