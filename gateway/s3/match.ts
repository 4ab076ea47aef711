import { S3Error } from './errors.ts';
import type { Query, RefusedOperation, RequestHeaders, S3Operation, Target } from './types.ts';

interface Route {
  readonly method: string;
  readonly target: Target;
  readonly query: Query;
  /** With those that a presigned URL carries in its query. */
  readonly headers: RequestHeaders;
}

export type TableEntry = S3Operation | RefusedOperation;

export function isImplemented(entry: TableEntry): entry is S3Operation {
  return 'handle' in entry;
}

/** @throws S3Error 'MethodNotAllowed' | 'NotImplemented' */
export type Matcher = (route: Route) => TableEntry;

/** Parameters of plain operations; empty values mean the same as none. */
const PARAMETERS: ReadonlySet<string> = new Set([
  'bucket-region',
  'continuation-token',
  'delimiter',
  'encoding-type',
  'fetch-owner',
  'key-marker',
  'list-type',
  'marker',
  'max-buckets',
  'max-keys',
  'max-parts',
  'max-uploads',
  'part-number-marker',
  'partNumber',
  'prefix',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'start-after',
  'upload-id-marker',
  'version-id-marker',
  'versionId',
  'x-id',
]);

/** Selectors of one operation that are plain parameters of others: `partNumber` on GET, `id` anywhere. */
const NOT_SUB_RESOURCES: ReadonlySet<string> = new Set([
  'id',
  'list-type',
  'partNumber',
  'select-type',
  'x-id',
]);

/**
 * The entry with the most selectors that match. A parameter that names a sub-resource, or any unknown one without a value, that the
 * entry did not ask for is refused: it must not fall through to a listing or a plain read or write. Other unknown ones are ignored.
 */
export function createMatcher(entries: Iterable<TableEntry>): Matcher {
  const routes = new Map<string, TableEntry[]>();
  const subResources = new Set<string>();
  for (const entry of entries) {
    const route = `${entry.method} ${entry.target}`;
    const list = routes.get(route);
    if (list === undefined) routes.set(route, [entry]);
    else list.push(entry);
    for (const selector of entry.query ?? []) subResources.add(nameOf(selector));
  }
  for (const list of routes.values()) list.sort((a, b) => selectors(b) - selectors(a));
  for (const name of NOT_SUB_RESOURCES) subResources.delete(name);

  return (route) => {
    const entry = routes
      .get(`${route.method} ${route.target}`)
      ?.find((candidate) => matches(candidate, route));
    const foreign = route.query.names().find((name) => isForeign(name, entry, route, subResources));
    if (foreign !== undefined) throw notImplemented(foreign);
    if (entry === undefined) {
      throw new S3Error('MethodNotAllowed', undefined, {
        fields: [
          ['Method', route.method],
          ['ResourceType', route.target.toUpperCase()],
        ],
      });
    }
    return entry;
  };
}

function selectors(entry: TableEntry): number {
  return (entry.query?.length ?? 0) + (entry.headers?.length ?? 0);
}

function nameOf(selector: string): string {
  const equals = selector.indexOf('=');
  return equals < 0 ? selector : selector.slice(0, equals);
}

function matches(entry: TableEntry, { query, headers }: Route): boolean {
  return (
    (entry.query ?? []).every((selector) => {
      const name = nameOf(selector);
      return name === selector ? query.has(name) : query.get(name) === selector.slice(name.length + 1);
    }) && (entry.headers ?? []).every((name) => headers.get(name) !== undefined)
  );
}

function isForeign(
  name: string,
  entry: TableEntry | undefined,
  { method, query }: Route,
  subResources: ReadonlySet<string>,
): boolean {
  if (entry?.query?.some((selector) => nameOf(selector) === name) === true) return false;
  // A part number makes sense on a read; on a write it is half of an UploadPart.
  if (name === 'partNumber') return method !== 'GET' && method !== 'HEAD';
  if (subResources.has(name)) return true;
  return query.get(name) === '' && !PARAMETERS.has(name) && !/^x-amz-/i.test(name);
}

function notImplemented(parameter: string): S3Error {
  return new S3Error('NotImplemented', undefined, { fields: [['Parameter', parameter]] });
}
