/** RFC 9110 §13 preconditions as S3 evaluates them. Pure. */
import { EngineError } from './types.ts';
import type { Conditions, ObjectInfo } from './types.ts';

const matches = (etags: readonly string[], etag: string): boolean =>
  etags.includes('*') || etags.includes(etag);

/** HTTP dates have whole seconds. */
const seconds = (ms: number): number => Math.floor(ms / 1000);

function failed(condition: string): EngineError {
  return new EngineError(
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
    {
      fields: [['Condition', condition]],
    },
  );
}

/** @throws EngineError 'PreconditionFailed', then 'NotModified' (with the version's info) */
export function checkRead(info: ObjectInfo, conditions: Conditions | undefined): void {
  if (!conditions) return;
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (ifMatch) {
    if (!matches(ifMatch, info.etag)) throw failed('If-Match');
  } else if (ifUnmodifiedSince !== undefined && seconds(info.lastModified) > seconds(ifUnmodifiedSince)) {
    throw failed('If-Unmodified-Since');
  }
  const notModified = ifNoneMatch
    ? matches(ifNoneMatch, info.etag)
    : ifModifiedSince !== undefined && seconds(info.lastModified) <= seconds(ifModifiedSince);
  if (notModified) throw new EngineError('NotModified', 'Not modified', { info });
}

/** What a write's conditions are held against: the current version, unless it is a delete marker. */
export interface Existing {
  readonly etag: string;
  readonly lastModified: number;
}

/** @throws EngineError 'NoSuchKey' (If-Match, nothing there) | 'PreconditionFailed' */
export function checkWrite(existing: Existing | undefined, conditions: Conditions | undefined): void {
  if (!conditions) return;
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (ifMatch) {
    if (!existing) throw new EngineError('NoSuchKey', 'The specified key does not exist');
    if (!matches(ifMatch, existing.etag)) throw failed('If-Match');
  }
  if (ifNoneMatch && existing && matches(ifNoneMatch, existing.etag)) throw failed('If-None-Match');
  if (!existing) return;
  if (ifUnmodifiedSince !== undefined && seconds(existing.lastModified) > seconds(ifUnmodifiedSince)) {
    throw failed('If-Unmodified-Since');
  }
  if (ifModifiedSince !== undefined && seconds(existing.lastModified) <= seconds(ifModifiedSince)) {
    throw failed('If-Modified-Since');
  }
}
