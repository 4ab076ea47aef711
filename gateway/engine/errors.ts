import { PlacementError } from '#placement';
import type { PlacementErrorKind } from '#placement';
import { MetadataError } from '../metadata/types.ts';
import type { MetadataErrorKind } from '../metadata/types.ts';
import { EngineError } from './types.ts';
import type { EngineErrorKind } from './types.ts';

const OF_METADATA = {
  Unknown: 'Unavailable',
  Unavailable: 'Unavailable',
  Full: 'StorageFull',
  TooLarge: 'InvalidArgument',
  Corrupt: 'Unreadable',
} as const satisfies Record<MetadataErrorKind, EngineErrorKind>;

const OF_PLACEMENT = {
  TooFewProviders: 'Unavailable',
  DomainRule: 'DomainRule',
  ChunkUnreadable: 'Unreadable',
  NoSpace: 'StorageFull',
  BadConfiguration: 'Unavailable',
  Aborted: 'OperationAborted',
} as const satisfies Record<PlacementErrorKind, EngineErrorKind>;

/** An error of a room below in the engine's words; anything else, such as a client's broken body, as it is. */
export function toEngineError(error: unknown): unknown {
  if (error instanceof MetadataError) {
    return new EngineError(OF_METADATA[error.kind], `Metadata: ${error.message}`, {}, { cause: error });
  }
  if (error instanceof PlacementError) {
    // Clients are told what is required of their objects; everything else of placement is between us and the operator.
    const message = error.kind === 'DomainRule' ? error.message : `Storage: ${error.message}`;
    return new EngineError(OF_PLACEMENT[error.kind], message, {}, { cause: error });
  }
  return error;
}
