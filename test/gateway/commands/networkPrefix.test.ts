import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { networkPrefixTowards, prefixOf } from '../../../gateway/commands/networkPrefix.ts';
import { ConfigError } from '../../../gateway/config.ts';

test.each([
  ['203.0.113.77', '203.0.113.0/24'],
  ['::ffff:203.0.113.77', '203.0.113.0/24'],
  ['2001:db8:12:34:56:78:9a:bc', '2001:db8:12::/48'],
  ['2001:0db8::1', '2001:db8:0::/48'],
  ['fe80::1%eth0', 'fe80:0:0::/48'],
  ['::1', '0:0:0::/48'],
])('the prefix of %s is %s', (address, prefix) => {
  expect(prefixOf(address)).toBe(prefix);
});

test('a gateway on this machine is reached from it', async () => {
  expect(await networkPrefixTowards('http://127.0.0.1:9000')).toBe('127.0.0.0/24');
});

const outward = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal);

test.runIf(outward !== undefined)(
  'a gateway elsewhere is reached from the address that leads there',
  async () => {
    const { address } = outward!;
    expect(await networkPrefixTowards(`http://${address}:9000`)).toBe(prefixOf(address));
    expect(prefixOf(address)).not.toBe('127.0.0.0/24');
  },
);

test.each(['nothing', 'http://no-such-host.invalid:1'])('what leads nowhere is an error: %s', async (url) => {
  await expect(networkPrefixTowards(url)).rejects.toThrow(ConfigError);
});
