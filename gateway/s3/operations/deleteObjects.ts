import type { DeleteRequest, DeleteResult, ObjectStore } from '../../engine/types.ts';
import { S3Error, toS3Error } from '../errors.ts';
import { unquoteEntityTag } from '../headers/conditions.ts';
import { readCheckedXml } from '../headers/payload.ts';
import { targetBucket } from '../headers/target.ts';
import { KEY_BYTES_MAX } from '../names.ts';
import { child, childText, children } from '../parseXml.ts';
import type { XmlElement } from '../parseXml.ts';
import type { RequestHeaders, S3Operation } from '../types.ts';
import { element, optional, rootElement } from '../xml.ts';
import type { Markup } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

/** Source: S3 API reference, DeleteObjects. */
const KEYS_MAX = 1000;
/** Deletes of one request under way at a time: enough to share commits, few beside other requests. */
const CONCURRENCY = 32;

interface Deletion {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly etag: string | undefined;
}

export const deleteObjects: S3Operation = {
  name: 'DeleteObjects',
  permission: 's3:DeleteObject',
  method: 'POST',
  target: 'bucket',
  query: ['delete'],
  async handle(request, context) {
    const bucket = targetBucket(request);
    requireDigest(request.headers);
    const document = await readCheckedXml(request, 'Delete');
    const deletions = children(document, 'Object').map(parseDeletion);
    if (deletions.length === 0 || deletions.length > KEYS_MAX) throw new S3Error('MalformedXML');
    const quiet = childText(document, 'Quiet')?.trim().toLowerCase() === 'true';
    // A missing bucket is the request's error, not each key's.
    await context.store.bucket(bucket);
    const results = await deleteAll(context.store, bucket, deletions, quiet);
    return xmlResponse(rootElement('DeleteResult', results));
  },
};

/** S3 asks for a digest of the list: Content-MD5 or a checksum, in a header or in the trailer. */
function requireDigest(headers: RequestHeaders): void {
  const announced = headers.get('x-amz-trailer') ?? '';
  if (headers.get('content-md5') !== undefined || announced.toLowerCase().includes('x-amz-checksum-')) return;
  for (const [name] of headers.entries()) if (/^x-amz-checksum-(?:crc|sha)/.test(name)) return;
  throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5');
}

function parseDeletion(object: XmlElement): Deletion {
  const key = childText(object, 'Key');
  if (key === undefined || key === '') throw new S3Error('MalformedXML');
  // Conditions of directory buckets: one that is not checked must not be accepted.
  for (const name of ['LastModifiedTime', 'Size']) {
    if (child(object, name) !== undefined) {
      throw new S3Error('NotImplemented', undefined, { fields: [['Element', name]] });
    }
  }
  const versionId = childText(object, 'VersionId')?.trim();
  const etag = childText(object, 'ETag')?.trim();
  return {
    key,
    // SDKs write an empty element for an unset one.
    versionId: versionId === '' ? undefined : versionId,
    etag: etag === undefined || etag === '' ? undefined : unquoteEntityTag(etag),
  };
}

/** Results in the order of the request. */
async function deleteAll(
  store: ObjectStore,
  bucket: string,
  deletions: readonly Deletion[],
  quiet: boolean,
): Promise<readonly Markup[]> {
  const results: (Markup | undefined)[] = Array.from({ length: deletions.length });
  const queue = deletions.entries();
  const worker = async (): Promise<void> => {
    for (const [at, deletion] of queue) {
      results[at] = await deleteOne(store, bucket, deletion, quiet);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, deletions.length) }, worker));
  return results.filter((result) => result !== undefined);
}

async function deleteOne(
  store: ObjectStore,
  bucket: string,
  deletion: Deletion,
  quiet: boolean,
): Promise<Markup | undefined> {
  const { key, versionId, etag } = deletion;
  try {
    if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError');
    const request: DeleteRequest = {
      bucket,
      key,
      ...(versionId !== undefined && { versionId }),
      ...(etag !== undefined && { conditions: { ifMatch: [etag] } }),
    };
    const result = await store.delete(request);
    return quiet ? undefined : deletedElement(deletion, result);
  } catch (error) {
    const { code, message } = toS3Error(error);
    return element(
      'Error',
      element('Key', key),
      optional('VersionId', versionId),
      element('Code', code),
      element('Message', message),
    );
  }
}

/** VersionId is what was asked for; a marker made or removed is told apart from it. */
function deletedElement({ key, versionId }: Deletion, result: DeleteResult): Markup {
  return element(
    'Deleted',
    element('Key', key),
    optional('VersionId', versionId),
    ...(result.deleteMarker
      ? [element('DeleteMarker', true), optional('DeleteMarkerVersionId', result.versionId)]
      : []),
  );
}
