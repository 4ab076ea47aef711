/** What the flags of `shardway provider` and `hypernode` may say. All of these: @throws ConfigError naming the flag and what it takes. */
import { isIP } from 'node:net';
import { joinTokenId, locationSchema } from '#placement';
import type { Location } from '#placement';
import { ConfigError, parseAddress } from '../config.ts';
import type { Address } from '../config.ts';
import { prefixOf } from './networkPrefix.ts';

export function addressOf(flag: string, text: string): Address {
  const address = parseAddress(text);
  if (address) return address;
  throw new ConfigError(`${flag} takes host:port, like 127.0.0.1:9100; got '${text}'`);
}

/** Scheme, host and port alone. What is wrong is not repeated: it may hold a password. */
export function originOf(flag: string, text: string): string {
  const url = URL.parse(text);
  const isPlain =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username + url.password + url.search + url.hash === '' &&
    url.pathname === '/';
  if (isPlain) return url.origin;
  throw new ConfigError(`${flag} takes an address without a path, like http://host:port`);
}

export function label(flag: string, text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(text)) return text;
  throw new ConfigError(
    `${flag} takes up to 64 letters, digits, dots, colons, dashes and underscores; got '${text}'`,
  );
}

export function wholeNumber(flag: string, text: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? '' : ` from 1 to ${max}`;
  throw new ConfigError(`${flag} takes a whole number${range}; got '${text}'`);
}

/** Bytes of a size like 500GB (10⁹) or 2TiB (2⁴⁰); 0 for what the disk has. */
export function bytesOf(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGTP]i?)?B?$/i.exec(text.trim());
  const unit = (match?.[2] ?? '').toUpperCase();
  const power = unit === '' ? 0 : 'KMGTP'.indexOf(unit.charAt(0)) + 1;
  const bytes = Math.floor(Number(match?.[1]) * (unit.endsWith('I') ? 1024 : 1000) ** power);
  if (match !== null && Number.isSafeInteger(bytes)) return bytes;
  throw new ConfigError(`${flag} takes a size like 500GB; got '${text}'`);
}

export function locationOf(flag: string, text: string): Location {
  const [, latitude, longitude] = /^([-+\d.]+),([-+\d.]+)$/.exec(text.trim()) ?? [];
  const location = locationSchema.safeParse({ latitude: Number(latitude), longitude: Number(longitude) });
  if (latitude !== undefined && location.success) return location.data;
  throw new ConfigError(`${flag} takes latitude,longitude in degrees, like 50.1,8.7; got '${text}'`);
}

/** A /24 or /48 in the one way to write it: groups of monitors are made by it. */
export function prefixFlag(flag: string, text: string): string {
  const [address = '', bits] = text.split('/');
  const isPrefix = isIP(address) === 4 ? bits === '24' : isIP(address) === 6 && bits === '48';
  if (isPrefix) return prefixOf(address);
  throw new ConfigError(`${flag} takes a /24 or /48, like 203.0.113.0/24 or 2001:db8::/48; got '${text}'`);
}

/** A join token is a secret, and not repeated. */
export function tokenOf(text: string): string {
  if (joinTokenId(text) !== undefined) return text;
  throw new ConfigError(
    'The join token (SHARDWAY_TOKEN or --token) is not one: it is like sj_… and printed by `shardway tokens create`',
  );
}
