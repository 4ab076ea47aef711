import type { ObjectInfo } from '../../engine/types.ts';
import { S3Error } from '../errors.ts';
import { checksumElements } from '../headers/checksumXml.ts';
import { formatHttpDate } from '../headers/dates.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { versionHeaders } from '../headers/object.ts';
import { nonNegative, pageSize } from '../headers/parameters.ts';
import { invalidArgument } from '../headers/refuse.ts';
import { storageClassOf } from '../headers/system.ts';
import { openRequest } from '../headers/target.ts';
import type { RequestHeaders, S3Operation } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import type { Markup } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

const ATTRIBUTES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
type Attribute = (typeof ATTRIBUTES)[number];

export const getObjectAttributes: S3Operation = {
  name: 'GetObjectAttributes',
  permission: 's3:GetObjectAttributes',
  method: 'GET',
  target: 'object',
  query: ['attributes'],
  async handle(request, context) {
    const headers = effectiveHeaders(request);
    const wanted = wantedAttributes(headers);
    const page = partsPage(headers);
    const opened = await context.store.open(openRequest(request, context.secure));
    opened.close();
    const { info } = opened;
    return xmlResponse(
      rootElement(
        'GetObjectAttributesResponse',
        ATTRIBUTES.filter((name) => wanted.has(name)).flatMap((name) => attributeElements(info, name, page)),
      ),
      [['last-modified', formatHttpDate(info.lastModified)], ...versionHeaders(info)],
    );
  },
};

function wantedAttributes(headers: RequestHeaders): ReadonlySet<Attribute> {
  const header = 'x-amz-object-attributes';
  const names = (headers.get(header) ?? '').split(',').map((name) => name.trim());
  if (names.every((name) => name === '')) {
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty',
    );
  }
  return new Set(
    names
      .filter((name) => name !== '')
      .map((name) => {
        const attribute = ATTRIBUTES.find((known) => known.toLowerCase() === name.toLowerCase());
        if (attribute === undefined) throw invalidArgument('Invalid attribute name specified.', header, name);
        return attribute;
      }),
  );
}

interface PartsPage {
  readonly after: number;
  readonly limit: number;
}

function partsPage(headers: RequestHeaders): PartsPage {
  const marker = headers.get('x-amz-part-number-marker');
  return {
    after: marker === undefined || marker === '' ? 0 : nonNegative('part-number-marker', marker),
    limit: pageSize('max-parts', headers.get('x-amz-max-parts')),
  };
}

function attributeElements(info: ObjectInfo, name: Attribute, page: PartsPage): readonly Markup[] {
  switch (name) {
    case 'ETag':
      // Unquoted here, alone of all documents.
      return [element('ETag', info.etag)];
    case 'Checksum':
      return info.checksum === undefined ? [] : [element('Checksum', checksumElements(info.checksum, true))];
    case 'ObjectParts':
      return objectParts(info, page);
    case 'StorageClass':
      return [element('StorageClass', storageClassOf(info.headers))];
    case 'ObjectSize':
      return [element('ObjectSize', info.size)];
  }
}

function objectParts(info: ObjectInfo, page: PartsPage): readonly Markup[] {
  const { parts } = info;
  if (parts === undefined) return [];
  // Parts are numbered by their place here, as GET ?partNumber numbers them.
  const shown = parts.slice(page.after, page.after + page.limit);
  const next = page.after + shown.length;
  return [
    element(
      'ObjectParts',
      element('PartsCount', parts.length),
      element('PartNumberMarker', page.after),
      element('NextPartNumberMarker', next),
      element('MaxParts', page.limit),
      element('IsTruncated', next < parts.length),
      shown.map((part, at) =>
        element(
          'Part',
          element('PartNumber', page.after + at + 1),
          element('Size', part.size),
          checksumElements(part.checksum),
        ),
      ),
    ),
  ];
}
