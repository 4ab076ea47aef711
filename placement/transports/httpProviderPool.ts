import { Pool } from 'undici';
import { portOf, type AddressRules } from '../network/addressRules.ts';
import { guardedConnector } from '../network/guardedConnector.ts';
import type { HttpProviderLimits } from './httpProviderLimits.ts';

/** Kept connections to one host. Requests go nowhere else: a redirect is an answer like any other. */
export function openPool(
  origin: string,
  connections: number,
  limits: HttpProviderLimits,
  addresses: AddressRules,
): Pool {
  return new Pool(origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: limits.headerBytesMax,
    // The calls' own deadlines are stricter: these let a trickle pass.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: guardedConnector(addresses, portOf(new URL(origin)), limits.connectMs),
  });
}

/** @throws RangeError for anything but scheme, host and port */
export function originOf(endpoint: string): string {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`) {
    throw new RangeError(`A provider's endpoint is like http://host:port; got '${endpoint}'`);
  }
  return url.origin;
}
