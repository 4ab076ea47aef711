import { EngineError } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import { readOptionalXmlBody } from '../body.ts';
import { invalidArgument, notImplemented } from '../headers/refuse.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { childText } from '../parseXml.ts';
import type { XmlElement } from '../parseXml.ts';
import type { RequestHeaders, S3Operation } from '../types.ts';

/** The region in which making one's own bucket again succeeds, and whose location constraint is empty. */
const CLASSIC_REGION = 'us-east-1';

export const createBucket: S3Operation = {
  name: 'CreateBucket',
  permission: 's3:CreateBucket',
  method: 'PUT',
  target: 'bucket',
  async handle(request, { store, region }) {
    const bucket = request.bucket ?? '';
    checkHeaders(effectiveHeaders(request));
    const configuration = await readOptionalXmlBody(request, 'CreateBucketConfiguration');
    if (configuration !== undefined) checkConfiguration(configuration, region);
    try {
      await store.createBucket(bucket, request.principal.owner);
    } catch (error) {
      const own = error instanceof EngineError && error.kind === 'BucketAlreadyOwnedByYou';
      if (!own || region !== CLASSIC_REGION) throw error;
    }
    return { status: 200, headers: [['location', `/${bucket}`]] };
  },
};

/** Refuses what would be promised and not kept. */
function checkHeaders(headers: RequestHeaders): void {
  const lock = 'x-amz-bucket-object-lock-enabled';
  const locked = headers.get(lock)?.toLowerCase();
  if (locked === 'true') throw notImplemented(lock);
  if (locked !== undefined && locked !== 'false') {
    throw invalidArgument('Value must be true or false.', lock, locked);
  }
  const ownership = headers.get('x-amz-object-ownership') ?? 'BucketOwnerEnforced';
  if (ownership === 'BucketOwnerPreferred' || ownership === 'ObjectWriter') {
    throw notImplemented('x-amz-object-ownership');
  }
  if (ownership !== 'BucketOwnerEnforced') {
    throw invalidArgument('Invalid x-amz-object-ownership header', 'x-amz-object-ownership', ownership);
  }
  const granted = [...headers.entries()].some(([name]) => name.startsWith('x-amz-grant-'));
  const acl = headers.get('x-amz-acl') ?? 'private';
  if (granted || acl !== 'private') throw new S3Error('InvalidBucketAclWithObjectOwnership');
}

function checkConfiguration(configuration: XmlElement, region: string): void {
  for (const { name } of configuration.children) {
    if (name !== 'LocationConstraint') throw notImplemented(`CreateBucketConfiguration/${name}`);
  }
  const constraint = childText(configuration, 'LocationConstraint')?.trim() ?? '';
  // 'EU' is the old name of eu-west-1.
  const named = constraint === 'EU' ? 'eu-west-1' : constraint;
  if (named === '' || named === region) return;
  throw new S3Error('InvalidLocationConstraint', undefined, { fields: [['LocationConstraint', constraint]] });
}
