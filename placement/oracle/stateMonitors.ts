import { NetworkError } from '../network/errors.ts';
import { hyperNodeRegistrationSchema } from '../network/messages.ts';
import { openStatement } from '../network/signed.ts';
import type { PartyId } from '../network/identity.ts';
import { marksSince } from './groups.ts';
import { checkAddressee, checkNewer } from './stateProviders.ts';
import type { LogRecord, MonitorRecord, NetworkState } from './types.ts';

type RecordOf<Kind extends LogRecord['kind']> = Extract<LogRecord, { kind: Kind }>;

export function registerMonitor(
  state: NetworkState,
  { at, statement, approved }: RecordOf<'hypernode-registered'>,
): NetworkState {
  const { value, signer, publicKey } = openStatement(
    statement,
    'register-hypernode',
    hyperNodeRegistrationSchema,
  );
  checkAddressee(state, value.gateway);
  const former = state.monitors[signer];
  checkNewer(former?.statedAt, value.at);
  const sameMarks = former !== undefined && hasMarks(former, value);
  const standing = standingOf(former, { approved, sameMarks });
  const admitted = approved && standing.state === 'active';
  const sameChain = former?.beaconTip === value.beaconTip;
  const monitor: MonitorRecord = {
    id: signer,
    publicKey,
    operator: value.operator,
    networkPrefix: value.networkPrefix,
    asn: value.asn,
    location: value.location,
    registeredAt: former?.registeredAt ?? at,
    marksSince: sameMarks && !(admitted && former.state === 'applied') ? marksSince(former) : at,
    ...standing,
    statedAt: value.at,
    beaconTip: value.beaconTip,
    beaconValue: former !== undefined && sameChain ? former.beaconValue : value.beaconTip,
    canaries: former?.canaries ?? [],
    agreements: former?.agreements ?? [],
    last: former?.last,
  };
  const changed = withMonitor(state, monitor);
  return sameChain ? changed : withoutPromise(changed, signer);
}

type Marks = Pick<MonitorRecord, 'operator' | 'networkPrefix' | 'asn'>;

function hasMarks(former: MonitorRecord, { operator, networkPrefix, asn }: Partial<Marks>): boolean {
  return former.operator === operator && former.networkPrefix === networkPrefix && former.asn === asn;
}

/**
 * Other marks are another party's word: they wait for approval as an applicant does, or whoever was approved once could claim what belongs to
 * others and speak in their group.
 */
function standingOf(
  former: MonitorRecord | undefined,
  { approved, sameMarks }: { readonly approved: boolean; readonly sameMarks: boolean },
): Pick<MonitorRecord, 'state' | 'reason'> {
  if (former === undefined || former.state === 'applied') {
    if (approved) return { state: 'active', reason: 'admitted' };
    return { state: 'applied', reason: former?.reason ?? 'waits for the operator to approve it' };
  }
  if (former.state === 'removed' || sameMarks) return { state: former.state, reason: former.reason };
  if (approved) return { state: 'active', reason: 'admitted with another operator, prefix or ASN' };
  return {
    state: 'applied',
    reason: 'states another operator, prefix or ASN: waits for the operator to approve it',
  };
}

export function commandMonitor(
  state: NetworkState,
  { at, monitor: id, command }: RecordOf<'hypernode-command'>,
): NetworkState {
  const monitor = monitorOf(state, id);
  if (command === 'remove') {
    if (monitor.state === 'removed')
      throw new NetworkError('Conflict', `HyperNode ${id} is removed already; possible now: approve`);
    return withMonitor(state, { ...monitor, state: 'removed', reason: 'removed by the operator' });
  }
  if (monitor.state === 'active')
    throw new NetworkError('Conflict', `HyperNode ${id} is active already; possible now: remove`);
  return withMonitor(state, {
    ...monitor,
    marksSince: at,
    state: 'active',
    reason: 'approved by the operator',
    canaries: [],
    agreements: [],
  });
}

/** @throws NetworkError 'NotFound' */
export function monitorOf(state: NetworkState, id: PartyId): MonitorRecord {
  const monitor = state.monitors[id];
  if (monitor === undefined) throw new NetworkError('NotFound', `no HyperNode ${id} is registered`);
  return monitor;
}

function withMonitor(state: NetworkState, monitor: MonitorRecord): NetworkState {
  return { ...state, monitors: { ...state.monitors, [monitor.id]: monitor } };
}

/**
 * A chain begun in an era could be chosen by what others reveal in it: who changes chains sits this era out, and reveals from
 * the new one in the next.
 */
function withoutPromise(state: NetworkState, id: PartyId): NetworkState {
  if (state.open?.promised[id] === undefined) return state;
  const promised = Object.fromEntries(Object.entries(state.open.promised).filter(([name]) => name !== id));
  return { ...state, open: { ...state.open, promised } };
}
