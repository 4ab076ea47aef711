/** Prints docs/compatibility.md: `node --conditions=shardway-source gateway/s3/compatibility.ts > docs/compatibility.md`. */
import { S3_CODES } from './codes.ts';
import { isImplemented } from './match.ts';
import type { TableEntry } from './match.ts';
import { DEFAULTS } from './operations/defaults.ts';
import { ENTRIES } from './table.ts';

const INTRODUCTION = `# S3 compatibility

Every operation of the S3 API and what Shardway does with it. Generated from the table that requests are dispatched by
(\`gateway/s3/table.ts\`); do not edit.

| answer | meaning |
|---|---|
| yes | carried out |
| in force | the setting cannot be changed: reads answer what is in force, removals succeed because there is nothing to remove |
| *code* | refused with this S3 error; clients that probe for a setting see what AWS says of a bucket without it |

A request for a sub-resource that is not listed is refused with 501 NotImplemented; it never falls through to a listing or a plain
read or write. Unknown \`name=value\` parameters are ignored, as on AWS.
`;

function answerOf(entry: TableEntry): string {
  if (isImplemented(entry)) return Object.hasOwn(DEFAULTS, entry.name) ? 'in force' : 'yes';
  const code = entry.answer?.code ?? 'NotImplemented';
  return `${S3_CODES[code].status} ${code}`;
}

function requestOf({ method, target, query = [], headers = [] }: TableEntry): string {
  const path = { service: '/', bucket: '/{bucket}', object: '/{bucket}/{key}' }[target];
  const parameters = query.length === 0 ? '' : `?${query.join('&')}`;
  const withHeaders = headers.length === 0 ? '' : ` with ${headers.map((name) => `\`${name}\``).join(', ')}`;
  return `\`${method} ${path}${parameters}\`${withHeaders}`;
}

export function compatibilityPage(): string {
  const entries = ENTRIES.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const carriedOut = entries.filter((entry) => answerOf(entry) === 'yes').length;
  const inForce = entries.filter((entry) => answerOf(entry) === 'in force').length;
  const counts =
    `${entries.length} operations: ${carriedOut} carried out, ${inForce} answered from what is in force, ` +
    `${entries.length - carriedOut - inForce} refused.`;
  const rows = entries.map((entry) => `| ${entry.name} | ${requestOf(entry)} | ${answerOf(entry)} |`);
  return [INTRODUCTION, counts, '', '| operation | request | answer |', '|---|---|---|', ...rows, ''].join(
    '\n',
  );
}

if (import.meta.main) process.stdout.write(compatibilityPage());
