import type { CopyRequest, ObjectStore } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import { checksumElements } from '../headers/checksumXml.ts';
import { quoteEntityTag, writeConditions } from '../headers/conditions.ts';
import { copiedVersionHeaders, copySourceRequest, copying, replaces } from '../headers/copy.ts';
import { COPY_SOURCE_HEADER } from '../headers/copySource.ts';
import { formatIsoDate } from '../headers/dates.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { writeEncryption } from '../headers/encryption.ts';
import { userMetadata } from '../headers/metadata.ts';
import { writeHeaders } from '../headers/object.ts';
import { REDIRECT_HEADER, STORAGE_CLASS_HEADER, headersOfItsOwn, systemHeaders } from '../headers/system.ts';
import { taggingHeader } from '../headers/tagging.ts';
import { target } from '../headers/target.ts';
import { refuseAcl, refuseObjectLock } from '../headers/unsupported.ts';
import { checksumAlgorithm } from '../headers/uploadChecksum.ts';
import { patient } from '../patient.ts';
import type { RequestHeaders, S3Operation, S3Request, S3Response } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const copyObject: S3Operation = {
  name: 'CopyObject',
  permission: 's3:PutObject',
  method: 'PUT',
  target: 'object',
  headers: [COPY_SOURCE_HEADER],
  async handle(request, context) {
    const headers = effectiveHeaders(request);
    refuseAcl(headers);
    refuseObjectLock(headers);
    const copy = parseCopy(request, headers, context.secure);
    return patient(request, copying(carryOut(context.store, copy)));
  },
};

function parseCopy(request: S3Request, headers: RequestHeaders, secure: boolean): CopyRequest {
  const algorithm = checksumAlgorithm(headers);
  const conditions = writeConditions(headers);
  const copy: CopyRequest = {
    ...target(request),
    source: copySourceRequest(headers, secure),
    ...(replaces(headers, 'metadata')
      ? { headers: systemHeaders(headers), userMetadata: userMetadata(headers) }
      : { ownHeaders: headersOfItsOwn(headers) }),
    ...(replaces(headers, 'tagging') && { tags: taggingHeader(headers) ?? [] }),
    ...writeEncryption(headers, secure),
    ...(algorithm !== undefined && { checksumAlgorithm: algorithm }),
    ...(conditions !== undefined && { conditions }),
  };
  if (changesNothing(copy, headers)) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  return copy;
}

/** An older version copied over its own key is a change. */
function changesNothing(copy: CopyRequest, headers: RequestHeaders): boolean {
  const { source, key, bucket } = copy;
  const onItself = source.bucket === bucket && source.key === key && source.versionId === undefined;
  const encryption = copy.sse ?? copy.customerKey ?? source.customerKey;
  return (
    onItself &&
    copy.headers === undefined &&
    copy.tags === undefined &&
    copy.checksumAlgorithm === undefined &&
    encryption === undefined &&
    [STORAGE_CLASS_HEADER, REDIRECT_HEADER].every((name) => (headers.get(name) ?? '') === '')
  );
}

async function carryOut(store: ObjectStore, copy: CopyRequest): Promise<S3Response> {
  const result = await store.copy(copy);
  const { info } = result;
  return xmlResponse(
    rootElement(
      'CopyObjectResult',
      element('LastModified', formatIsoDate(info.lastModified)),
      element('ETag', quoteEntityTag(info.etag)),
      checksumElements(info.checksum, true),
    ),
    [...copiedVersionHeaders(copy.source, result.sourceVersionId), ...writeHeaders(result)],
  );
}
