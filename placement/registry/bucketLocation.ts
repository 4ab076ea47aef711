import type { S3Location } from '../transports/s3BucketCalls.ts';
import { PlacementError } from '../types.ts';

/** The keys that a provider list names; undefined for a name that nobody has set. */
export type BucketCredentials = (
  name: string,
) => { readonly accessKey: string; readonly secretKey: string } | undefined;

const KNOWN = new Set(['endpoint', 'region', 'capacity', 'credentials', 'pathStyle']);
const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  PB: 1e15,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
};

/**
 * Reads `s3://bucket/prefix?capacity=100GB&credentials=NAME`, and where it is not AWS `&endpoint=https://host`; `region` is us-east-1 by
 * default, `pathStyle` true with an endpoint of its own and false without.
 * @returns also the provider's endpoint, which is the same for the same place and holds no secret
 * @throws PlacementError 'BadConfiguration', without the text, which may hold what was meant to be a secret
 */
export function parseBucketLocation(
  text: string,
  credentials: BucketCredentials,
): { readonly endpoint: string; readonly bucket: S3Location } {
  const url = URL.parse(text);
  if (url === null || url.protocol !== 's3:' || url.username !== '' || url.port !== '' || url.hash !== '') {
    bad('takes the form s3://bucket/prefix?capacity=100GB&credentials=NAME');
  }
  const bucket = bucketOf(url);
  const about = `s3://${bucket}`;
  const parameters = parametersOf(url, about);
  const { endpoint, pathStyle } = parameters;
  const origin = endpoint === undefined ? undefined : originOf(endpoint, about);
  const prefix = prefixOf(url, about);
  const shown = prefix === '' ? about : `${about}/${prefix.slice(0, -1)}`;
  return {
    endpoint: origin === undefined ? shown : `${shown}?endpoint=${origin}`,
    bucket: {
      ...(origin !== undefined && { endpoint: origin }),
      region: regionOf(parameters, about),
      bucket,
      prefix,
      forcePathStyle: pathStyle === undefined ? origin !== undefined : flagOf(pathStyle, about),
      credentials: credentialsOf(parameters, about, credentials),
      capacity: capacityOf(parameters, about),
    },
  };
}

function bucketOf({ hostname }: URL): string {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(hostname))
    bad('names a bucket of 3 to 63 characters after s3://');
  return hostname;
}

function prefixOf({ pathname }: URL, about: string): string {
  const prefix = pathname.replaceAll(/^\/|\/$/g, '');
  if (prefix === '') return '';
  for (const part of prefix.split('/')) {
    if (!/^[A-Za-z0-9!_.'()-]+$/.test(part)) {
      bad(`${about} takes a prefix of letters, digits and !_.'()- between single slashes`);
    }
  }
  return `${prefix}/`;
}

function parametersOf(url: URL, about: string): Readonly<Record<string, string | undefined>> {
  const found: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of url.searchParams) {
    if (!KNOWN.has(name)) bad(`${about} has an unknown parameter '${name.slice(0, 40)}'`);
    if (name in found) bad(`${about} has its parameter ${name} twice`);
    found[name] = value;
  }
  return found;
}

function originOf(text: string, about: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`) {
    bad(`${about} takes an endpoint like https://host:port`);
  }
  return url.origin;
}

function regionOf(
  { region = 'us-east-1' }: Readonly<Record<string, string | undefined>>,
  about: string,
): string {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) bad(`${about} takes a region like us-east-1`);
  return region;
}

function flagOf(text: string, about: string): boolean {
  if (text !== 'true' && text !== 'false') bad(`${about} takes pathStyle=true or pathStyle=false`);
  return text === 'true';
}

function credentialsOf(
  { credentials: name }: Readonly<Record<string, string | undefined>>,
  about: string,
  find: BucketCredentials,
): S3Location['credentials'] {
  if (name === undefined || !/^[A-Za-z0-9_]{1,64}$/.test(name)) {
    bad(`${about} takes credentials=NAME, the name of keys that the environment holds`);
  }
  const found = find(name);
  if (!found) bad(`${about} names credentials ${name}, which are not set`);
  return () => found;
}

function capacityOf({ capacity = '' }: Readonly<Record<string, string | undefined>>, about: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)([KMGTP]i?B)?$/.exec(capacity);
  const bytes = Math.floor(Number(match?.[1]) * UNITS[match?.[2] ?? '']!);
  if (!match || bytes < 1 || !Number.isSafeInteger(bytes)) {
    bad(`${about} takes capacity=100GB, the bytes that it may be filled with`);
  }
  return bytes;
}

function bad(why: string): never {
  throw new PlacementError('BadConfiguration', `The list of providers: ${why}`);
}
