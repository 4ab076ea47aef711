import { objectHeaders } from '../headers/object.ts';
import { selectBytes } from '../headers/selection.ts';
import { openRequest } from '../headers/target.ts';
import type { S3Operation } from '../types.ts';

const NO_BYTES = new Uint8Array(0);

export const getObject: S3Operation = {
  name: 'GetObject',
  permission: 's3:GetObject',
  method: 'GET',
  target: 'object',
  async handle(request, context) {
    const opened = await context.store.open(openRequest(request, context.secure));
    try {
      const selection = selectBytes(request, opened);
      const { start, end } = selection;
      return {
        status: selection.status,
        headers: [...objectHeaders(opened.info, request.query), ...selection.headers],
        body: end > start ? opened.stream(start, end, request.signal) : NO_BYTES,
        release: (piece) => opened.release(piece),
        done: () => opened.close(),
      };
    } catch (error) {
      opened.close();
      throw error;
    }
  },
};
