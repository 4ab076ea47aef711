import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JoinToken, NetworkOperator } from '#placement';
import { ConfigError } from '../../../gateway/config.ts';
import { Monitor, TestNetwork, activeMonitor } from '../../placement/network/harness.ts';
import { adminOf, runCommand } from './running.ts';
import type { Ran } from './running.ts';

/** A chain that nothing is revealed of: a real one takes a while to make. */
const CHAIN = { beaconTip: 'c'.repeat(64) };

describe('an operator of a network', () => {
  let network: TestNetwork;
  let run: (...args: string[]) => Promise<Ran>;

  beforeEach(async () => {
    network = await TestNetwork.start();
    const data = await adminOf(network.service);
    run = (...args) => runCommand(...args, '--data', data);
  });
  afterEach(() => network.close());

  const listed = async (...flags: string[]): Promise<JoinToken[]> =>
    JSON.parse((await run('tokens', 'list', '--json', ...flags)).stdout) as JoinToken[];

  test('gets a token alone on standard output, and takes it back by its id or by itself', async () => {
    const { stdout, stderr, code } = await run('tokens', 'create', '--for', 'hypernode', '--uses', '2');
    const token = stdout.trim();
    const [kept] = await listed();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sj_[0-9a-f]{32}_[0-9a-f]{32}\n$/);
    expect(stderr).toContain(`Token ${kept!.id}, good for 2 hypernodes until `);
    expect(stderr).toContain(new Date(kept!.expiresAt).toISOString());
    expect(stderr).not.toContain(token.slice(-32));
    expect((await run('tokens', 'remove', token)).stdout).toBe(`${kept!.id}: removed\n`);
    expect(await listed()).toEqual([]);
    await run('tokens', 'create', '--for', 'provider');
    const [other] = await listed();
    await run('tokens', 'remove', other!.id);
    expect(await listed()).toEqual([]);
    await expect(run('tokens', 'remove', other!.id)).rejects.toThrow('There is no such token');
    const json = await run('tokens', 'create', '--for', 'provider', '--hours', '2', '--json');
    expect(json.stderr).toBe('');
    expect(JSON.parse(json.stdout)).toMatchObject({ role: 'provider', usesLeft: 1 });
  });

  test('sees tokens that are used up or have expired on demand only', async () => {
    const { stdout } = await run('tokens', 'create', '--for', 'hypernode');
    await run('tokens', 'create', '--for', 'provider', '--hours', '1');
    await run('tokens', 'create', '--for', 'provider', '--hours', '3');
    await new Monitor(network).register('m', { token: stdout.trim(), ...CHAIN });
    expect((await listed()).map(({ usesLeft }) => usesLeft)).toEqual([1, 1]);
    network.clock.advance(2 * 3_600_000);
    expect(await listed()).toHaveLength(1);
    expect((await listed('--all')).map(({ role }) => role)).toEqual(['hypernode', 'provider', 'provider']);
  });

  test('is told of the network in the status', async () => {
    await new Monitor(network).register('m', CHAIN);
    const status = JSON.parse((await run('status', '--json')).stdout) as object;
    expect(status).toMatchObject({ network: { monitors: { applied: 1 }, groups: 0, groupsMin: 1 } });
  });

  test('names a party by the beginning of its id, and hears what it can do', async () => {
    const monitor = new Monitor(network);
    await monitor.register('m', CHAIN);
    const short = monitor.id.slice(0, 8);
    expect((await run('hypernodes', 'approve', short)).stdout).toBe(`${monitor.id}: approved\n`);
    expect(network.service.state.monitors[monitor.id]!.state).toBe('active');
    await expect(run('hypernodes', 'approve', short)).rejects.toThrow(
      /is active already; possible now: remove/,
    );
    expect(JSON.parse((await run('hypernodes', 'remove', monitor.id, '--json')).stdout)).toEqual({
      id: monitor.id,
      command: 'remove',
    });
    await expect(run('providers', 'inspect', short)).rejects.toThrow(`begins with ${short}`);
    await expect(run('providers', 'inspect', monitor.id)).rejects.toThrow('there is no such provider');
  });

  test('replays the log: a summary, and the whole state on demand', async () => {
    const monitor = await activeMonitor(network);
    await network.nextEra();
    const replayed = async (...flags: string[]): Promise<Record<string, unknown>> => {
      const { stdout, code } = await runCommand('oracle', 'replay', '--data', network.root, ...flags);
      expect(code).toBe(0);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const summary = await replayed('--json');
    expect(summary).toMatchObject({
      agree: true,
      eras: 1,
      head: { hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
      providers: {},
      hypernodes: { [monitor.id]: { state: 'active' } },
    });
    expect(summary).not.toHaveProperty('state');
    expect(await replayed('--state')).toMatchObject({ agree: true, state: { gateway: network.gateway.id } });
    const { stdout } = await runCommand('oracle', 'replay', '--data', network.root);
    expect(stdout).toContain('all agree; the log ends with ');
    await expect(runCommand('oracle', 'replay', '--data', join(network.root, 'no'))).rejects.toThrow(
      'no log',
    );
  });
});

test('a beginning that several ids have is refused, and they are named', async () => {
  const ids = ['1', '2'].map((end) => `${'a'.repeat(31)}${end}`);
  // Two identities that begin alike are not to be had.
  const monitors = () => ids.map((id) => ({ id }));
  const data = await adminOf({ monitors } as unknown as NetworkOperator);
  const asked = runCommand('hypernodes', 'remove', 'a'.repeat(12), '--data', data);
  await expect(asked).rejects.toThrow(ConfigError);
  await expect(asked).rejects.toThrow(ids.join(' or '));
});
