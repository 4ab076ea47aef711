import { NetworkError } from '../network/errors.ts';
import type { Observation } from '../network/messages.ts';
import { capacityHonesty } from './capacity.ts';
import { eraFindings, type EraFindings } from './findings.ts';
import { groupFindings } from './groupFinding.ts';
import { order } from './groups.ts';
import { judgeMonitors } from './honesty.ts';
import { measure, type Measurement } from './measure.ts';
import { movingAverage, scoreOf } from './product.ts';
import { reasonOf } from './reason.ts';
import { addAudits, integrityOf, type Integrity } from './reputation.ts';
import { fadeSilence, rememberSilence, silentShare } from './silence.ts';
import { nextStanding } from './standing.ts';
import { atOnce, type Stepwise } from './stepwise.ts';
import { tidy } from './tidy.ts';
import type {
  EraOutcome,
  EraVerdict,
  NetworkState,
  OracleParameters,
  ProviderRecord,
  ScoreComponents,
} from './types.ts';

/** An era's average moves by at most this many eras' worth: after an outage of the gateway, one hour must not stand for days. */
const ERAS_MAX = 2;

/**
 * What the close of the open era decides: of every provider that was admitted and is not gone, and of every active monitor. A pure function of the
 * state, so that anyone who has the log can compute it again.
 * @param closedAt ms since the epoch
 * @throws NetworkError 'Conflict' when no era is open
 */
export function scoreEra(state: NetworkState, closedAt: number): EraOutcome {
  return atOnce(scoreEraStepwise(state, closedAt));
}

/** The same, a provider or less at a time: a network of thousands takes seconds, and requests have to be answered in between. */
export function* scoreEraStepwise(state: NetworkState, closedAt: number): Stepwise<EraOutcome> {
  if (state.open === undefined) throw new NetworkError('Conflict', 'no era is open');
  const findings = yield* eraFindings(state);
  const elapsedMs = Math.min(
    Math.max(0, closedAt - (state.closedAt ?? state.open.openedAt)),
    ERAS_MAX * state.parameters.eraMs,
  );
  const observed = byProvider(state.open.observation);
  const formerly = byProvider(state.observation);
  const close = { parameters: state.parameters, closedAt, elapsedMs };
  const serving = Object.values(state.providers)
    .filter((provider) => provider.state !== 'applied' && provider.state !== 'gone')
    .sort((a, b) => order(a.id, b.id));
  const providers: EraVerdict[] = [];
  for (const provider of serving) {
    const seen = { observed: observed.get(provider.id), formerly: formerly.get(provider.id) };
    providers.push(judgeProvider(provider, findings, seen, close));
    yield;
  }
  const monitors = yield* judgeMonitors(state, findings, providers);
  return { era: state.open.era, beacon: state.beacon, providers, monitors };
}

type Observed = Observation['providers'][number];

interface Close {
  readonly parameters: OracleParameters;
  readonly closedAt: number;
  readonly elapsedMs: number;
}

function judgeProvider(
  provider: ProviderRecord,
  era: EraFindings,
  seen: { readonly observed: Observed | undefined; readonly formerly: Observed | undefined },
  close: Close,
): EraVerdict {
  const { parameters, closedAt } = close;
  const findings = era.byProvider.get(provider.id) ?? [];
  const groups = groupFindings(era.groups, findings, provider.description.location);
  const measurement = measure(groups, findings, parameters);
  const fading = { elapsedMs: close.elapsedMs, halfLifeMs: parameters.halfLifeMs.placement };
  const evidence = addAudits(provider, measurement, fading);
  const remembered = rememberSilence(provider.silence, findings, era.groups);
  const silence = measurement.idle ? fadeSilence(remembered, fading) : remembered;
  const silent = silentShare(silence, era.groups, parameters);
  const integrity = integrityOf({ ...evidence, vetted: provider.vetted }, silent, parameters);
  const components = componentsOf(provider, measurement, integrity, seen, parameters);
  const score = scoreNow(components, measurement, integrity);
  const averages = average(provider, score, components.availability, close);
  const standing = nextStanding(
    provider,
    { closedAt, measured: score !== undefined, ...averages, integrity, audits: evidence.audits },
    parameters,
  );
  const reputation = { ...evidence, silence, availability: averages.availability, ...standing.counters };
  const { placementScore, settlementScore } = averages;
  const told = { provider, standing, reputation, integrity, measurement, components, placementScore };
  return {
    provider: provider.id,
    decision: measurement.decision,
    components,
    score,
    placementScore,
    settlementScore,
    state: standing.state,
    reason: reasonOf({ ...told, parameters }),
    audits: measurement.audits,
    groups: measurement.groups,
    p50Ms: measurement.p50Ms,
    p99Ms: measurement.p99Ms,
    bytesPerSecond: measurement.bytesPerSecond,
    locationRefutedBy: measurement.locationRefutedBy,
    reputation,
  };
}

function componentsOf(
  provider: ProviderRecord,
  { availability, p99Ms, bytesPerSecond, free }: Measurement,
  integrity: Integrity,
  {
    observed,
    formerly,
  }: { readonly observed: Observed | undefined; readonly formerly: Observed | undefined },
  { targets }: OracleParameters,
): ScoreComponents {
  const target = targets[provider.description.storageClass];
  const share = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : tidy(Math.min(1, value));
  return {
    availability: share(availability),
    integrity: integrity.value,
    latency: share(p99Ms === undefined ? undefined : target.p99Ms / p99Ms),
    throughput: share(bytesPerSecond === undefined ? undefined : bytesPerSecond / target.bytesPerSecond),
    capacity: share(capacityHonesty(observed, formerly, free)),
  };
}

/** S of this era; undefined where the committee did not decide: then nothing moves. */
function scoreNow(
  components: ScoreComponents,
  { decision, locationRefuted }: Measurement,
  integrity: Integrity,
): number | undefined {
  if (decision === 'NO_DECISION' || components.availability === undefined) return undefined;
  return locationRefuted || integrity.broken ? 0 : scoreOf(components);
}

/** Averages go on with an era that was decided, and stay as they are with any other. */
function average(
  { placementScore, settlementScore, availability }: ProviderRecord,
  score: number | undefined,
  available: number | undefined,
  { elapsedMs, parameters: { halfLifeMs } }: Close,
): Pick<EraVerdict, 'placementScore' | 'settlementScore'> & { availability: number | undefined } {
  if (score === undefined || available === undefined) {
    return { placementScore, settlementScore, availability };
  }
  return {
    placementScore: movingAverage(placementScore, score, elapsedMs, halfLifeMs.placement),
    settlementScore: movingAverage(settlementScore, score, elapsedMs, halfLifeMs.settlement),
    availability: movingAverage(availability, available, elapsedMs, halfLifeMs.placement),
  };
}

function byProvider(observation: Observation | undefined): Map<string, Observed> {
  return new Map(observation?.providers.map((observed) => [observed.provider, observed]));
}
