import type { UploadInfo } from '../../engine/types.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { encryptionHeaders, writeEncryption } from '../headers/encryption.ts';
import { userMetadata } from '../headers/metadata.ts';
import { systemHeaders } from '../headers/system.ts';
import { taggingHeader } from '../headers/tagging.ts';
import { target } from '../headers/target.ts';
import { refuseAcl, refuseObjectLock } from '../headers/unsupported.ts';
import { uploadChecksum } from '../headers/uploadChecksum.ts';
import type { S3Operation } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

export const createMultipartUpload: S3Operation = {
  name: 'CreateMultipartUpload',
  permission: 's3:PutObject',
  method: 'POST',
  target: 'object',
  query: ['uploads'],
  async handle(request, context) {
    const headers = effectiveHeaders(request);
    refuseAcl(headers);
    refuseObjectLock(headers);
    const checksum = uploadChecksum(headers);
    const upload = await context.store.createUpload({
      ...target(request),
      initiator: request.principal.owner,
      headers: systemHeaders(headers),
      userMetadata: userMetadata(headers),
      tags: taggingHeader(headers) ?? [],
      ...writeEncryption(headers, context.secure),
      ...(checksum !== undefined && { checksumAlgorithm: checksum.algorithm, checksumType: checksum.type }),
    });
    return xmlResponse(
      rootElement(
        'InitiateMultipartUploadResult',
        element('Bucket', upload.bucket),
        element('Key', upload.key),
        element('UploadId', upload.uploadId),
      ),
      [...encryptionHeaders(upload.customerKeyMd5), ...checksumSettings(upload)],
    );
  },
};

function checksumSettings(upload: UploadInfo): (readonly [string, string])[] {
  const { checksumAlgorithm, checksumType } = upload;
  const headers: (readonly [string, string])[] = [];
  if (checksumAlgorithm !== undefined) headers.push(['x-amz-checksum-algorithm', checksumAlgorithm]);
  if (checksumType !== undefined) headers.push(['x-amz-checksum-type', checksumType]);
  return headers;
}
