import type { Report } from '../network/messages.ts';

/**
 * The report with its text within `bytesMax`: where it is longer, every provider keeps its first so many audits, whatever their outcome.
 * Leaving out some outcomes rather than others would be a judgement.
 */
export function fitReport(report: Report, bytesMax: number): Report {
  const sizes = report.findings.map(({ audits }) => audits.map((audit) => JSON.stringify(audit).length + 1));
  const total = JSON.stringify(report).length;
  if (total <= bytesMax) return report;
  const deepest = sizes.reduce((most, { length }) => Math.max(most, length), 0);
  let left = total;
  for (let keep = deepest - 1; keep >= 0; keep--) {
    for (const audits of sizes) left -= audits[keep] ?? 0;
    if (left <= bytesMax || keep === 0) {
      const findings = report.findings.map((each) => ({ ...each, audits: each.audits.slice(0, keep) }));
      return { ...report, findings };
    }
  }
  return report;
}
