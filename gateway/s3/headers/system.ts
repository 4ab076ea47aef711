import type { Pairs, SystemHeaders } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../types.ts';

/** S3's content type of an object that was stored without one. */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

/** Kept as they came. */
const PLAIN = ['cache-control', 'content-disposition', 'content-language', 'expires'] as const;

/**
 * Classes that promise access at once. The archive classes are refused: their label tells clients not to try a read before a restore.
 */
const STORAGE_CLASSES: ReadonlySet<string> = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
]);

export const STORAGE_CLASS_HEADER = 'x-amz-storage-class';
export const REDIRECT_HEADER = 'x-amz-website-redirect-location';

/** System headers that a write stores. @throws S3Error 'InvalidStorageClass' | 'InvalidRedirectLocation' */
export function systemHeaders(headers: RequestHeaders): SystemHeaders {
  const stored: (readonly [string, string])[] = [
    ['content-type', present(headers, 'content-type') ?? DEFAULT_CONTENT_TYPE],
  ];
  for (const name of PLAIN) {
    const value = present(headers, name);
    if (value !== undefined) stored.push([name, value]);
  }
  const encoding = storedContentEncoding(headers.get('content-encoding'));
  if (encoding !== undefined) stored.push(['content-encoding', encoding]);
  return [...stored, ...headersOfItsOwn(headers)];
}

/** Storage class and redirect: those that a copy takes from its own request even when it keeps the source's metadata. */
export function headersOfItsOwn(headers: RequestHeaders): Pairs {
  const stored: (readonly [string, string])[] = [];
  const redirect = websiteRedirect(headers);
  if (redirect !== undefined) stored.push([REDIRECT_HEADER, redirect]);
  const storageClass = requestedStorageClass(headers);
  if (storageClass !== undefined && storageClass !== 'STANDARD') {
    stored.push([STORAGE_CLASS_HEADER, storageClass]);
  }
  return stored;
}

/** STANDARD where nothing else is stored. */
export function storageClassOf(headers: SystemHeaders): string {
  return headers.find(([name]) => name === STORAGE_CLASS_HEADER)?.[1] ?? 'STANDARD';
}

/** aws-chunked is how the body travelled, not what it is: `gzip, aws-chunked` → `gzip`; undefined where nothing is left. */
export function storedContentEncoding(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const kept = value.split(',').filter((coding) => {
    const name = coding.trim().toLowerCase();
    return name !== '' && name !== 'aws-chunked';
  });
  const text = kept.join(',').trim();
  return text === '' ? undefined : text;
}

function present(headers: RequestHeaders, name: string): string | undefined {
  const value = headers.get(name);
  return value === '' ? undefined : value;
}

function requestedStorageClass(headers: RequestHeaders): string | undefined {
  const value = present(headers, STORAGE_CLASS_HEADER);
  if (value !== undefined && !STORAGE_CLASSES.has(value)) {
    throw new S3Error('InvalidStorageClass', undefined, { fields: [['StorageClassRequested', value]] });
  }
  return value;
}

function websiteRedirect(headers: RequestHeaders): string | undefined {
  const value = present(headers, REDIRECT_HEADER);
  if (value !== undefined && !/^(?:\/|https?:\/\/)/.test(value)) {
    throw new S3Error(
      'InvalidRedirectLocation',
      "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    );
  }
  return value;
}
