import { isPreimage } from '../network/beacon.ts';
import { NetworkError } from '../network/errors.ts';
import { observationSchema, reportSchema, type Report } from '../network/messages.ts';
import { openStatement } from '../network/signed.ts';
import { marksSince } from './groups.ts';
import { monitorOf } from './stateMonitors.ts';
import { checkAddressee, checkNewer, providerOf } from './stateProviders.ts';
import type {
  EraOutcome,
  LogRecord,
  MonitorRecord,
  NetworkState,
  ProviderRecord,
  VerifiedReport,
} from './types.ts';

type RecordOf<Kind extends LogRecord['kind']> = Extract<LogRecord, { kind: Kind }>;
type OpenEra = NonNullable<NetworkState['open']>;

/** @param beacon what the era's beacon has to be */
export function openEra(
  state: NetworkState,
  { at, era, beacon: claimed, reveal, assignments }: RecordOf<'era-opened'>,
  beacon: string,
): NetworkState {
  if (state.open !== undefined) throw new NetworkError('Conflict', `era ${state.open.era} is still open`);
  if (era !== state.era + 1) throw new NetworkError('Conflict', `era ${era} cannot follow era ${state.era}`);
  if (!isPreimage(reveal, state.beaconValue)) {
    throw new NetworkError('Refused', 'what the gateway reveals is not of its chain');
  }
  if (claimed !== beacon) {
    throw new NetworkError('Refused', `the beacon of era ${era} does not follow from what was revealed`);
  }
  const promised = Object.fromEntries(assignments.map(({ monitor, hash }) => [monitor, hash]));
  if (Object.keys(promised).length !== assignments.length) {
    throw new NetworkError('Conflict', 'a monitor is promised two assignments');
  }
  for (const id of Object.keys(promised)) checkActive(monitorOf(state, id));
  return {
    ...state,
    parameters: state.nextParameters ?? state.parameters,
    nextParameters: undefined,
    era,
    beacon,
    beaconValue: reveal,
    open: { era, openedAt: at, promised, reports: {}, assignments: undefined, observation: undefined },
  };
}

export function takeReport(state: NetworkState, { statement }: RecordOf<'report'>): NetworkState {
  const { value, signer } = openStatement(statement, 'report', reportSchema);
  checkAddressee(state, value.gateway);
  const open = openEraOf(state, value.era);
  const monitor = monitorOf(state, signer);
  checkActive(monitor);
  checkNewer(monitor.statedAt, value.at);
  if (open.reports[signer] !== undefined) {
    throw new NetworkError('Conflict', `monitor ${signer} has reported of era ${value.era}`);
  }
  if (value.assignment !== open.promised[signer]) {
    throw new NetworkError('Refused', 'the report is not of the assignment that its monitor was given');
  }
  if (!isPreimage(value.reveal, monitor.beaconValue)) {
    throw new NetworkError('Refused', 'what the monitor reveals is not of its chain');
  }
  checkFindings(value);
  const { checked, reached } = value.connectivity;
  const report: VerifiedReport = {
    monitor: signer,
    connected: checked > 0 && reached <= checked && 2 * reached >= checked,
    reveal: value.reveal,
    marks: {
      operator: monitor.operator,
      networkPrefix: monitor.networkPrefix,
      asn: monitor.asn,
      marksSince: marksSince(monitor),
    },
    findings: value.findings,
  };
  return {
    ...state,
    monitors: {
      ...state.monitors,
      [signer]: { ...monitor, statedAt: value.at, beaconValue: value.reveal },
    },
    open: { ...open, reports: { ...open.reports, [signer]: report } },
  };
}

