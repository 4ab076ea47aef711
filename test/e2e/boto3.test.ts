import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absent, run } from '../support/programs.ts';
import { startServer } from '../support/server.ts';
import type { Protocol, Server } from '../support/server.ts';

const SCRIPT = join(import.meta.dirname, 'scripts/boto3_client.py');

// From 1.36 on boto3 sends checksums by default, in trailers over TLS; the older one signs bodies and sends Content-MD5.
describe.each(['python-boto3-new', 'python-boto3-old'])('%s', (python) => {
  describe.skipIf(absent(python)).each<Protocol>(['http', 'https'])('over %s', (protocol) => {
    let server: Server;
    beforeAll(async () => {
      server = await startServer({ protocol });
    });
    afterAll(async () => {
      await server.stop();
    });

    test('objects, ranges, transfers, checksums, listing, errors', async () => {
      const { stdout } = await run(python, [SCRIPT, server.endpoint, server.accessKey, server.secretKey], {
        env: server.certificate === undefined ? {} : { AWS_CA_BUNDLE: server.certificate },
      });
      expect(stdout).toMatch(/^ok /);
    });
  });
});
