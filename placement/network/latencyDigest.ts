import type { LatencyDigest } from './messages.ts';

/** Buckets per doubling: a quantile is right to within 2^(1/4), 19 %. */
const PER_DOUBLING = 4;
/** The last bucket holds all above 2^20 ms, 17 minutes. */
const BUCKET_MAX = 80;

/** The bucket of a latency. @param latencyMs ≥ 0 */
export function latencyBucket(latencyMs: number): number {
  if (!(latencyMs > 1)) return 0;
  return Math.min(BUCKET_MAX, Math.ceil(Math.log2(latencyMs) * PER_DOUBLING));
}

/** Upper edge of a bucket, in ms. */
export function bucketEdgeMs(bucket: number): number {
  return 2 ** (bucket / PER_DOUBLING);
}

/** The digest of these latencies, in ms. */
export function digestOf(latenciesMs: Iterable<number>): LatencyDigest {
  const counts = newCounts();
  for (const latencyMs of latenciesMs) counts[latencyBucket(latencyMs)]! += 1;
  return fromCounts(counts);
}

/** The digest of all that these digests count. Takes any order of buckets, and buckets given twice; the result is sorted. */
export function mergeDigests(digests: Iterable<LatencyDigest>): LatencyDigest {
  const counts = newCounts();
  for (const digest of digests) {
    for (const [bucket, count] of digest) counts[bucket]! += count;
  }
  return fromCounts(counts);
}

/** Latencies counted. */
export function digestCount(digest: LatencyDigest): number {
  return digest.reduce((sum, [, count]) => sum + count, 0);
}

/**
 * Upper edge, in ms, of the bucket that holds the quantile; undefined for an empty digest.
 * @param share in (0, 1]
 */
export function digestQuantile(digest: LatencyDigest, share: number): number | undefined {
  const sorted = mergeDigests([digest]);
  // The least rank that covers the share; a product a hair above a whole number must not ask for one more.
  const rank = Math.ceil(digestCount(sorted) * share - 1e-9);
  let seen = 0;
  for (const [bucket, count] of sorted) {
    seen += count;
    if (seen >= rank) return bucketEdgeMs(bucket);
  }
  return undefined;
}

function newCounts(): Float64Array {
  return new Float64Array(BUCKET_MAX + 1);
}

function fromCounts(counts: Float64Array): LatencyDigest {
  const digest: LatencyDigest = [];
  counts.forEach((count, bucket) => {
    if (count > 0) digest.push([bucket, count]);
  });
  return digest;
}
