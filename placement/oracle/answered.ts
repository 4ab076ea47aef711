import type { PartyId } from '../network/identity.ts';
import type { ProviderId } from '../types.ts';
import type { EraFindings, MonitorFinding } from './findings.ts';
import { groupWeights } from './groups.ts';
import type { Stepwise } from './stepwise.ts';

/** A provider answers where at least so many of the groups that asked it have its signature for so many of their audits. */
const GROUPS_MIN = 1 / 3;
const SIGNED_MIN = 0.9;
/** Most weight of one provider in what a monitor has answers from. */
const PROVIDER_WEIGHT_MAX = 1 / 4;

/**
 * Providers that answer, as their signatures show: who has none from them did not ask, or was not answered for a reason of its own. One that
 * is down, slow to answer anybody or silent is not among them, whoever calls it so.
 */
export function* answeringProviders(era: EraFindings): Stepwise<ReadonlySet<ProviderId>> {
  const votes = new Map<ProviderId, { asked: number; answered: number }>();
  for (const { monitors } of era.groups) {
    const answered = new Map<ProviderId, boolean>();
    for (const id of monitors) {
      for (const { provider, share } of signedShares(era, id)) {
        answered.set(provider, answered.get(provider) === true || share >= SIGNED_MIN);
      }
      yield;
    }
    for (const [provider, isAnswered] of answered) {
      const { asked, answered: before } = votes.get(provider) ?? { asked: 0, answered: 0 };
      votes.set(provider, { asked: asked + 1, answered: before + (isAnswered ? 1 : 0) });
    }
  }
  const answering = [...votes].filter(
    ([, { asked, answered }]) => answered > 0 && answered >= GROUPS_MIN * asked,
  );
  return new Set(answering.map(([provider]) => provider));
}

/**
 * Of what a monitor was given at providers that answer, the share that has their signature; undefined where it was given nothing there.
 * Providers weigh by what is stored there, so that no crowd of small ones that keep silent towards some makes those look idle.
 */
export function answeredShare(
  era: EraFindings,
  monitor: PartyId,
  answering: ReadonlySet<ProviderId>,
): number | undefined {
  const shares = signedShares(era, monitor).filter(({ provider }) => answering.has(provider));
  if (shares.length === 0) return undefined;
  const weights = groupWeights(
    shares.map(({ provider }) => Math.max(1, era.stored?.get(provider) ?? 1)),
    PROVIDER_WEIGHT_MAX,
  );
  return shares.reduce((sum, { share }, index) => sum + share * weights[index]!, 0);
}

/** By provider that it was given something at, the share of its audits that the provider signed. */
function signedShares(
  { byMonitor, given }: EraFindings,
  monitor: PartyId,
): { readonly provider: ProviderId; readonly share: number }[] {
  const findings = new Map(byMonitor.get(monitor)?.map((finding) => [finding.provider, finding]));
  return (given.get(monitor) ?? [])
    .filter(({ targets }) => targets.length > 0)
    .map(({ provider, targets }) => ({
      provider,
      share: signedAudits(findings.get(provider)) / targets.length,
    }));
}

function signedAudits(finding: MonitorFinding | undefined): number {
  return finding?.audits.filter(({ signed }) => signed).length ?? 0;
}
