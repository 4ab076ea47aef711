import { lookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import { NetworkError } from './errors.ts';

/** Where the gateway may be sent by what a stranger tells it. */
export interface AddressRules {
  /** Loopback and private networks may be named. */
  readonly allowPrivate: boolean;
  /** The gateway's own listeners: never to be called by itself. */
  listeners(): readonly { readonly host: string; readonly port: number }[];
}

type Range = readonly [address: string, bits: number, family?: 'ipv6'];

/**
 * Never a provider: "this" network, link-local (cloud metadata among it), multicast, reserved; and the metadata services that live elsewhere
 * (AWS over IPv6, Alibaba, Azure's wire server). IANA special-purpose registries, RFC 6890.
 */
const FORBIDDEN = blockList([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['192.0.0.0', 24],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['::', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
  ['fd00:ec2::', 32, 'ipv6'],
]);
const PRIVATE = blockList([
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['198.18.0.0', 15],
  ['::1', 128, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
]);
const LOOPBACK = blockList([
  ['127.0.0.0', 8],
  ['::1', 128, 'ipv6'],
]);

/**
 * The addresses that a provider's endpoint resolves to, when each of them may be called.
 * @throws NetworkError 'Refused', or 'Unavailable' when the name does not resolve
 */
export async function checkEndpoint(endpoint: string, rules: AddressRules): Promise<void> {
  const url = new URL(endpoint);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  for (const address of await resolveAll(host)) checkAddress(address, portOf(url), rules);
}

export function portOf({ port, protocol }: { readonly port: string; readonly protocol: string }): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}

/** For `lookup` of a connection to this port: a name that points elsewhere by the time of the call leads nowhere either. */
export function guardedLookup(rules: AddressRules, port: number): LookupFunction {
  return (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      const failure = error ?? refusalOf(found, port, rules);
      if (failure) done(failure, '', 0);
      else if (options.all === true) done(null, found);
      else done(null, found[0]!.address, found[0]!.family);
    });
  };
}

/** @throws NetworkError 'Refused' */
export function checkAddress(address: string, port: number, rules: AddressRules): void {
  const plain = embeddedIpv4(address) ?? address;
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(plain) === 0 || FORBIDDEN.check(plain, family)) {
    throw new NetworkError('Refused', `${address} is not an address that a provider can have`);
  }
  if (isOwn(plain, family, port, rules)) {
    throw new NetworkError('Refused', 'a provider cannot be at an address of the gateway itself');
  }
  if (!rules.allowPrivate && PRIVATE.check(plain, family)) {
    throw new NetworkError(
      'Refused',
      `${address} lies in a private network, which this gateway does not allow`,
    );
  }
}

/** Is a listener on this host reachable from this machine only? */
export function isLoopbackHost(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '');
  if (plain === 'localhost') return true;
  return isIP(plain) !== 0 && LOOPBACK.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
}

function isOwn(address: string, family: 'ipv4' | 'ipv6', port: number, rules: AddressRules): boolean {
  if (rules.listeners().every((listener) => listener.port !== port)) return false;
  if (LOOPBACK.check(address, family)) return true;
  if (rules.listeners().some((listener) => listener.port === port && listener.host === address)) return true;
  return Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address));
}

function refusalOf(found: readonly LookupAddress[], port: number, rules: AddressRules): Error | undefined {
  try {
    for (const { address } of found) checkAddress(address, port, rules);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

async function resolveAll(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  return await new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, found) => {
      if (error || found.length === 0) {
        reject(new NetworkError('Unavailable', `the name ${host} does not resolve`, { cause: error }));
      } else resolve(found.map(({ address }) => address));
    });
  });
}

/** IPv4 inside IPv6: mapped and compatible, NAT64 (RFC 6052), 6to4 (RFC 3056). */
function embeddedIpv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const groups = ipv6Groups(address);
  const leading = groups.slice(0, 6).join(':');
  if (leading === '0:0:0:0:0:65535' || leading === '100:65435:0:0:0:0') return dotted(groups[6]!, groups[7]!);
  if (leading === '0:0:0:0:0:0' && groups[6]! > 0) return dotted(groups[6]!, groups[7]!);
  if (groups[0] === 0x2002) return dotted(groups[1]!, groups[2]!);
  return undefined;
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Eight numbers. The URL parser writes addresses in their canonical form, without an IPv4 tail. */
function ipv6Groups(address: string): number[] {
  const bare = address.replace(/%.*$/, '');
  const canonical = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const numbers = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  if (tail === undefined) return numbers(head);
  const [front, back] = [numbers(head), numbers(tail)];
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}

function blockList(ranges: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [address, bits, family] of ranges) list.addSubnet(address, bits, family ?? 'ipv4');
  return list;
}
