import { NetworkError } from '../network/errors.ts';
import { nextBeacon } from '../network/beacon.ts';
import { checkParameters } from './parameters.ts';
import { closeEra, logAssignments, logObservation, openEra, takeReport } from './stateEras.ts';
import { commandMonitor, registerMonitor } from './stateMonitors.ts';
import { commandProvider, moveProvider, registerProvider } from './stateProviders.ts';
import type { LogRecord, NetworkState } from './types.ts';

/**
 * The state after one more record of the log. Every statement is verified again, so that a log convinces whoever has it, not only who
 * wrote it. Nothing is changed in place; what does not change is shared.
 * @param state undefined before the first record, which is the genesis
 * @throws NetworkError for a record that cannot follow
 */
export function applyRecord(state: NetworkState | undefined, record: LogRecord): NetworkState {
  if (state === undefined) return genesis(record);
  if (!(record.at >= state.at)) {
    throw new NetworkError('Conflict', `a record of ${record.at} cannot follow one of ${state.at}`);
  }
  return { ...change(state, record), at: record.at };
}

/**
 * The beacon of the era that the gateway opens next by revealing this value of its own chain: of the last beacon, what the monitors revealed
 * in the last era, and what the gateway reveals after their reports have come.
 */
export function beaconAfter(state: NetworkState, reveal: string): string {
  return nextBeacon(state.beacon, [...state.reveals, reveal]);
}

function change(state: NetworkState, record: LogRecord): NetworkState {
  switch (record.kind) {
    case 'genesis':
      throw new NetworkError('Conflict', 'a log has one genesis');
    case 'parameters':
      checkParameters(record.parameters);
      return state.open === undefined
        ? { ...state, parameters: record.parameters, nextParameters: undefined }
        : { ...state, nextParameters: record.parameters };
    case 'provider-registered':
      return registerProvider(state, record);
    case 'provider-moved':
      return moveProvider(state, record);
    case 'provider-command':
      return commandProvider(state, record);
    case 'hypernode-registered':
      return registerMonitor(state, record);
    case 'hypernode-command':
      return commandMonitor(state, record);
    case 'era-opened':
      return openEra(state, record, beaconAfter(state, record.reveal));
    case 'report':
      return takeReport(state, record);
    case 'assignments':
      return logAssignments(state, record);
    case 'observation':
      return logObservation(state, record);
    case 'era-closed':
      return closeEra(state, record);
  }
}

function genesis(record: LogRecord): NetworkState {
  if (record.kind !== 'genesis') {
    throw new NetworkError('Conflict', `a log begins with its genesis, not with ${record.kind}`);
  }
  if (record.version !== 1) {
    throw new NetworkError(
      'BadMessage',
      `this release reads logs of version 1, not ${String(record.version)}`,
    );
  }
  checkParameters(record.parameters);
  return {
    gateway: record.gateway,
    at: record.at,
    parameters: record.parameters,
    nextParameters: undefined,
    providers: {},
    monitors: {},
    beaconValue: record.beaconTip,
    beacon: record.beacon,
    era: -1,
    open: undefined,
    reveals: [],
    observation: undefined,
    closedAt: undefined,
  };
}
