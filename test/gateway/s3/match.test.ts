import * as sdk from '@aws-sdk/client-s3';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { compatibilityPage } from '../../../gateway/s3/compatibility.ts';
import { S3Error } from '../../../gateway/s3/errors.ts';
import { isImplemented } from '../../../gateway/s3/match.ts';
import { parseQuery } from '../../../gateway/s3/query.ts';
import { parseHeaders } from '../../../gateway/s3/requestHeaders.ts';
import { ENTRIES, matchOperation } from '../../../gateway/s3/table.ts';
import type { Target } from '../../../gateway/s3/types.ts';

/** The form upload: SDKs sign it and browsers send it. */
const ONLY_HERE = ['PostObject'];

function match(method: string, target: Target, query = '', headers: readonly string[] = []): string {
  try {
    return matchOperation({ method, target, query: parseQuery(query), headers: parseHeaders(headers) }).name;
  } catch (error) {
    if (error instanceof S3Error)
      return `${error.status} ${error.fields.map(([, value]) => value).join(' ')}`;
    throw error;
  }
}

describe('table', () => {
  test('names every operation of the S3 API once', () => {
    const api = Object.keys(sdk)
      .filter((name) => /^[A-Z][A-Za-z0-9]+Command$/.test(name))
      .map((name) => name.slice(0, -'Command'.length));
    const named = ENTRIES.map((entry) => entry.name);
    expect(new Set(named).size).toBe(named.length);
    expect(named.filter((name) => !ONLY_HERE.includes(name)).toSorted()).toEqual(api.toSorted());
  });

  test('no two entries have the same selectors', () => {
    const selectors = ENTRIES.map(({ method, target, query = [], headers = [] }) =>
      JSON.stringify([method, target, query.toSorted(), headers.toSorted()]),
    );
    expect(selectors.filter((selector, at) => selectors.indexOf(selector) !== at)).toEqual([]);
  });

  test('every entry is reached by its own selectors', () => {
    for (const { name, method, target, query = [], headers = [] } of ENTRIES) {
      const raw = headers.flatMap((header) => [header, 'x']);
      expect(match(method, target, query.join('&'), raw)).toBe(name);
    }
  });

  test('every carried out operation has an IAM action', () => {
    for (const entry of ENTRIES.filter(isImplemented))
      expect(entry.permission).toMatch(/^s3:[A-Z][A-Za-z]+$/);
  });

  test('docs/compatibility.md is generated from it', async () => {
    expect(await readFile('docs/compatibility.md', 'utf8')).toBe(compatibilityPage());
  });
});

describe('matching', () => {
  test.each<[string, Target, string, string]>([
    ['GET', 'service', '', 'ListBuckets'],
    ['GET', 'service', 'x-id=ListBuckets&max-buckets=3', 'ListBuckets'],
    ['GET', 'bucket', '', 'ListObjects'],
    ['GET', 'bucket', 'delimiter=/&prefix=', 'ListObjects'],
    ['GET', 'bucket', 'list-type=2&prefix=a', 'ListObjectsV2'],
    ['GET', 'bucket', 'versions=&prefix=', 'ListObjectVersions'],
    ['GET', 'bucket', 'versioning', 'GetBucketVersioning'],
    ['GET', 'bucket', 'location=', 'GetBucketLocation'],
    ['GET', 'bucket', 'inventory&id=1', 'GetBucketInventoryConfiguration'],
    ['GET', 'bucket', 'inventory', 'ListBucketInventoryConfigurations'],
    ['GET', 'object', 'x-id=GetObject', 'GetObject'],
    ['GET', 'object', 'partNumber=2&versionId=x', 'GetObject'],
    ['GET', 'object', 'response-content-type=', 'GetObject'],
    ['GET', 'object', 'uploadId=u', 'ListParts'],
    ['GET', 'object', 'X-Amz-Signature=&X-Amz-Credential=', 'GetObject'],
    ['GET', 'object', 'cache-buster=12', 'GetObject'],
    ['PUT', 'object', 'partNumber=1&uploadId=u&x-id=UploadPart', 'UploadPart'],
    ['POST', 'object', 'uploads', 'CreateMultipartUpload'],
    ['POST', 'object', 'uploads=', 'CreateMultipartUpload'],
    ['POST', 'object', 'uploadId=u', 'CompleteMultipartUpload'],
    ['DELETE', 'object', 'uploadId=u', 'AbortMultipartUpload'],
    ['POST', 'bucket', 'delete', 'DeleteObjects'],
    ['POST', 'object', 'select&select-type=2', 'SelectObjectContent'],
  ])('%s %s ?%s is %s', (method, target, query, name) => {
    expect(match(method, target, query)).toBe(name);
  });

  test('a copy is told by its header', () => {
    expect(match('PUT', 'object', '', ['X-Amz-Copy-Source', '/b/k'])).toBe('CopyObject');
    expect(match('PUT', 'object', 'uploadId=u&partNumber=1', ['x-amz-copy-source', '/b/k'])).toBe(
      'UploadPartCopy',
    );
  });

  test.each<[string, Target, string, string]>([
    ['GET', 'bucket', 'unknown', '501 unknown'],
    ['GET', 'bucket', 'unknown=', '501 unknown'],
    ['HEAD', 'bucket', 'policy', '501 policy'],
    ['HEAD', 'object', 'uploadId=u', '501 uploadId'],
    ['GET', 'object', 'policy', '501 policy'],
    ['GET', 'bucket', 'acl&policy', '501 acl'],
    ['PUT', 'object', 'uploadId=u', '501 uploadId'],
    ['PUT', 'object', 'partNumber=1', '501 partNumber'],
    ['PUT', 'object', 'append', '501 append'],
    ['DELETE', 'object', 'acl', '501 acl'],
    ['DELETE', 'bucket', 'versioning', '501 versioning'],
    ['POST', 'object', '', '405 POST OBJECT'],
    ['PATCH', 'object', '', '405 PATCH OBJECT'],
    ['OPTIONS', 'bucket', '', '405 OPTIONS BUCKET'],
    ['DELETE', 'service', '', '405 DELETE SERVICE'],
  ])('%s %s ?%s does not fall through: %s', (method, target, query, answer) => {
    expect(match(method, target, query)).toBe(answer);
  });
});
