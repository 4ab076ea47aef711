import { randomBytes } from 'node:crypto';
import { S3Bucket } from '../transports/s3Bucket.ts';
import { S3_BUCKET_LIMITS, S3Calls, type S3Location } from '../transports/s3BucketCalls.ts';
import { BucketObjects } from '../transports/s3BucketObjects.ts';
import type { KnownProvider } from './identify.ts';
import { PlacementError, type Clock, type ProviderId } from '../types.ts';

export interface OpenedBucket {
  readonly id: ProviderId;
  readonly storage: S3Bucket;
  /** For the operator. */
  readonly warnings: readonly string[];
}

/**
 * Finds out which provider a bucket is, and makes a new one a provider. The marker decides; where it is missing or out of reach, what was
 * known from the last run.
 * @throws PlacementError 'BadConfiguration' for a bucket that was never used and cannot be
 */
export async function openBucket(
  { endpoint, bucket }: { readonly endpoint: string; readonly bucket: S3Location },
  known: readonly KnownProvider[],
  clock: Clock,
): Promise<OpenedBucket> {
  const knownId = known.find((one) => one.endpoint === endpoint)?.id;
  const calls = new S3Calls(bucket, clock, S3_BUCKET_LIMITS);
  try {
    const { id, warnings } = await identify(new BucketObjects(calls, bucket), endpoint, knownId);
    return { id, warnings, storage: new S3Bucket({ location: bucket, id, clock }) };
  } catch (error) {
    if (error instanceof PlacementError) throw error;
    const why = `${endpoint} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
    if (knownId === undefined) throw new PlacementError('BadConfiguration', why, { cause: error });
    const storage = new S3Bucket({ location: bucket, id: knownId, clock });
    return { id: knownId, warnings: [`Provider ${knownId}: ${why}`], storage };
  } finally {
    calls.close();
  }
}

async function identify(
  objects: BucketObjects,
  endpoint: string,
  knownId: ProviderId | undefined,
): Promise<{ id: ProviderId; warnings: string[] }> {
  const marker = await objects.marker();
  if (marker !== undefined) {
    const isOther = knownId !== undefined && knownId !== marker;
    return {
      id: marker,
      warnings: isOther ? [`${endpoint} was provider ${knownId} and is now ${marker}`] : [],
    };
  }
  const found = await objects.contents();
  if (knownId !== undefined && found !== 'ours') {
    const what = found === 'empty' ? 'is empty' : 'holds other objects';
    return {
      id: knownId,
      warnings: [`${endpoint} of provider ${knownId} ${what}. It is not used until it is repaired.`],
    };
  }
  if (found === 'foreign') {
    throw new PlacementError('BadConfiguration', `${endpoint} holds objects that are not a provider's`);
  }
  const id = knownId ?? randomBytes(16).toString('hex');
  const warnings = knownId === undefined ? [] : [`${endpoint} of provider ${id} had lost its marker`];
  if ((await objects.mark(id)) === 'made') return { id, warnings };
  // Another gateway was faster.
  return { id: (await objects.marker()) ?? id, warnings };
}
