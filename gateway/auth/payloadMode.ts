/** What x-amz-content-sha256 says of the body's framing. Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header". */
import { unsupported } from './claim.ts';
import { AuthError } from './types.ts';
import type { ChunkSigning, PayloadMode } from './types.ts';

export type ReadPayloadMode = (signing: ChunkSigning) => PayloadMode;

const SHA256_HEX = /^[0-9a-fA-F]{64}$/;

/** @throws AuthError 'InvalidContentSha256', or 'UnsupportedSignature' for chunks signed with AWS4-ECDSA-P256-SHA256 */
export function readPayloadMode(contentSha256: string): ReadPayloadMode {
  switch (contentSha256) {
    case 'UNSIGNED-PAYLOAD':
      return () => ({ kind: 'Unsigned' });
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return () => ({ kind: 'UnsignedChunks' });
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return (signing) => ({ kind: 'SignedChunks', trailer: false, signing });
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return (signing) => ({ kind: 'SignedChunks', trailer: true, signing });
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER':
      throw unsupported();
    default:
      if (!SHA256_HEX.test(contentSha256)) throw invalid(contentSha256);
      return () => ({ kind: 'Signed', sha256: contentSha256.toLowerCase() });
  }
}

function invalid(contentSha256: string): AuthError {
  return new AuthError(
    'InvalidContentSha256',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
    [
      ['ArgumentName', 'x-amz-content-sha256'],
      ['ArgumentValue', contentSha256],
    ],
  );
}
