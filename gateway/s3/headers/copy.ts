import { EngineError } from '../../engine/types.ts';
import type { OpenRequest, Pairs } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { RequestHeaders } from '../types.ts';
import { copySourceConditions } from './conditions.ts';
import { parseCopySource } from './copySource.ts';
import { copySourceCustomerKey } from './encryption.ts';
import { invalidArgument } from './refuse.ts';

/** What a copy opens. @throws S3Error 'InvalidArgument' | 'InvalidRequest' */
export function copySourceRequest(headers: RequestHeaders, secure: boolean): OpenRequest {
  const customerKey = copySourceCustomerKey(headers, secure);
  const conditions = copySourceConditions(headers);
  return {
    ...parseCopySource(headers),
    ...(customerKey !== undefined && { customerKey }),
    ...(conditions !== undefined && { conditions }),
  };
}

/** x-amz-metadata-directive or x-amz-tagging-directive: REPLACE, or COPY where absent. @throws S3Error 'InvalidArgument' */
export function replaces(headers: RequestHeaders, what: 'metadata' | 'tagging'): boolean {
  const name = `x-amz-${what}-directive`;
  const value = headers.get(name);
  if (value === undefined || value === '' || value === 'COPY') return false;
  if (value === 'REPLACE') return true;
  throw invalidArgument(`Unknown ${what} directive.`, name, value);
}

/** As answers name the version that was copied. */
export function copiedVersionHeaders(source: OpenRequest, sourceVersionId: string | undefined): Pairs {
  const versionId = sourceVersionId ?? source.versionId;
  return versionId === undefined ? [] : [['x-amz-copy-source-version-id', versionId]];
}

/** The work of a copy, with a failure of its source in a copy's words: a delete marker is a wrong source, not a wrong method. */
export async function copying<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== 'MethodNotAllowed') throw error;
    throw new S3Error(
      'InvalidRequest',
      'The source of a copy request may not specifically refer to a delete marker by version id.',
      {},
      { cause: error },
    );
  }
}
