import type { Pairs } from '../../engine/types.ts';
import type { S3Response } from '../types.ts';
import { xmlDocument } from '../xml.ts';
import type { Markup } from '../xml.ts';

/** 200 with a document. */
export function xmlResponse(root: Markup, headers: Pairs = []): S3Response {
  return { status: 200, headers: [['content-type', 'application/xml'], ...headers], body: xmlDocument(root) };
}
