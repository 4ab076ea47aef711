import type { CandidateTable } from './candidateTable.ts';
import { NODES_EACH, type Limits } from './domains.ts';
import type { ProviderId, ProviderInfo } from '../types.ts';

/** Shards of one chunk per domain, and which candidates are in use, while a set is put together. */
export class Workspace {
  readonly table: CandidateTable;
  readonly #counts: Uint16Array;
  readonly #used: Uint8Array;

  /** @param taken counted in their domains; neither they nor those excluded can be used */
  constructor(table: CandidateTable, taken: readonly ProviderInfo[], excluded: Iterable<ProviderId>) {
    this.table = table;
    this.#counts = new Uint16Array(table.nodeCount);
    this.#used = new Uint8Array(table.candidates.length);
    for (const info of taken) {
      for (const node of table.nodesOf(info)) this.#counts[node]! += 1;
      this.#block(info.id);
    }
    for (const id of excluded) this.#block(id);
  }

  isFree(candidate: number): boolean {
    return this.#used[candidate] === 0;
  }

  /** Whether one more there keeps within the limits. */
  fits(candidate: number, limits: Limits): boolean {
    const { nodes } = this.table;
    const at = candidate * NODES_EACH;
    const counts = this.#counts;
    return (
      counts[nodes[at]!]! < limits[0] &&
      counts[nodes[at + 1]!]! < limits[1] &&
      counts[nodes[at + 2]!]! < limits[2]
    );
  }

  add(candidate: number): void {
    this.#used[candidate] = 1;
    this.#count(candidate, 1);
  }

  remove(candidate: number): void {
    this.#used[candidate] = 0;
    this.#count(candidate, -1);
  }

  count(node: number): number {
    return this.#counts[node]!;
  }

  /** The most shards in one of the candidates' domains of a level. @param level its place in DOMAIN_LEVELS */
  most(candidates: readonly number[], level: number): number {
    let most = 0;
    for (const candidate of candidates) {
      most = Math.max(most, this.#counts[this.table.nodes[candidate * NODES_EACH + level]!]!);
    }
    return most;
  }

  #count(candidate: number, by: number): void {
    const at = candidate * NODES_EACH;
    for (let node = at; node < at + NODES_EACH; node++) this.#counts[this.table.nodes[node]!]! += by;
  }

  #block(id: ProviderId): void {
    const index = this.table.indexOf(id);
    if (index !== undefined) this.#used[index] = 1;
  }
}
