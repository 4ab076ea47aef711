import { writeConditions } from '../headers/conditions.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { writeEncryption } from '../headers/encryption.ts';
import { userMetadata } from '../headers/metadata.ts';
import { putHeaders } from '../headers/object.ts';
import { uploadBody } from '../headers/payload.ts';
import { systemHeaders } from '../headers/system.ts';
import { taggingHeader } from '../headers/tagging.ts';
import { refuseAcl, refuseAppend, refuseObjectLock } from '../headers/unsupported.ts';
import { target } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const putObject: S3Operation = {
  name: 'PutObject',
  permission: 's3:PutObject',
  method: 'PUT',
  target: 'object',
  async handle(request, context) {
    const headers = effectiveHeaders(request);
    refuseAppend(headers);
    refuseAcl(headers);
    refuseObjectLock(headers);
    const conditions = writeConditions(headers);
    const result = await context.store.put({
      ...target(request),
      headers: systemHeaders(headers),
      userMetadata: userMetadata(headers),
      tags: taggingHeader(headers) ?? [],
      ...writeEncryption(headers, context.secure),
      body: uploadBody(request),
      ...(conditions !== undefined && { conditions }),
      signal: request.signal,
    });
    return { status: 200, headers: putHeaders(result) };
  },
};
