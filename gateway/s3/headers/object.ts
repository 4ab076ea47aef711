import type { ObjectInfo, Pairs, WriteResult } from '../../engine/types.ts';
import type { Query } from '../types.ts';
import { checksumHeaders } from './checksum.ts';
import { quoteEntityTag } from './conditions.ts';
import { formatHttpDate } from './dates.ts';
import { encryptionHeaders } from './encryption.ts';
import { metadataHeaders } from './metadata.ts';
import { invalidArgument } from './refuse.ts';

const NULL_VERSION = 'null';

/** What GET and HEAD tell of an object version, whatever part of its body they carry. */
export function objectHeaders(info: ObjectInfo, query: Query): Pairs {
  const headers: (readonly [string, string])[] = [
    ['last-modified', formatHttpDate(info.lastModified)],
    ['etag', quoteEntityTag(info.etag)],
    ['accept-ranges', 'bytes'],
    ...versionHeaders(info),
    ...withOverrides(info.headers, query),
    ...metadataHeaders(info.userMetadata),
    ...encryptionHeaders(info.customerKeyMd5),
  ];
  if (info.tags.length > 0) headers.push(['x-amz-tagging-count', String(info.tags.length)]);
  return headers;
}

/** What the answer to a write tells: how it is encrypted and which version it made. A null version, of suspended versioning, is not told, as on AWS. */
export function writeHeaders(result: WriteResult): Pairs {
  const { info } = result;
  return [
    ...encryptionHeaders(info.customerKeyMd5),
    ...(info.versionId === NULL_VERSION ? [] : versionHeaders(info)),
    ...domainRuleHeader(result.survives),
  ];
}

/** Levels of the failure-domain tree of which any one domain may be lost, like `region,site,operator`; or `none`. */
function domainRuleHeader(survives: WriteResult['survives']): Pairs {
  return survives ? [['x-shardway-domain-rule', survives.join(',') || 'none']] : [];
}

/** Headers of PutObject's answer. */
export function putHeaders(result: WriteResult): Pairs {
  return [
    ['etag', quoteEntityTag(result.info.etag)],
    ...checksumHeaders(result.info.checksum),
    ...writeHeaders(result),
  ];
}

/** Names the version where the bucket has, or had, versioning. */
export function versionHeaders(info: Pick<ObjectInfo, 'versioned' | 'versionId'>): Pairs {
  return info.versioned ? [['x-amz-version-id', info.versionId]] : [];
}

const OVERRIDES = [
  ['response-cache-control', 'cache-control'],
  ['response-content-disposition', 'content-disposition'],
  ['response-content-encoding', 'content-encoding'],
  ['response-content-language', 'content-language'],
  ['response-content-type', 'content-type'],
  ['response-expires', 'expires'],
] as const;

/** The stored headers, with those that `response-*` parameters ask for in their place. @throws S3Error 'InvalidArgument' for what would split the response */
function withOverrides(stored: Pairs, query: Query): Pairs {
  const overrides = new Map<string, string>();
  for (const [parameter, header] of OVERRIDES) {
    const value = query.get(parameter);
    if (value === undefined || value === '') continue;
    // CR, LF, NUL and their kind.
    if (/\p{Cc}/u.test(value)) {
      throw invalidArgument('Header value contains control characters.', parameter);
    }
    overrides.set(header, value);
  }
  if (overrides.size === 0) return stored;
  return [...stored.filter(([name]) => !overrides.has(name)), ...overrides];
}
