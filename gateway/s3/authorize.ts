import type { Authorizer } from '../auth/types.ts';
import type { ObjectStore } from '../engine/types.ts';
import { S3Error } from './errors.ts';
import { COPY_SOURCE_HEADER, parseCopySource } from './headers/copySource.ts';
import { effectiveHeaders } from './headers/effective.ts';
import { isImplemented } from './match.ts';
import type { TableEntry } from './match.ts';
import type { S3Request } from './types.ts';

/** Actions that IAM names otherwise when a version is asked for by its id. */
const VERSION_ACTIONS: ReadonlyMap<string, string> = new Map([
  ['s3:GetObject', 's3:GetObjectVersion'],
  ['s3:GetObjectAcl', 's3:GetObjectVersionAcl'],
  ['s3:PutObjectAcl', 's3:PutObjectVersionAcl'],
  ['s3:GetObjectAttributes', 's3:GetObjectVersionAttributes'],
  ['s3:GetObjectTagging', 's3:GetObjectVersionTagging'],
  ['s3:PutObjectTagging', 's3:PutObjectVersionTagging'],
  ['s3:DeleteObjectTagging', 's3:DeleteObjectVersionTagging'],
  ['s3:DeleteObject', 's3:DeleteObjectVersion'],
]);

function actionOf(permission: string, version: boolean): string {
  return version ? (VERSION_ACTIONS.get(permission) ?? permission) : permission;
}

/** The operation on its target, and for copies the read of their source. @throws S3Error 'AccessDenied' */
export function authorizeRequest(authorizer: Authorizer, operation: TableEntry, request: S3Request): void {
  const { bucket, key, principal, query } = request;
  const permission = isImplemented(operation) ? operation.permission : `s3:${operation.name}`;
  const action = actionOf(permission, query.has('versionId'));
  const resource = bucket === undefined ? '*' : key === undefined ? bucket : `${bucket}/${key}`;
  if (!authorizer.allows(principal, action, resource)) throw new S3Error('AccessDenied');
  if (operation.headers?.includes(COPY_SOURCE_HEADER) !== true) return;
  const source = parseCopySource(effectiveHeaders(request));
  const read = actionOf('s3:GetObject', source.versionId !== undefined);
  if (!authorizer.allows(principal, read, `${source.bucket}/${source.key}`))
    throw new S3Error('AccessDenied');
}

/** x-amz-expected-bucket-owner, and the source's on copies: clients say whose bucket they mean. @throws S3Error 'AccessDenied' */
export async function checkExpectedOwners(
  store: ObjectStore,
  operation: string,
  request: S3Request,
): Promise<void> {
  const headers = effectiveHeaders(request);
  const expected = headers.get('x-amz-expected-bucket-owner');
  if (expected !== undefined && request.bucket !== undefined && operation !== 'CreateBucket') {
    await checkOwner(store, request.bucket, expected);
  }
  const source = headers.get('x-amz-source-expected-bucket-owner');
  if (source !== undefined && headers.get(COPY_SOURCE_HEADER) !== undefined) {
    await checkOwner(store, parseCopySource(headers).bucket, source);
  }
}

async function checkOwner(store: ObjectStore, bucket: string, expected: string): Promise<void> {
  const { owner } = await store.bucket(bucket);
  if (owner !== expected) throw new S3Error('AccessDenied');
}
