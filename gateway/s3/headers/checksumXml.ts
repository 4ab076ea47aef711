import { CHECKSUM_ALGORITHMS } from '../../engine/checksums.ts';
import type { Checksum, ChecksumAlgorithm } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import type { XmlElement } from '../parseXml.ts';
import { element } from '../xml.ts';
import type { Markup } from '../xml.ts';
import { findAlgorithm } from './checksum.ts';

const PREFIX = 'Checksum';

/** `<ChecksumCRC32>…</ChecksumCRC32>`, and the type where `typed`; nothing without a checksum. */
export function checksumElements(checksum: Checksum | undefined, typed = false): readonly Markup[] {
  if (checksum === undefined) return [];
  const value = element(PREFIX + checksum.algorithm, checksum.value);
  return typed ? [value, element('ChecksumType', checksum.type)] : [value];
}

/** The checksum among an element's children. @throws S3Error 'InvalidRequest' for several, and for an algorithm Shardway does not compute */
export function childChecksum(
  parent: XmlElement,
): { algorithm: ChecksumAlgorithm; value: string } | undefined {
  let found: { algorithm: ChecksumAlgorithm; value: string } | undefined;
  for (const { name, text } of parent.children) {
    if (!name.startsWith(PREFIX) || name === 'ChecksumType' || text.trim() === '') continue;
    const algorithm = findAlgorithm(name.slice(PREFIX.length));
    if (algorithm === undefined) {
      throw new S3Error(
        'InvalidRequest',
        `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
      );
    }
    if (found !== undefined) {
      throw new S3Error('InvalidRequest', 'Expecting a single checksum for each part.');
    }
    found = { algorithm, value: text.trim() };
  }
  return found;
}
