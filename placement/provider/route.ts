import { NetworkError } from '../network/errors.ts';
import { parseStoredName } from '../shardName.ts';
import type { ShardName } from '../types.ts';

/** What a request asks for (see wire.ts). `stored` is the shard's stored name. */
export type Route =
  | { readonly op: 'hello'; readonly nonce: string | undefined }
  | { readonly op: 'put'; readonly shard: ShardName; readonly stored: string }
  | { readonly op: 'delete'; readonly shard: ShardName; readonly stored: string }
  | {
      readonly op: 'get';
      readonly shard: ShardName;
      readonly stored: string;
      readonly first: number;
      readonly count: number;
    }
  | {
      readonly op: 'prove';
      readonly shard: ShardName;
      readonly stored: string;
      readonly leaf: number;
      readonly nonce: string;
    }
  | { readonly op: 'list'; readonly after: string | undefined; readonly limit: number }
  | { readonly op: 'space' };

const LIST_MAX = 10_000;
const NONCE = /^[0-9a-f]{64}$/;
const SHARD_PATH = /^\/v1\/shards\/([^/]{1,40})(\/proof)?$/;

/** @throws NetworkError 'BadMessage' */
export function routeOf(method: string, target: string): Route {
  const url = target.startsWith('/v1/') ? URL.parse(target, 'http://provider') : null;
  if (!url) bad('there is nothing at this address');
  const { pathname, searchParams } = url;
  if (pathname.startsWith('/v1/shards/')) return shardRoute(method, pathname, searchParams);
  if (method === 'GET' && pathname === '/v1/hello') return helloRoute(searchParams);
  if (method === 'GET' && pathname === '/v1/space') return { op: 'space' };
  if (method === 'GET' && pathname === '/v1/shards') return listRoute(searchParams);
  bad('there is nothing at this address');
}

function shardRoute(method: string, path: string, query: URLSearchParams): Route {
  const [, stored, proof] = SHARD_PATH.exec(path) ?? [];
  const shard = parseStoredName(stored ?? '');
  if (stored === undefined || !shard) bad('no shard has such a name');
  if (method === 'GET' && proof !== undefined) {
    return { op: 'prove', shard, stored, leaf: whole(query, 'leaf'), nonce: nonceOf(query) };
  }
  if (proof !== undefined) bad('a proof can only be got');
  switch (method) {
    case 'PUT':
      return { op: 'put', shard, stored };
    case 'DELETE':
      return { op: 'delete', shard, stored };
    case 'GET':
      return { op: 'get', shard, stored, first: whole(query, 'first'), count: whole(query, 'count') };
    default:
      bad('a shard can be put, got and deleted');
  }
}

function helloRoute(query: URLSearchParams): Route {
  return { op: 'hello', nonce: query.has('nonce') ? nonceOf(query) : undefined };
}

function listRoute(query: URLSearchParams): Route {
  const after = query.get('after') ?? undefined;
  if (after !== undefined && !parseStoredName(after)) bad('after is not the name of a shard');
  const limit = whole(query, 'limit');
  if (limit < 1 || limit > LIST_MAX) bad(`limit is from 1 to ${LIST_MAX}`);
  return { op: 'list', after, limit };
}

function nonceOf(query: URLSearchParams): string {
  const nonce = query.get('nonce') ?? '';
  if (!NONCE.test(nonce)) bad('a nonce is 64 hex digits');
  return nonce;
}

function whole(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (!/^\d{1,9}$/.test(text)) bad(`${name} is a whole number`);
  return Number(text);
}

function bad(reason: string): never {
  throw new NetworkError('BadMessage', reason);
}
