import { deleteConditions } from '../headers/conditions.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { targetVersion } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const deleteObject: S3Operation = {
  name: 'DeleteObject',
  permission: 's3:DeleteObject',
  method: 'DELETE',
  target: 'object',
  async handle(request, context) {
    const conditions = deleteConditions(effectiveHeaders(request));
    const { versionId, deleteMarker } = await context.store.delete({
      ...targetVersion(request),
      ...(conditions !== undefined && { conditions }),
    });
    const headers: (readonly [string, string])[] = [];
    if (versionId !== undefined) headers.push(['x-amz-version-id', versionId]);
    if (deleteMarker) headers.push(['x-amz-delete-marker', 'true']);
    return { status: 204, headers };
  },
};
