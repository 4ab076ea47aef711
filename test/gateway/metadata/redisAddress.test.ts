import { describe, expect, test } from 'vitest';
import { readConfig } from '../../../gateway/config.ts';
import { metadataName } from '../../../gateway/metadata/name.ts';
import { parseRedisAddress, redisName } from '../../../gateway/metadata/redisAddress.ts';

describe('addresses of Redis protocol stores', () => {
  test('one server, with everything', () => {
    expect(
      parseRedisAddress(
        'rediss://me:p%40ss%3A@[::1]:7000/3?prefix=a.b&partitions=4&durability=weak&replicas=2&ca=/etc/ca.pem',
      ),
    ).toEqual({
      mode: 'single',
      hosts: [{ host: '::1', port: 7000 }],
      masterName: '',
      database: 3,
      username: 'me',
      password: 'p@ss:',
      tls: true,
      caFile: '/etc/ca.pem',
      sentinelAuth: false,
      prefix: 'a.b',
      partitions: 4,
      durability: 'weak',
      replicas: 2,
    });
  });

  test('defaults', () => {
    expect(parseRedisAddress('redis://h')).toMatchObject({
      hosts: [{ host: 'h', port: 6379 }],
      database: 0,
      username: undefined,
      password: undefined,
      tls: false,
      prefix: 'shardway',
      partitions: undefined,
      durability: 'strict',
      replicas: 0,
    });
    expect(parseRedisAddress('redis://:pw@h')).toMatchObject({ username: undefined, password: 'pw' });
    expect(parseRedisAddress('redis://me@h')).toMatchObject({ username: 'me', password: undefined });
  });

  test('Sentinel, Cluster and Valkey', () => {
    expect(parseRedisAddress('redis+sentinel://a,b:5/mine/2?sentinel-auth=yes')).toMatchObject({
      mode: 'sentinel',
      hosts: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 5 },
      ],
      masterName: 'mine',
      database: 2,
      sentinelAuth: true,
    });
    expect(parseRedisAddress('valkeys+cluster://a:1,b:2')).toMatchObject({ mode: 'cluster', tls: true });
    expect(parseRedisAddress('valkey://a')).toMatchObject({ mode: 'single', tls: false });
  });

  test.each([
    'redis://',
    'redis://a:70000',
    'redis://a:0',
    'redis://a b',
    'redis://a,b',
    'redis://a/x',
    'redis://a/1/2',
    'redis://s3cret@b@a',
    'redis://%zz:s3cret@a',
    'redis://u:s3cret#@a',
    'redis+sentinel://a',
    'redis+cluster://a/1',
    'redis+cluster://a?partitions=0',
    'redis+cluster://a?partitions=2000',
    'redis://a?replicas=-1',
    'redis://a?durability=s3cret',
    'redis://a?password=s3cret',
    'redis://a?prefix={s3cret}',
    'redis://a?prefix=',
    'redis://a?sentinel-auth=1',
  ])('%s is refused, and no part of it repeated', (text) => {
    expect(() => parseRedisAddress(text)).toThrow(expect.objectContaining({ kind: 'Unavailable' }));
    expect(() => parseRedisAddress(text)).toThrow(/^(?!.*s3cret)the address of the metadata store /);
  });

  test('names leave out user, password and options', () => {
    const named = (text: string): string => redisName(parseRedisAddress(text));
    expect(named('redis://me:s3cret@h/2?prefix=p')).toBe('redis://h:6379/2');
    expect(named('valkeys://me:s3cret@[::1]:7')).toBe('rediss://[::1]:7');
    expect(named('redis+sentinel://:s3cret@a,b/mine')).toBe('redis+sentinel://a:26379,b:26379/mine');
    expect(metadataName('lmdb')).toBe('lmdb');
  });

  test('the configuration takes them, and its errors do not repeat them', () => {
    const spec = 'redis+cluster://:s3cret@a:1,b:2?partitions=16';
    expect(readConfig({}, { SHARDWAY_METADATA: spec }).metadata).toBe(spec);
    const wrong = (): unknown => readConfig({}, { SHARDWAY_METADATA: 'redis://:s3cret@a/x' });
    expect(wrong).toThrow(/^SHARDWAY_METADATA \(--metadata\) is wrong: (?!.*s3cret)/);
  });
});
