/** Parts of multipart uploads. */
import { adopt, liesInPack, rewrap } from './adopt.ts';
import { chunkEntries, writeBody } from './body.ts';
import { garbageCodec, partCodec } from './codecs.ts';
import { commitPlan } from './commit.ts';
import type { Plan } from './commit.ts';
import { newId } from './context.ts';
import type { Context } from './context.ts';
import { digestsOf, withSource } from './copy.ts';
import { uploadInfo } from './info.ts';
import { garbageKey, partKey, partsOf } from './keys.ts';
import type { Hex, PartRecord, PartSummary, UploadRecord } from './model.ts';
import { settling } from './objects.ts';
import { streamSegments } from './reader.ts';
import type { OpenedBody } from './reader.ts';
import { justAfter } from './scan.ts';
import { segmentsOf, slice } from './segments.ts';
import { EngineError } from './types.ts';
import type {
  Checksum,
  CopyPartRequest,
  ListPartsRequest,
  PartInfo,
  PutPartRequest,
  UploadInfo,
  UploadRef,
} from './types.ts';
import { checkUploadKey, findUpload } from './uploads.ts';
import type { FoundUpload } from './uploads.ts';

/** S3's limit. */
export const PARTS_MAX = 10_000;

export async function putPart(context: Context, request: PutPartRequest): Promise<PartInfo> {
  const { customerKey, body, partNumber } = request;
  assertPartNumber(partNumber);
  const found = await findUpload(context, request);
  checkUploadKey(found.record, customerKey);
  const declared = found.record.checksumAlgorithm;
  if (declared && body.checksum && body.checksum.algorithm !== declared) {
    throw new EngineError(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${declared.toLowerCase()}, actual checksum Type: ${body.checksum.algorithm.toLowerCase()}`,
    );
  }
  return writePart(context, request, found);
}

async function writePart(
  context: Context,
  request: PutPartRequest,
  { partition, record, bucketId }: FoundUpload,
): Promise<PartInfo> {
  const { customerKey, signal, body, partNumber } = request;
  const written = await writeBody(context, partition, body, {
    customerKey,
    signal,
    algorithm: record.checksumAlgorithm,
  });
  const { checksum, size, md5, survives } = written;
  const summary = summaryOf(context, partNumber, size, md5, checksum);
  return settling(context, written, () =>
    commitPart(context, request, { part: { ...written.part, summary }, survives }, async () => ({
      ...chunkEntries(context, written, bucketId),
      deletes: [],
    })),
  );
}

const summaryOf = (
  context: Context,
  number: number,
  size: number,
  etag: string,
  checksum: Checksum | undefined,
): PartSummary => ({
  number,
  size,
  etag,
  lastModified: context.clock.now(),
  ...(checksum ? { checksum } : {}),
});

/** @throws EngineError 'InvalidArgument' */
function assertPartNumber(number: number): void {
  if (!Number.isInteger(number) || number < 1 || number > PARTS_MAX) {
    throw new EngineError('InvalidArgument', `Part number must be an integer between 1 and ${PARTS_MAX}`);
  }
}

/** Puts a part into an upload that is still there; a part it replaces becomes garbage. */
async function commitPart(
  context: Context,
  ref: UploadRef,
  record: PartRecord,
  entries: () => Promise<Pick<Plan<unknown>, 'checks' | 'puts' | 'deletes'>>,
): Promise<PartInfo> {
  const { partition } = await findUpload(context, ref);
  const { summary } = record.part;
  const key = partKey(ref.uploadId, summary.number);
  const value = partCodec.encode(record);
  return context.locks.run(`part ${ref.uploadId} ${summary.number}`, () =>
    commitPlan(context, partition, async () => {
      const { place, bytes } = await findUpload(context, ref);
      const before = await context.kv.get(partition, key);
      const { checks, puts, deletes } = await entries();
      return {
        checks: [{ key: place, value: bytes }, { key, value: before ?? null }, ...checks],
        puts: [[key, value], ...discardPart(before), ...puts],
        deletes,
        result: summary,
      };
    }),
  );
}

function discardPart(before: Uint8Array | undefined): [Uint8Array, Uint8Array][] {
  if (!before) return [];
  const { part } = partCodec.decode(before);
  const body = { kind: 'inline', parts: [part] } as const;
  return [[garbageKey(part.owner), garbageCodec.encode({ kind: 'body', body })]];
}

export async function copyPart(
  context: Context,
  request: CopyPartRequest,
): Promise<PartInfo & { sourceVersionId?: string }> {
  assertPartNumber(request.partNumber);
  const found = await findUpload(context, request);
  checkUploadKey(found.record, request.customerKey);
  return withSource(context, request.source, async (source) => {
    const { start, end } = rangeOf(context, request, source);
    const run = slice(segmentsOf(source.parts), start, end);
    if (await liesInPack(context, run)) {
      const bytes = streamSegments(context, run, request.source.customerKey);
      return fromVersion(
        source,
        await writePart(context, { ...request, body: { bytes, length: end - start, isOwned: true } }, found),
      );
    }
    const owner = newId();
    const digest = await digestOfRun(context, request, found.record, source, { start, end });
    const segments = await rewrap(context, run, request.source.customerKey, request.customerKey);
    const summary = summaryOf(context, request.partNumber, end - start, digest.md5, digest.checksum);
    const part = { owner, segments, summary };
    const info = await adopt(context, found.partition, [part], false, (adoption) =>
      commitPart(context, request, { part, survives: undefined }, () => adoption.entries()),
    );
    return fromVersion(source, info);
  });
}

function fromVersion({ info }: OpenedBody, part: PartInfo): PartInfo & { sourceVersionId?: string } {
  return info.versioned ? { ...part, sourceVersionId: info.versionId } : part;
}

/** @throws EngineError 'InvalidRange' | 'InvalidRequest' (more than a part may have) */
function rangeOf(
  context: Context,
  { range }: CopyPartRequest,
  { record: { size } }: OpenedBody,
): { start: number; end: number } {
  const { start, end } = range ?? { start: 0, end: size };
  if (range && !(start >= 0 && start < end && end <= size)) {
    throw new EngineError('InvalidRange', `The range is not within the source's ${size} bytes`);
  }
  if (end - start > context.options.bodyBytesMax) {
    throw new EngineError(
      'InvalidRequest',
      `The specified copy source is larger than the maximum allowable size for a copy source: ${context.options.bodyBytesMax}`,
    );
  }
  return { start, end };
}

/** MD5 and checksum of a source's run: those of its one part, where it is just that part, else from the data. */
async function digestOfRun(
  context: Context,
  { source: { customerKey } }: CopyPartRequest,
  { checksumAlgorithm: algorithm }: UploadRecord,
  { record, parts }: OpenedBody,
  { start, end }: { start: number; end: number },
): Promise<{ md5: string; checksum: Checksum | undefined }> {
  let at = 0;
  for (const { summary } of parts) {
    const { size, etag, checksum } = summary ?? record;
    const known = start === at && end === at + size && (!algorithm || checksum?.algorithm === algorithm);
    if (known) return { md5: etag, checksum: algorithm && checksum };
    at += size;
  }
  const digest = await digestsOf(context, slice(segmentsOf(parts), start, end), customerKey, algorithm);
  return {
    md5: digest.md5,
    checksum: algorithm && { algorithm, type: 'FULL_OBJECT', value: digest.checksum! },
  };
}

export interface StoredPart extends PartRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const PAGE = 1000;

/** Parts of an upload by number, after `after`. */
export async function scanParts(
  context: Context,
  partition: number,
  upload: Hex,
  after = 0,
  limit = PARTS_MAX,
): Promise<StoredPart[]> {
  const parts: StoredPart[] = [];
  const { to } = partsOf(upload);
  let from = partKey(upload, after + 1);
  while (parts.length < limit) {
    const wanted = Math.min(limit - parts.length, PAGE);
    const page = await context.kv.scan(partition, { from, to, limit: wanted });
    for (const [key, value] of page) parts.push({ key, value, ...partCodec.decode(value) });
    const last = page[page.length - 1];
    if (!last || page.length < wanted) break;
    from = justAfter(last[0]);
  }
  return parts;
}

export async function listParts(
  context: Context,
  request: ListPartsRequest,
): Promise<{ upload: UploadInfo; parts: PartInfo[]; truncated: boolean }> {
  const { record, partition } = await findUpload(context, request);
  const after = Math.min(Math.max(request.after, 0), PARTS_MAX);
  const found = await scanParts(context, partition, request.uploadId, after, request.limit + 1);
  return {
    upload: uploadInfo(record, request),
    parts: found.slice(0, request.limit).map(({ part }) => part.summary),
    truncated: request.limit > 0 && found.length > request.limit,
  };
}
