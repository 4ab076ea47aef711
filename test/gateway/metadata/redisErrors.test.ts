import { describe, expect, test } from 'vitest';
import {
  failureOf,
  isHopeless,
  replyFailure,
  toMetadataError,
} from '../../../gateway/metadata/redisErrors.ts';

const reply = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' });
const commitError = (message: string): string => toMetadataError(failureOf(reply(message), true), true).kind;

describe('errors of Redis protocol servers', () => {
  test.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'Full'],
    ['-OOM command not allowed', 'Full'],
    ['MISCONF Errors writing to the AOF file: No space left on device', 'Full'],
    ['MISCONF Redis is configured to save RDB snapshots', 'Unavailable'],
    ["READONLY You can't write against a read only replica.", 'Unavailable'],
    ['CLUSTERDOWN The cluster is down', 'Unavailable'],
    ['MASTERDOWN Link with MASTER is down', 'Unavailable'],
    ['LOADING Redis is loading the dataset in memory', 'Unavailable'],
    ['BUSY Redis is busy running a script.', 'Unavailable'],
    ['TRYAGAIN Multiple keys request during rehashing of slot', 'Unavailable'],
    ['NOREPLICAS Not enough good replicas to write.', 'Unavailable'],
    ['NOAUTH Authentication required.', 'Unavailable'],
    ["NOPERM this user has no permissions to run the 'evalsha' command", 'Unavailable'],
    ["ERR unknown command 'EVALSHA'", 'Unavailable'],
    ['SHARDWAYLOST no marker', 'Corrupt'],
    // Whatever else a server says may have come in the midst of a script.
    ['ERR user_script:31: a commit was cut short: WRONGTYPE', 'Unknown'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'Unknown'],
    ['UNBLOCKED force unblock from blocking operation', 'Unknown'],
  ])('%s: a commit is %s', (message, kind) => {
    expect(commitError(message)).toBe(kind);
  });

  test('only what passes is tried again, and what perhaps ran is told apart', () => {
    expect(replyFailure('MOVED 1 h:1')).toMatchObject({ again: true, executed: 'no' });
    expect(replyFailure('OOM x')).toMatchObject({ again: false, executed: 'no' });
    expect(replyFailure('ERR x')).toMatchObject({ again: false, executed: 'perhaps' });
    const closed = new Error('Connection is closed.');
    expect(failureOf(closed, false)).toMatchObject({ again: true, executed: 'no', code: '' });
    expect(failureOf(closed, true)).toMatchObject({ again: true, executed: 'perhaps', code: '' });
    expect(toMetadataError(failureOf(closed, true), false).kind).toBe('Unavailable');
    expect(toMetadataError(failureOf(closed, true), true).kind).toBe('Unknown');
  });

  test('a wrong password will not become right, a refused connection may', () => {
    expect(isHopeless('WRONGPASS invalid username-password pair')).toBe(true);
    expect(isHopeless('self-signed certificate')).toBe(true);
    expect(isHopeless('connect ECONNREFUSED 127.0.0.1:6379')).toBe(false);
    expect(isHopeless('')).toBe(false);
  });

  test('the client’s error, which holds arguments, does not come along', () => {
    const error = Object.assign(reply('NOAUTH x'), { command: { name: 'auth', args: ['s3cret'] } });
    const { cause, message } = toMetadataError(failureOf(error, true), true);
    expect(cause).toBeUndefined();
    expect(message).not.toContain('s3cret');
  });
});
