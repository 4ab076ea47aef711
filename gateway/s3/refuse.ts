import { S3Error } from './errors.ts';
import type { RefusedOperation, S3Context, S3Request } from './types.ts';

/**
 * Answers an operation that Shardway names and refuses: 501 NotImplemented, or what clients probe for, once bucket and object are
 * known to exist. @throws always
 */
export async function refuse(
  operation: RefusedOperation,
  request: S3Request,
  { store }: S3Context,
): Promise<never> {
  const { answer } = operation;
  if (answer === undefined) {
    throw new S3Error('NotImplemented', `${operation.name} is not implemented.`, {
      fields: [['Operation', operation.name]],
    });
  }
  if (request.bucket !== undefined && request.key === undefined) await store.bucket(request.bucket);
  if (request.bucket !== undefined && request.key !== undefined) {
    const versionId = request.query.get('versionId');
    await store.stat({
      bucket: request.bucket,
      key: request.key,
      ...(versionId !== undefined && { versionId }),
    });
  }
  const fields: (readonly [string, string])[] =
    request.bucket === undefined ? [] : [['BucketName', request.bucket]];
  throw new S3Error(answer.code, answer.message, { fields });
}
