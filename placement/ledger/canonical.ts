/** What the ledger writes. A bigint is written as a decimal string; undefined is left out. */
export type Canonical =
  | string
  | number
  | bigint
  | boolean
  | undefined
  | readonly Canonical[]
  | { readonly [key: string]: Canonical };

/**
 * One text for one value, so that equal states have equal bytes and equal hashes: no spaces, keys in order of their UTF-16 units, strings as
 * JSON.stringify writes them, integers only (RFC 8785 for the values that the ledger has).
 * @throws RangeError for a number that is not a safe integer
 */
export function canonicalJson(value: Canonical): string {
  if (typeof value === 'bigint') return `"${value}"`;
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`${value} has no one text: the ledger writes integers`);
  }
  if (typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.keys(value)
    .sort()
    .filter((key) => value[key] !== undefined)
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${members.join(',')}}`;
}

/** Array.isArray does not narrow a readonly array. */
function isList(value: object): value is readonly Canonical[] {
  return Array.isArray(value);
}
