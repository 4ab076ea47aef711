import { S3Error } from './errors.ts';
import { KEY_BYTES_MAX, isBucketName } from './names.ts';
import { decodeUri } from './uri.ts';

/** Raw path and query of a request target; nothing decoded, nothing normalised. */
export interface TargetParts {
  /** Begins with '/'. */
  readonly rawPath: string;
  /** Without '?'; '' when absent. */
  readonly rawQuery: string;
  /** Of an absolute-form target: its host and port, lower-case. */
  readonly authority: string | undefined;
}

/** Splits an origin-form or absolute-form target (RFC 9112, 3.2); undefined for any other form. Never through a URL parser. */
export function splitTarget(target: string): TargetParts | undefined {
  let rest = target;
  let authority: string | undefined;
  if (!target.startsWith('/')) {
    const absolute = /^https?:\/\/([^/?#]+)/i.exec(target);
    if (absolute === null) return undefined;
    authority = (absolute[1] as string).toLowerCase();
    rest = target.slice(absolute[0].length);
    if (!rest.startsWith('/')) rest = `/${rest}`;
  }
  const mark = rest.indexOf('?');
  return mark < 0
    ? { rawPath: rest, rawQuery: '', authority }
    : { rawPath: rest.slice(0, mark), rawQuery: rest.slice(mark + 1), authority };
}

export interface Address {
  readonly bucket: string | undefined;
  readonly key: string | undefined;
}

/**
 * Bucket and key from a raw path and the Host header: virtual-host style where the host is below `domain`, else path style.
 * `/b` and `/b/` are the bucket; `/b//` is its key '/'.
 * @throws S3Error 'InvalidURI' | 'InvalidBucketName' | 'KeyTooLongError'
 */
export function parseAddress(rawPath: string, host: string, domain: string | undefined): Address {
  const virtual = virtualBucket(host, domain);
  if (virtual !== undefined) return address(virtual, rawPath.slice(1));
  if (rawPath === '/') return { bucket: undefined, key: undefined };
  const slash = rawPath.indexOf('/', 1);
  return slash < 0
    ? address(decodeUri(rawPath.slice(1)), '')
    : address(decodeUri(rawPath.slice(1, slash)), rawPath.slice(slash + 1));
}

function address(bucket: string, rawKey: string): Address {
  if (!isBucketName(bucket)) {
    throw new S3Error('InvalidBucketName', undefined, { fields: [['BucketName', bucket]] });
  }
  const key = decodeUri(rawKey);
  const size = Buffer.byteLength(key);
  if (size > KEY_BYTES_MAX) {
    throw new S3Error('KeyTooLongError', undefined, {
      fields: [
        ['Size', String(size)],
        ['MaxSizeAllowed', String(KEY_BYTES_MAX)],
      ],
    });
  }
  return { bucket, key: key === '' ? undefined : key };
}

function virtualBucket(host: string, domain: string | undefined): string | undefined {
  if (domain === undefined) return undefined;
  const name = host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
  const suffix = `.${domain}`;
  return name.endsWith(suffix) && name.length > suffix.length ? name.slice(0, -suffix.length) : undefined;
}
