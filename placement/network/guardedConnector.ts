import { isIP } from 'node:net';
import { buildConnector } from 'undici';
import { checkAddress, guardedLookup, type AddressRules } from './addressRules.ts';

/**
 * Connections to one port, at addresses that may be called: what a name resolves to counts at the moment of connecting, so that a name
 * which was good when it was registered leads nowhere else later.
 */
export function guardedConnector(
  rules: AddressRules,
  port: number,
  timeoutMs: number,
): buildConnector.connector {
  const lookup = guardedLookup(rules, port);
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false, lookup });
  return (options, done) => {
    const host = options.hostname.replace(/^\[|\]$/g, '');
    try {
      // An address is not looked up.
      if (isIP(host) !== 0) checkAddress(host, port, rules);
    } catch (error) {
      done(error as Error, null);
      return;
    }
    connect(options, done);
  };
}
