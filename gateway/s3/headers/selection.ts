import type { ObjectInfo, OpenedObject, Pairs } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { S3Request } from '../types.ts';
import { checksumHeaderName, checksumHeaders } from './checksum.ts';
import { effectiveHeaders } from './effective.ts';
import { partNumberOf } from './parameters.ts';
import { contentRange, resolveRange } from './range.ts';

/** The bytes that GET or HEAD answers with, and the headers that tell so. */
export interface Selection {
  readonly status: 200 | 206;
  readonly start: number;
  readonly end: number;
  readonly headers: Pairs;
}

/** @throws S3Error 'InvalidRequest' | 'InvalidArgument' | 'InvalidRange', EngineError 'InvalidPartNumber' */
export function selectBytes(request: S3Request, opened: OpenedObject): Selection {
  const { info } = opened;
  const rangeHeader = request.headers.get('range');
  const partNumber = partNumberOf(request.query);
  const checksums = effectiveHeaders(request).get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  if (partNumber !== undefined) {
    if (rangeHeader !== undefined) {
      throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
    }
    return selectPart(opened, partNumber, checksums);
  }
  const range = resolveRange(rangeHeader, info.size);
  if (range !== undefined) {
    return { status: 206, ...range, headers: lengthHeaders(range.start, range.end, info.size) };
  }
  const headers: Pairs = [['content-length', String(info.size)]];
  return {
    status: 200,
    start: 0,
    end: info.size,
    // The checksum is of the whole body: a client would check a range against it.
    headers: checksums ? [...headers, ...checksumHeaders(info.checksum)] : headers,
  };
}

function selectPart(opened: OpenedObject, partNumber: number, checksums: boolean): Selection {
  const { info } = opened;
  const { start, end, count } = opened.partRange(partNumber);
  const headers: (readonly [string, string])[] = [...lengthHeaders(start, end, info.size)];
  if (info.parts !== undefined) headers.push(['x-amz-mp-parts-count', String(count)]);
  if (checksums) headers.push(...partChecksumHeaders(info, partNumber));
  // An empty part has no first byte that Content-Range could name.
  return { status: end > start ? 206 : 200, start, end, headers };
}

function lengthHeaders(start: number, end: number, size: number): Pairs {
  const length = ['content-length', String(end - start)] as const;
  return end > start ? [length, ['content-range', contentRange({ start, end }, size)]] : [length];
}

/** A part's own checksum, which covers just the bytes sent; the type is the object's. */
function partChecksumHeaders(info: ObjectInfo, partNumber: number): Pairs {
  if (info.parts === undefined) return checksumHeaders(info.checksum);
  const checksum = info.parts[partNumber - 1]?.checksum;
  if (checksum === undefined) return [];
  return [
    [checksumHeaderName(checksum.algorithm), checksum.value],
    ['x-amz-checksum-type', info.checksum?.type ?? checksum.type],
  ];
}
