import { NetworkError } from '../network/errors.ts';
import {
  heartbeatSchema,
  providerRegistrationSchema,
  type ProviderDescription,
} from '../network/messages.ts';
import { openStatement } from '../network/signed.ts';
import type { ProviderId } from '../types.ts';
import type { LogRecord, NetworkState, ProviderCommand, ProviderRecord, Reputation } from './types.ts';

type RecordOf<Kind extends LogRecord['kind']> = Extract<LogRecord, { kind: Kind }>;

/** Of a provider of which nothing is known yet. */
const NO_REPUTATION: Reputation = {
  alpha: 0,
  beta: 0,
  audits: 0,
  failures: 0,
  timely: 1,
  silence: {},
  availability: undefined,
  erasBelow: 0,
  erasAbove: 0,
  erasAvailable: 0,
  erasLate: 0,
  vetted: false,
};

/** Every command a state allows, and where it leads. An applicant holds nothing, so that it is gone at once. */
const TRANSITIONS: Readonly<
  Record<ProviderRecord['state'], Partial<Record<ProviderCommand, ProviderRecord['state']>>>
> = {
  applied: { approve: 'vetting', drain: 'gone', exit: 'gone' },
  vetting: { drain: 'exiting', exit: 'exiting' },
  active: { drain: 'exiting', exit: 'exiting' },
  degraded: { drain: 'exiting', exit: 'exiting' },
  suspended: { drain: 'exiting', exit: 'exiting', readmit: 'vetting' },
  exiting: { gone: 'gone' },
  gone: { readmit: 'vetting' },
  disqualified: { drain: 'exiting', exit: 'exiting', readmit: 'vetting' },
};

const REASONS: Readonly<Record<ProviderCommand, string>> = {
  approve: 'approved by the operator',
  drain: 'drained by the operator: its shards are being moved away',
  exit: 'leaving: its shards are being moved away',
  readmit: 'readmitted by the operator: vetting begins anew',
  gone: 'left, and holds nothing any more',
};

export function registerProvider(
  state: NetworkState,
  { at, statement, approved }: RecordOf<'provider-registered'>,
): NetworkState {
  const { value, signer, publicKey } = openStatement(
    statement,
    'register-provider',
    providerRegistrationSchema,
  );
  checkAddressee(state, value.gateway);
  const former = state.providers[signer];
  checkNewer(former?.statedAt, value.at);
  checkEndpoint(state, signer, value.description.endpoint);
  const admitted = approved && (former === undefined || former.state === 'applied');
  const kept = former ?? newcomer(signer, publicKey, value.description, at);
  return withProvider(state, {
    ...kept,
    description: value.description,
    statedAt: value.at,
    ...(admitted && {
      state: 'vetting',
      stateSince: at,
      vettingSince: at,
      reason: 'admitted: being vetted',
    }),
  });
}

export function moveProvider(state: NetworkState, { statement }: RecordOf<'provider-moved'>): NetworkState {
  const { value, signer } = openStatement(statement, 'heartbeat', heartbeatSchema);
  checkAddressee(state, value.gateway);
  const provider = providerOf(state, signer);
  if (provider.state === 'gone') throw new NetworkError('NotApproved', `provider ${signer} is gone`);
  checkNewer(provider.statedAt, value.at);
  checkEndpoint(state, signer, value.endpoint);
  return withProvider(state, {
    ...provider,
    description: { ...provider.description, endpoint: value.endpoint },
    statedAt: value.at,
  });
}

export function commandProvider(
  state: NetworkState,
  { at, provider: id, command }: RecordOf<'provider-command'>,
): NetworkState {
  const provider = providerOf(state, id);
  const next = TRANSITIONS[provider.state][command];
  if (next === undefined) throw new NetworkError('Conflict', impossible(provider, command));
  if (provider.state === 'gone') checkEndpoint(state, id, provider.description.endpoint);
  return withProvider(state, {
    ...provider,
    ...(command === 'readmit' && {
      ...NO_REPUTATION,
      placementScore: undefined,
      settlementScore: undefined,
      last: undefined,
    }),
    ...(next === 'vetting' && { vettingSince: at }),
    state: next,
    stateSince: at,
    reason: provider.state === 'applied' && next === 'gone' ? 'refused by the operator' : REASONS[command],
  });
}

/** For the operator: where it stands, and what can be done there instead. */
function impossible({ id, state }: ProviderRecord, command: ProviderCommand): string {
  const asked =
    command === 'approve' ? 'only an applicant can be approved' : `${command} is not possible in this state`;
  const others = Object.keys(TRANSITIONS[state]).filter((other) => other !== 'gone');
  const instead =
    others.length > 0
      ? `possible now: ${others.join(', ')}`
      : 'it is gone once its shards are moved away, and can be readmitted then';
  return `provider ${id} is ${state}: ${asked}; ${instead}`;
}

function newcomer(
  id: ProviderId,
  publicKey: string,
  description: ProviderDescription,
  at: number,
): ProviderRecord {
  return {
    ...NO_REPUTATION,
    id,
    publicKey,
    description,
    registeredAt: at,
    state: 'applied',
    stateSince: at,
    reason: 'waits for the operator to approve it',
    placementScore: undefined,
    settlementScore: undefined,
    last: undefined,
    statedAt: 0,
    vettingSince: at,
  };
}

/** @throws NetworkError 'NotFound' */
export function providerOf(state: NetworkState, id: ProviderId): ProviderRecord {
  const provider = state.providers[id];
  if (provider === undefined) throw new NetworkError('NotFound', `no provider ${id} is registered`);
  return provider;
}

/** A statement made for one gateway is of no use at another. @throws NetworkError 'Refused' */
export function checkAddressee(state: NetworkState, gateway: string): void {
  if (gateway !== state.gateway) throw new NetworkError('Refused', 'the statement is for another gateway');
}

/** Times of a party's statements grow. @throws NetworkError 'Conflict' */
export function checkNewer(former: number | undefined, at: number): void {
  if (former !== undefined && at <= former) {
    throw new NetworkError('Conflict', 'the statement is not newer than the last one: it may be a replay');
  }
}

/** An address is one identity's, until that one has left. @throws NetworkError 'Conflict' */
function checkEndpoint(state: NetworkState, id: ProviderId, endpoint: string): void {
  for (const other of Object.values(state.providers)) {
    if (other.description.endpoint === endpoint && other.id !== id && other.state !== 'gone') {
      throw new NetworkError('Conflict', `${endpoint} is the address of provider ${other.id}`);
    }
  }
}

function withProvider(state: NetworkState, provider: ProviderRecord): NetworkState {
  return { ...state, providers: { ...state.providers, [provider.id]: provider } };
}
