import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import {
  checkEndpoint,
  guardedLookup,
  isLoopbackHost,
  type AddressRules,
} from '../../../placement/network/addressRules.ts';

const rules = (allowPrivate: boolean): AddressRules => ({
  allowPrivate,
  listeners: () => [
    { host: '0.0.0.0', port: 9000 },
    { host: '127.0.0.1', port: 9002 },
    { host: '203.0.113.7', port: 9003 },
  ],
});

const ALWAYS_REFUSED = [
  'http://169.254.169.254',
  'http://169.254.0.1:9001',
  'http://[fe80::1]:9001',
  'http://[::ffff:169.254.169.254]:80',
  'http://[::ffff:a9fe:a9fe]',
  'http://[64:ff9b::a9fe:a9fe]',
  'http://[2002:a9fe:a9fe::1]',
  'http://[::a9fe:a9fe]',
  'http://[fd00:ec2::254]',
  'http://0.0.0.0:8000',
  'http://[::]:8000',
  'http://224.0.0.1',
  'http://255.255.255.255',
  'http://[ff02::1]',
  'http://100.100.100.200',
  'http://168.63.129.16',
  'http://2852039166',
  'http://0xa9fea9fe',
  'http://0251.0376.0251.0376',
];
const PRIVATE = [
  'http://127.0.0.1:8000',
  'http://127.1.2.3:8000',
  'http://localhost:8000',
  'http://[::1]:8000',
  'http://[::ffff:127.0.0.1]:8000',
  'http://10.1.2.3',
  'http://172.16.0.1',
  'http://192.168.1.1',
  'http://100.64.0.1',
  'http://[fc00::1]',
  'http://[fd12:3456::1]',
];
const PUBLIC = [
  'http://192.0.2.1',
  'https://203.0.113.9:9443',
  'http://[2001:db8::1]:9000',
  'http://172.32.0.1',
];
const OWN = [
  'http://127.0.0.1:9000',
  'http://127.9.9.9:9002',
  'http://[::1]:9000',
  'http://[::ffff:127.0.0.1]:9002',
  'http://localhost:9002',
  'http://203.0.113.7:9003',
];

describe('addresses of providers', () => {
  test.each(ALWAYS_REFUSED)('%s is refused, private networks allowed or not', async (endpoint) => {
    await expect(checkEndpoint(endpoint, rules(true))).rejects.toMatchObject({ kind: 'Refused' });
    await expect(checkEndpoint(endpoint, rules(false))).rejects.toMatchObject({ kind: 'Refused' });
  });

  test.each(PRIVATE)('%s is taken where private networks are allowed', async (endpoint) => {
    await expect(checkEndpoint(endpoint, rules(true))).resolves.toBeUndefined();
    await expect(checkEndpoint(endpoint, rules(false))).rejects.toMatchObject({ kind: 'Refused' });
  });

  test.each(PUBLIC)('%s is taken', async (endpoint) => {
    await expect(checkEndpoint(endpoint, rules(false))).resolves.toBeUndefined();
  });

  test.each(OWN)('%s is a listener of the gateway itself', async (endpoint) => {
    await expect(checkEndpoint(endpoint, rules(true))).rejects.toMatchObject({ kind: 'Refused' });
  });

  test('every address of this machine is the gateway itself at the port of a listener', async () => {
    const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    expect(own.length).toBeGreaterThan(0);
    for (const { address, family } of own) {
      const host = family === 'IPv6' ? `[${address}]` : address;
      await expect(checkEndpoint(`http://${host}:9000`, rules(true))).rejects.toMatchObject({
        kind: 'Refused',
      });
    }
  });

  test('a name is refused by what it resolves to, at the call too', async () => {
    await expect(checkEndpoint('http://localhost:80', rules(false))).rejects.toMatchObject({
      kind: 'Refused',
    });
    const found = (allowPrivate: boolean): Promise<string | undefined> =>
      new Promise((resolve) => {
        guardedLookup(rules(allowPrivate), 80)('localhost', {}, (error, address) =>
          resolve(error ? (error as { kind?: string }).kind : typeof address),
        );
      });
    expect(await found(true)).toBe('string');
    expect(await found(false)).toBe('Refused');
  });

  test('loopback hosts', () => {
    expect(['127.0.0.1', 'localhost', '::1', '[::1]'].every(isLoopbackHost)).toBe(true);
    expect(['0.0.0.0', '10.0.0.1', '::', 'example.net'].some(isLoopbackHost)).toBe(false);
  });
});
