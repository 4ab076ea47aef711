/** CopyObject. */
import { adopt, liesInPack, rewrap } from './adopt.ts';
import { writeBody } from './body.ts';
import { createDigests } from './checksums.ts';
import type { DigestResult } from './checksums.ts';
import { checkWrite } from './conditions.ts';
import { newId, newShortId } from './context.ts';
import type { Context } from './context.ts';
import { changeKey, locate } from './keyState.ts';
import type { Located } from './keyState.ts';
import type { BodyPart, Segment, VersionRecord } from './model.ts';
import { assertSameBucket, existingOf, nameBody, written } from './objects.ts';
import type { DescribedVersion } from './objects.ts';
import { openBody, streamSegments } from './reader.ts';
import type { OpenedBody } from './reader.ts';
import { ChunkGone } from './recorded.ts';
import { segmentsOf } from './segments.ts';
import { EngineError } from './types.ts';
import type {
  ChecksumAlgorithm,
  CopyRequest,
  CustomerKey,
  OpenRequest,
  SystemHeaders,
  WriteResult,
} from './types.ts';
import { addVersion } from './versions.ts';

const TRIES_MAX = 10;

/** Runs `work` on an opened source. A source whose chunks are being deleted has itself been deleted: looked at again. */
export async function withSource<R>(
  context: Context,
  request: OpenRequest,
  work: (source: OpenedBody) => Promise<R>,
): Promise<R> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const source = await openBody(context, request).catch((error: unknown) => {
      // A copy's source conditions have no 304 (RFC 9110 gives it to GET and HEAD only).
      if (!(error instanceof EngineError && error.kind === 'NotModified')) throw error;
      throw new EngineError(
        'PreconditionFailed',
        'At least one of the pre-conditions you specified did not hold',
      );
    });
    try {
      return await work(source);
    } catch (error) {
      if (!(error instanceof ChunkGone)) throw error;
    } finally {
      source.close();
    }
  }
  throw new EngineError('OperationAborted', 'The source is being deleted');
}

/** Reads segments through for their digests. */
export async function digestsOf(
  context: Context,
  segments: readonly Segment[],
  customerKey: CustomerKey | undefined,
  algorithm: ChecksumAlgorithm | undefined,
): Promise<DigestResult> {
  const digests = createDigests(algorithm ? { algorithm } : {});
  for await (const bytes of streamSegments(context, segments, customerKey)) digests.update(bytes);
  return digests.finish();
}

export function copy(context: Context, request: CopyRequest): Promise<WriteResult> {
  return withSource(context, request.source, async (source) => {
    const { bucket, key, conditions } = request;
    const located = await locate(context, bucket, key);
    const version = await versionOf(context, request, source);
    if (await liesInPack(context, segmentsOf(source.parts))) {
      return copyBytes(context, request, source, located, version);
    }
    const parts = await partsOf(context, request, source, version);
    const tail = newShortId();
    return adopt(context, located.partition, parts, true, (adoption) =>
      changeKey(context, bucket, key, async (state) => {
        checkWrite(existingOf(state), conditions);
        assertSameBucket(state, located.bucketId);
        const entries = await adoption.entries();
        const change = await addVersion(state, { ...version, body: adoption.bytes }, tail);
        return {
          checks: entries.checks,
          puts: [...change.puts, ...entries.puts],
          deletes: [...change.deletes, ...entries.deletes],
          result: written(change.record, request, state, undefined),
        };
      }),
    );
  });
}

async function copyBytes(
  context: Context,
  request: CopyRequest,
  { record, parts }: OpenedBody,
  located: Located,
  version: DescribedVersion,
): Promise<WriteResult> {
  const bytes = streamSegments(context, segmentsOf(parts), request.source.customerKey);
  const { customerKey } = request;
  const body = { bytes, length: record.size, isOwned: true };
  const copied = await writeBody(context, located.partition, body, { customerKey, mayShare: true });
  return nameBody(context, request, located, copied, version);
}

/** Headers that a copy never takes over. Source: S3 API reference, CopyObject. */
const NOT_COPIED: ReadonlySet<string> = new Set(['x-amz-storage-class', 'x-amz-website-redirect-location']);

const isCopied = ([name]: SystemHeaders[number]): boolean => !NOT_COPIED.has(name);

async function versionOf(
  context: Context,
  request: CopyRequest,
  source: OpenedBody,
): Promise<DescribedVersion> {
  const { record } = source;
  const checksum = await checksumOf(context, request, source);
  const sse = request.sse ?? record.sse;
  return {
    headers: request.headers ?? [...record.headers.filter(isCopied), ...(request.ownHeaders ?? [])],
    userMetadata: request.userMetadata ?? record.userMetadata,
    tags: request.tags ?? record.tags,
    ...(sse ? { sse } : {}),
    deleteMarker: false,
    lastModified: context.clock.now(),
    size: record.size,
    etag: record.etag,
    ...(checksum ? { checksum } : {}),
    ...(request.customerKey ? { customerKeyMd5: request.customerKey.md5 } : {}),
  };
}

/** The source's checksum; one of another algorithm is computed from the data. */
async function checksumOf(
  context: Context,
  { checksumAlgorithm: algorithm, source: { customerKey } }: CopyRequest,
  { record, parts }: OpenedBody,
): Promise<VersionRecord['checksum']> {
  if (!algorithm || algorithm === record.checksum?.algorithm) return record.checksum;
  const { checksum } = await digestsOf(context, segmentsOf(parts), customerKey, algorithm);
  return { algorithm, type: 'FULL_OBJECT', value: checksum! };
}

async function partsOf(
  context: Context,
  request: CopyRequest,
  source: OpenedBody,
  version: DescribedVersion,
): Promise<BodyPart[]> {
  const owner = newId();
  const sameChecksum = version.checksum?.algorithm === source.record.checksum?.algorithm;
  return Promise.all(
    source.parts.map(async ({ summary, segments }) => {
      const next = await rewrap(context, segments, request.source.customerKey, request.customerKey);
      if (!summary) return { owner, segments: next };
      const { checksum, ...bare } = summary;
      return { owner, segments: next, summary: checksum && sameChecksum ? summary : bare };
    }),
  );
}
