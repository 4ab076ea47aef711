import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { buildConnector, Pool } from 'undici';
import type { HttpProviderLimits } from './httpProviderLimits.ts';

/**
 * Addresses at which no provider can be, whatever a name resolves to at the moment of connecting: link-local ones lead to the
 * metadata services of clouds, and the unspecified ones to this machine.
 */
const REFUSED = new BlockList();
REFUSED.addSubnet('169.254.0.0', 16, 'ipv4');
REFUSED.addSubnet('0.0.0.0', 8, 'ipv4');
REFUSED.addSubnet('224.0.0.0', 3, 'ipv4');
REFUSED.addSubnet('fe80::', 10, 'ipv6');
REFUSED.addSubnet('ff00::', 8, 'ipv6');
REFUSED.addAddress('::', 'ipv6');
/** Of a cloud's metadata service that is not link-local. */
REFUSED.addAddress('fd00:ec2::254', 'ipv6');

/** True for an IP address that no connection is made to. */
export function isRefusedAddress(address: string): boolean {
  const family = isIP(address);
  return family === 0 || REFUSED.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Kept connections to one host. Requests go nowhere else: a redirect is an answer like any other. */
export function openPool(origin: string, connections: number, limits: HttpProviderLimits): Pool {
  const connect = buildConnector({ timeout: limits.connectMs, allowH2: false, lookup: lookupProvider });
  return new Pool(origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: limits.headerBytesMax,
    // The calls' own deadlines are stricter: these let a trickle pass.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect(options, callback) {
      const host = options.hostname.replace(/^\[|\]$/g, '');
      if (isIP(host) !== 0 && isRefusedAddress(host)) callback(refusal(host), null);
      else connect(options, callback);
    },
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

const lookupProvider: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, options, (error, address, family) => {
    if (error) {
      callback(error, address, family);
      return;
    }
    const all = Array.isArray(address) ? address : [{ address, family: family ?? 0 }];
    const allowed = all.filter((one) => !isRefusedAddress(one.address));
    const [first] = allowed;
    if (first === undefined) callback(refusal(hostname), '', 0);
    else if (Array.isArray(address)) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
};

function refusal(host: string): Error {
  return new Error(`${host} is not an address that a provider can have`);
}