export function logAssignments(
  state: NetworkState,
  { era, assignments }: RecordOf<'assignments'>,
): NetworkState {
  const open = openEraOf(state, era);
  if (open.assignments !== undefined) {
    throw new NetworkError('Conflict', `the assignments of era ${era} are logged already`);
  }
  const monitors = new Set(assignments.map(({ monitor }) => monitor));
  if (monitors.size !== assignments.length) {
    throw new NetworkError('Conflict', 'a monitor has two assignments');
  }
  for (const { monitor, hash } of assignments) {
    // One that has begun a new chain since has no promise any more.
    if (open.promised[monitor] !== undefined && open.promised[monitor] !== hash) {
      throw new NetworkError('Refused', `the assignment of monitor ${monitor} is not the promised one`);
    }
  }
  return { ...state, open: { ...open, assignments } };
}

export function logObservation(state: NetworkState, { statement }: RecordOf<'observation'>): NetworkState {
  const { value, signer } = openStatement(statement, 'observation', observationSchema);
  if (signer !== state.gateway) throw new NetworkError('Refused', 'only the gateway itself observes');
  const open = openEraOf(state, value.era);
  if (open.observation !== undefined) {
    throw new NetworkError('Conflict', `the observation of era ${value.era} is logged already`);
  }
  return { ...state, open: { ...open, observation: value } };
}

/** Takes over what the outcome says; whether it follows from the era is for a replay to find. */
export function closeEra(state: NetworkState, { at, era, outcome }: RecordOf<'era-closed'>): NetworkState {
  const open = openEraOf(state, era);
  if (outcome.era !== era || outcome.beacon !== state.beacon) {
    throw new NetworkError('Conflict', `the outcome is not of era ${era}`);
  }
  const reveals = Object.values(open.reports).map(({ reveal }) => reveal);
  return {
    ...state,
    providers: { ...state.providers, ...judgedProviders(state, outcome, at) },
    monitors: { ...state.monitors, ...judgedMonitors(state, outcome) },
    open: undefined,
    reveals: reveals.sort(),
    observation: open.observation,
    closedAt: at,
  };
}

function judgedProviders(
  state: NetworkState,
  outcome: EraOutcome,
  at: number,
): Record<string, ProviderRecord> {
  return Object.fromEntries(
    outcome.providers.map((verdict) => {
      const provider = providerOf(state, verdict.provider);
      const { state: standing, reason, placementScore, settlementScore, reputation } = verdict;
      const judged: ProviderRecord = {
        ...provider,
        ...reputation,
        state: standing,
        stateSince: standing === provider.state ? provider.stateSince : at,
        reason,
        placementScore,
        settlementScore,
        last: verdict,
      };
      return [verdict.provider, judged];
    }),
  );
}

function judgedMonitors(state: NetworkState, outcome: EraOutcome): Record<string, MonitorRecord> {
  return Object.fromEntries(
    outcome.monitors.map((verdict) => {
      const { state: standing, reason, canaries, agreements } = verdict;
      const monitor = monitorOf(state, verdict.monitor);
      return [verdict.monitor, { ...monitor, state: standing, reason, canaries, agreements, last: verdict }];
    }),
  );
}

/** @throws NetworkError 'Conflict' */
function openEraOf(state: NetworkState, era: number): OpenEra {
  if (state.open?.era !== era) throw new NetworkError('Conflict', `era ${era} is not open`);
  return state.open;
}

function checkActive(monitor: MonitorRecord): void {
  if (monitor.state !== 'active') {
    throw new NetworkError('NotApproved', `monitor ${monitor.id} is ${monitor.state}`);
  }
}

/** Nothing is said twice, and no count exceeds what it is of. */
function checkFindings({ findings }: Report): void {
  const providers = new Set(findings.map(({ provider }) => provider));
  if (providers.size !== findings.length) {
    throw new NetworkError('BadMessage', 'a provider is reported of twice');
  }
  for (const { provider, probes, answered, audits } of findings) {
    if (answered > probes) {
      throw new NetworkError('BadMessage', `more probes of ${provider} are answered than were made`);
    }
    if (new Set(audits.map(({ target }) => target)).size !== audits.length) {
      throw new NetworkError('BadMessage', `an audit of ${provider} is reported twice`);
    }
  }
}
