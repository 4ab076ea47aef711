/** What replies of a Redis protocol server and losses of its connection mean for a caller. */

import { LOST } from './redisScripts.ts';
import { MetadataError } from './types.ts';
import type { MetadataErrorKind } from './types.ts';

/**
 * Why a command failed. `executed`: 'no' when it certainly did not run. `again`: worth another attempt soon, of a command that did
 * not run or may run twice.
 */
export interface Failure {
  readonly kind: MetadataErrorKind;
  readonly executed: 'no' | 'perhaps';
  readonly again: boolean;
  readonly message: string;
  /** First word of the server's error; '' for a connection's. */
  readonly code: string;
}

/** Replies that stand in for running a command, and pass: a slot that moves, a failover, a start, a long script. */
const PASSING = new Set([
  'MOVED',
  'ASK',
  'TRYAGAIN',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'LOADING',
  'READONLY',
  'BUSY',
  'NOSCRIPT',
]);
/** Replies that stand in for running a command, until someone does something about it. */
const REFUSALS = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM', 'NOREPLICAS', 'CROSSSLOT', 'DENIED']);

/** `sent`: the command was handed to a connection. */
export function failureOf(error: unknown, sent: boolean): Failure {
  const message = error instanceof Error ? error.message : String(error);
  if (!isReply(error)) {
    return sent
      ? connectionFailure(
          'the connection to the metadata store was lost before an answer came',
          message,
          'perhaps',
        )
      : connectionFailure('the metadata store cannot be reached', message, 'no');
  }
  return replyFailure(message);
}

/** From the text of a server's error, with or without its leading '-'. */
export function replyFailure(text: string): Failure {
  const message = text.replace(/^-/, '');
  const code = /^[A-Z]+/.exec(message)?.[0] ?? '';
  const certain = {
    executed: 'no',
    again: false,
    message: `the metadata store answered: ${message}`,
    code,
  } as const;
  if (PASSING.has(code)) return { ...certain, kind: 'Unavailable', again: true };
  if (REFUSALS.has(code)) return { ...certain, kind: 'Unavailable' };
  if (code === 'OOM')
    return { ...certain, kind: 'Full', message: 'the metadata store has used up its maxmemory' };
  if (code === 'MISCONF')
    return { ...certain, kind: message.includes('No space left') ? 'Full' : 'Unavailable' };
  if (code === LOST) {
    return {
      ...certain,
      kind: 'Corrupt',
      message: 'the metadata in the store is gone or was replaced by other data',
    };
  }
  if (/^ERR unknown command/i.test(message)) return { ...certain, kind: 'Unavailable' };
  return { ...certain, kind: code === 'WRONGTYPE' ? 'Corrupt' : 'Unavailable', executed: 'perhaps' };
}

/** Why no connection could be made, in words. */
export function troubleText(connectionError: string): string {
  return /^(NOAUTH|WRONGPASS|ERR (AUTH|invalid password))/.test(connectionError)
    ? `the metadata store refuses the user or the password (in its address, or in SHARDWAY_METADATA_PASSWORD): ${connectionError}`
    : `the metadata store cannot be reached: ${connectionError}`;
}

/** Why connecting failed, when trying again will not help. */
export function isHopeless(connectionError: string): boolean {
  return /^(NOAUTH|WRONGPASS|NOPERM|ERR (AUTH|invalid password|DB index))|self-signed|certificate|SSL routines/.test(
    connectionError,
  );
}

/** What a caller of the store sees; a commit that may have run is 'Unknown'. The server's error object is left behind: it holds arguments. */
export function toMetadataError(failure: Failure, isCommit: boolean): MetadataError {
  const unknown = isCommit && failure.executed === 'perhaps';
  return new MetadataError(unknown ? 'Unknown' : failure.kind, failure.message);
}

function connectionFailure(what: string, why: string, executed: Failure['executed']): Failure {
  const message = /offline|CONNECTION_CLOSED|Connection is closed|retries per request/i.test(why)
    ? what
    : `${what}: ${why}`;
  return { kind: 'Unavailable', executed, again: true, message, code: '' };
}

/** The client's class for error replies is not exported with a type. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}
