import type { CandidateTable } from './candidateTable.ts';
import { buildCopysets, type Copysets } from './copysets.ts';
import type { Limits } from './domains.ts';

/** Candidates per provider of a chunk from which on groups are used: below, there are not many different sets anyhow. */
const NODES_PER_SHARD_MIN = 10;
/** Groups are made anew when weights of this share of all have come, gone or moved. */
const MATERIAL_CHANGE = 0.1;

/** Groups as one table uses them. */
export interface UsableCopysets {
  readonly count: number;
  /** Candidate's number, −1 for one that takes no shard now. @param place 0 … size − 1 */
  member(group: number, place: number): number;
}

interface Shelved {
  readonly copysets: Copysets;
}

/** The groups of one table by size of a chunk's set and its limits, taken over from the table before where that is still good enough. */
export class CopysetShelf {
  readonly #inherited = new Map<string, Shelved>();
  readonly #usable = new Map<string, { readonly shelved: Shelved; readonly usable: UsableCopysets }>();

  /** Takes the groups of another table over, to be used while nothing material has changed. */
  inherit(from: CopysetShelf): void {
    for (const [kind, shelved] of from.#inherited) this.#inherited.set(kind, shelved);
    for (const [kind, { shelved }] of from.#usable) this.#inherited.set(kind, shelved);
  }

  /** Undefined where there are too few candidates. @param table the one that this shelf belongs to */
  get(table: CandidateTable, size: number, limits: Limits): UsableCopysets | undefined {
    if (size < 2 || table.proven.size < NODES_PER_SHARD_MIN * size) return undefined;
    const kind = `${size} ${limits.join()}`;
    const known = this.#usable.get(kind);
    if (known) return known.usable;
    const inherited = this.#inherited.get(kind);
    const shelved =
      inherited && change(inherited.copysets, table) < MATERIAL_CHANGE
        ? inherited
        : { copysets: buildCopysets(table, table.proven.members, size, limits) };
    const usable = usableOf(shelved.copysets, table);
    this.#usable.set(kind, { shelved, usable });
    return usable.count > 0 ? usable : undefined;
  }
}

function usableOf({ roster, members, size, count }: Copysets, table: CandidateTable): UsableCopysets {
  const candidates = Int32Array.from(roster, ({ id }) => table.indexOf(id) ?? -1);
  return { count, member: (group, place) => candidates[members[group * size + place]!]! };
}

/** Part of all weight that has come, gone or moved since the groups were made. */
function change({ roster }: Copysets, table: CandidateTable): number {
  let before = 0;
  let moved = 0;
  const seen = new Set<number>();
  for (const { id, weight } of roster) {
    before += weight;
    const index = table.indexOf(id);
    if (index !== undefined) seen.add(index);
    moved += Math.abs(weight - (index === undefined ? 0 : table.weights[index]!));
  }
  for (const index of table.proven.members) if (!seen.has(index)) moved += table.weights[index]!;
  return moved / before;
}
