import { digestCount } from '../network/latencyDigest.ts';
import type { Finding, LatencyDigest } from '../network/messages.ts';

/** Probes of a provider in an era: ten times what a HyperNode makes unless told. */
const PROBES_MAX = 100;
/** Latencies are of answered challenges and of throughput probes, of which a finding holds at most so many. */
const READS_MAX = 16;

/**
 * A finding with no larger counts than the assignment can have given rise to; shares and quantiles stay.
 * @param targets challenges given
 */
export function plausible(finding: Finding, targets: number): Finding {
  const probes = Math.min(finding.probes, PROBES_MAX);
  const latency = cut(finding.latency, targets + READS_MAX);
  if (probes === finding.probes && latency === finding.latency) return finding;
  const answered = Math.round((finding.answered / finding.probes) * probes);
  return { ...finding, probes, answered: finding.probes === 0 ? 0 : answered, latency };
}

/** Cut by cumulative counts, so that no bucket gets more than its part. */
function cut(digest: LatencyDigest, max: number): LatencyDigest {
  const total = digestCount(digest);
  if (total <= max) return digest;
  let seen = 0;
  return digest.flatMap(([bucket, count]): LatencyDigest => {
    const before = Math.round((seen / total) * max);
    seen += count;
    const part = Math.round((seen / total) * max) - before;
    return part === 0 ? [] : [[bucket, part]];
  });
}
