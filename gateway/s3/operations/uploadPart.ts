import type { PartInfo } from '../../engine/types.ts';
import { checksumHeaderName } from '../headers/checksum.ts';
import { quoteEntityTag } from '../headers/conditions.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { encryptionHeaders, readCustomerKey } from '../headers/encryption.ts';
import { requiredPartNumber, uploadIdOf } from '../headers/parameters.ts';
import { uploadBody } from '../headers/payload.ts';
import { target } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const uploadPart: S3Operation = {
  name: 'UploadPart',
  permission: 's3:PutObject',
  method: 'PUT',
  target: 'object',
  query: ['partNumber', 'uploadId'],
  async handle(request, context) {
    const headers = effectiveHeaders(request);
    const customerKey = readCustomerKey(headers, context.secure);
    const part = await context.store.putPart({
      ...target(request),
      uploadId: uploadIdOf(request.query),
      partNumber: requiredPartNumber(request.query),
      body: uploadBody(request),
      ...(customerKey !== undefined && { customerKey }),
      signal: request.signal,
    });
    return {
      status: 200,
      headers: [
        ['etag', quoteEntityTag(part.etag)],
        ...partChecksum(part),
        ...encryptionHeaders(customerKey?.md5),
      ],
    };
  },
};

/** UploadPart answers the value alone: the type belongs to the object. */
function partChecksum({ checksum }: PartInfo): (readonly [string, string])[] {
  return checksum === undefined ? [] : [[checksumHeaderName(checksum.algorithm), checksum.value]];
}
