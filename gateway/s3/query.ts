import type { Query } from './types.ts';
import { decodeUri } from './uri.ts';

/**
 * Decodes a raw query. '+' is a space, as on AWS; of several parameters of one name the first counts.
 * @throws S3Error 'InvalidURI'
 */
export function parseQuery(rawQuery: string): Query {
  const values = new Map<string, string>();
  for (const parameter of rawQuery.split('&')) {
    if (parameter === '') continue;
    const equals = parameter.indexOf('=');
    const rawName = equals < 0 ? parameter : parameter.slice(0, equals);
    const name = decodeUri(rawName.replaceAll('+', ' '));
    if (values.has(name)) continue;
    values.set(name, equals < 0 ? '' : decodeUri(parameter.slice(equals + 1).replaceAll('+', ' ')));
  }
  const names = [...values.keys()];
  return {
    has: (name) => values.has(name),
    get: (name) => values.get(name),
    names: () => names,
  };
}
