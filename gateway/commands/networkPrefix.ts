import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { ConfigError } from '../config.ts';

/**
 * The /24 or /48 of the address from which this machine reaches the gateway: the local end of the route there. Nothing is sent.
 * @throws ConfigError when there is no route, or the gateway's name does not resolve
 */
export async function networkPrefixTowards(gateway: string): Promise<string> {
  const url = URL.parse(gateway);
  if (url === null || url.hostname === '') {
    throw new ConfigError(`--gateway takes an address like http://host:port; got '${gateway}'`);
  }
  try {
    const { address } = await lookup(url.hostname.replace(/^\[|\]$/g, ''));
    return prefixOf(await localAddressTowards(address));
  } catch (error) {
    throw new ConfigError(
      `the own address on the way to ${url.hostname} is not known (${(error as NodeJS.ErrnoException).code}): say --network-prefix`,
    );
  }
}

/** @param address as a socket gives it */
export function prefixOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '');
  if (isIPv4(plain)) return `${plain.split('.').slice(0, 3).join('.')}.0/24`;
  const [head = '', tail = ''] = plain.split('::');
  const [front, back] = [groupsOf(head), groupsOf(tail)];
  const zeroes = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  const whole = [...front, ...zeroes, ...back].map((group) => Number.parseInt(group, 16).toString(16));
  return `${whole.slice(0, 3).join(':')}::/48`;
}

function groupsOf(text: string): string[] {
  return text.split(':').filter((group) => group !== '');
}

/** To connect a datagram socket is to ask the routing table. The port does not matter. */
async function localAddressTowards(address: string): Promise<string> {
  const socket = createSocket(isIPv4(address) ? 'udp4' : 'udp6');
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('error', reject);
    socket.connect(9, address, resolve);
    await promise;
    return socket.address().address;
  } finally {
    socket.close();
  }
}
