/** A HyperNode process that can be told to lie: `node hypernode.ts '<JSON of MonitorProcessOptions>'`. */
import { startHyperNode, systemClock, systemRandom } from '#placement';
import type { Finding, HyperNodeOptions, Report } from '#placement';

export type Dishonesty =
  /**
   * Lies about this provider where no signature can convict it: says that it is mostly gone, slow and silent, or that it is perfect. It does not
   * touch what the provider signed, since a canary may be among it.
   */
  | { readonly kind: 'smears'; readonly provider: string }
  | { readonly kind: 'praises'; readonly provider: string }
  /** Reports every provider and every challenge as fine. */
  | { readonly kind: 'always-ok' };

interface MonitorProcessOptions extends Omit<HyperNodeOptions, 'clock' | 'random' | 'alter' | 'onEvent'> {
  readonly dishonesty?: Dishonesty;
}

async function run({ dishonesty, ...options }: MonitorProcessOptions): Promise<void> {
  const token = process.env['SHARDWAY_TOKEN'];
  const monitor = await startHyperNode({
    ...options,
    ...(token !== undefined && { token }),
    clock: systemClock,
    random: systemRandom,
    ...(dishonesty && { alter: (report: Report) => altered(report, dishonesty) }),
  });
  process.stdout.write(`${JSON.stringify({ id: monitor.id })}\n`);
  await new Promise<void>((resolve) => process.once('SIGTERM', () => resolve()));
  await monitor.stop();
}

function altered(report: Report, dishonesty: Dishonesty): Report {
  const alter = (finding: Finding): Finding => {
    if (dishonesty.kind === 'always-ok') return { ...perfect(finding), audits: finding.audits.map(passed) };
    if (finding.provider !== dishonesty.provider) return finding;
    return dishonesty.kind === 'praises' ? perfect(finding) : ruined(finding);
  };
  return { ...report, findings: report.findings.map(alter) };
}

type Audit = Finding['audits'][number];

function passed({ target, evidence }: Audit): Audit {
  return { target, outcome: 'ok', elapsedMs: 1, ...(evidence !== undefined && { evidence }) };
}

function perfect(finding: Finding): Finding {
  return {
    ...finding,
    answered: finding.probes,
    rttMinMs: 0.2,
    latency: [[0, Math.max(1, finding.audits.length)]],
    throughput: [1e9],
  };
}

function ruined(finding: Finding): Finding {
  return {
    ...finding,
    answered: Math.min(1, finding.answered),
    latency: [[60, Math.max(1, finding.audits.length)]],
    throughput: [1],
    audits: finding.audits.map((audit) =>
      audit.outcome === 'ok' ? { target: audit.target, outcome: 'silent', elapsedMs: 10_000 } : audit,
    ),
  };
}

await run(JSON.parse(process.argv[2] ?? '{}') as MonitorProcessOptions);
