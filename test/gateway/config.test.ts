import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig, unknownSettings } from '../../gateway/config.ts';

describe('readConfig', () => {
  test('defaults serve on loopback with 4+2 and no credentials of its own', () => {
    const config = readConfig({}, {});
    expect(config.listen).toEqual({ host: '127.0.0.1', port: 9000 });
    expect(config.adminListen.host).toBe('127.0.0.1');
    expect(config.profile).toEqual({ data: 4, parity: 2 });
    expect(config.data).toBe(resolve('data'));
    expect(config.root).toBeUndefined();
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('flags win over the environment, an empty variable counts as absent', () => {
    const config = readConfig(
      { region: 'eu-west-1' },
      { SHARDWAY_REGION: 'us-west-2', SHARDWAY_PROFILE: '' },
    );
    expect(config.region).toBe('eu-west-1');
    expect(config.profile).toEqual({ data: 4, parity: 2 });
  });

  test('reads IPv6, provider lists and TLS', () => {
    const config = readConfig(
      {},
      {
        SHARDWAY_LISTEN: '[::1]:9443',
        SHARDWAY_PROVIDERS: '/a, eu/fra/acme=/b',
        SHARDWAY_TLS_CERT: 'c.pem',
        SHARDWAY_TLS_KEY: 'k.pem',
      },
    );
    expect(config.listen).toEqual({ host: '::1', port: 9443 });
    expect(config.providers).toEqual(['/a', 'eu/fra/acme=/b']);
    expect(config.tls).toEqual({ certFile: 'c.pem', keyFile: 'k.pem' });
  });

  test.each([
    [{ SHARDWAY_LISTEN: '127.0.0.1' }, /SHARDWAY_LISTEN \(--listen\)/],
    [{ SHARDWAY_LISTEN: '127.0.0.1:70000' }, /SHARDWAY_LISTEN/],
    [{ SHARDWAY_PROFILE: '4-2' }, /SHARDWAY_PROFILE.*k\+m/],
    [{ SHARDWAY_PROFILE: '0+2' }, /SHARDWAY_PROFILE/],
    [{ SHARDWAY_METADATA: 'mongodb' }, /SHARDWAY_METADATA.*lmdb/],
    [{ SHARDWAY_TLS_CERT: 'c.pem' }, /SHARDWAY_TLS_KEY/],
    [{ SHARDWAY_ROOT_ACCESS_KEY: 'somekey' }, /SHARDWAY_ROOT_SECRET_KEY/],
    [{ SHARDWAY_ROOT_ACCESS_KEY: 'a b', SHARDWAY_ROOT_SECRET_KEY: 'x' }, /SHARDWAY_ROOT_ACCESS_KEY/],
    [{ SHARDWAY_REGION: 'EU west' }, /SHARDWAY_REGION/],
    [{ SHARDWAY_DOMAIN: '10.0.0.1' }, /SHARDWAY_DOMAIN/],
    [{ SHARDWAY_PROVIDERS: '/a,,/b' }, /SHARDWAY_PROVIDERS/],
    [{ SHARDWAY_LOG_LEVEL: 'loud' }, /SHARDWAY_LOG_LEVEL/],
    [{ SHARDWAY_UPLOAD_MEMORY: '1' }, /SHARDWAY_UPLOAD_MEMORY/],
    [{ SHARDWAY_WORKERS: '0' }, /SHARDWAY_WORKERS.* at least 1, or auto; got '0'/],
    [{ SHARDWAY_WORKERS: 'many' }, /SHARDWAY_WORKERS.* at least 1, or auto; got 'many'/],
    [{ SHARDWAY_WORKERS: '257' }, /SHARDWAY_WORKERS/],
    [{ SHARDWAY_WORKERS: '2', SHARDWAY_METADATA: 'memory' }, /SHARDWAY_WORKERS/],
  ])('refuses %j with the setting named', (environment, message) => {
    expect(() => readConfig({}, environment)).toThrow(ConfigError);
    expect(() => readConfig({}, environment)).toThrow(message);
  });
});

test('a variable that looks like a setting and is none is found, what Kubernetes adds is not', () => {
  const environment = {
    SHARDWAY_WORKER: 'auto',
    SHARDWAY_WORKERS: '2',
    SHARDWAY_TOKEN: 't',
    SHARDWAY_S3_CREDENTIALS_COLD: 'a:b',
    SHARDWAY_SERVICE_HOST: '10.0.0.1',
    SHARDWAY_SERVICE_PORT_S3: '9000',
    SHARDWAY_PORT: 'tcp://10.0.0.1:9000',
    SHARDWAY_ADMIN_PORT_9001_TCP_ADDR: '10.0.0.1',
    HOME: '/root',
  };
  expect(unknownSettings(environment)).toEqual(['SHARDWAY_WORKER']);
});
