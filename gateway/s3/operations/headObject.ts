import { objectHeaders } from '../headers/object.ts';
import { selectBytes } from '../headers/selection.ts';
import { openRequest } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

export const headObject: S3Operation = {
  name: 'HeadObject',
  permission: 's3:GetObject',
  method: 'HEAD',
  target: 'object',
  async handle(request, context) {
    const opened = await context.store.open(openRequest(request, context.secure));
    try {
      const selection = selectBytes(request, opened);
      return {
        status: selection.status,
        headers: [...objectHeaders(opened.info, request.query), ...selection.headers],
      };
    } finally {
      opened.close();
    }
  },
};
