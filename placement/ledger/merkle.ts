/**
 * The Merkle tree over all balances, in order of account name. Its shape is RFC 6962's, as a shard's tree has it:
 *
 *     line = name "\t" amount        leaf = BLAKE3(0x00 ‖ line)        node = BLAKE3(0x01 ‖ left ‖ right)
 *     root = BLAKE3(0x02 ‖ number of accounts as u64 little-endian ‖ top)      with no top when there are none
 *
 * The number in the root fixes the tree's shape, so that no node passes for a leaf. One proof shows one account's balance to whoever has
 * the root, and nothing of the others'.
 */
import { createHasher } from '#erasure';
import type { AccountName } from './types.ts';

const hasher = createHasher();
const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
const hashOf = (...parts: Uint8Array[]): Uint8Array => hasher.hash(Buffer.concat(parts));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export interface AccountProof {
  /** Place of the account in order of name, and how many accounts there are. */
  readonly index: number;
  readonly accounts: number;
  /** Siblings from the leaf up, 64 hex digits each; levels on which the node rises alone have none. */
  readonly path: readonly string[];
}

/** The line of an account that its leaf is made of. */
export function accountLine(name: AccountName, amount: bigint): string {
  return `${name}\t${amount}`;
}

/** The tree over the balances: its root at once, and each proof without hashing anything again. */
export class AccountTree {
  readonly root: string;
  readonly #levels: Uint8Array[][];
  readonly #places: ReadonlyMap<AccountName, number>;

  constructor(balances: Readonly<Record<AccountName, bigint>>) {
    const names = Object.keys(balances).sort();
    this.#places = new Map(names.map((name, index) => [name, index]));
    let level = names.map((name) => leafOf(accountLine(name, balances[name]!)));
    this.#levels = [level];
    while (level.length > 1) this.#levels.push((level = above(level)));
    this.root = hex(rootOf(names.length, level));
  }

  /** Undefined for an account that is not there. */
  proof(name: AccountName): AccountProof | undefined {
    const index = this.#places.get(name);
    if (index === undefined) return undefined;
    const path = this.#levels.flatMap((level, height) => {
      const sibling = level[Math.floor(index / 2 ** height) ^ 1];
      return sibling === undefined ? [] : [hex(sibling)];
    });
    return { index, accounts: this.#places.size, path };
  }
}

export function balancesRoot(balances: Readonly<Record<AccountName, bigint>>): string {
  return new AccountTree(balances).root;
}

/** True when `line` is the balance of one account under this root. Never throws on hostile input. */
export function verifyAccountProof(root: string, line: string, proof: AccountProof): boolean {
  const { index, accounts, path } = proof;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(accounts)) return false;
  if (index < 0 || index >= accounts || !path.every((node) => /^[0-9a-f]{64}$/.test(node))) return false;
  const siblings = path.map((node) => Buffer.from(node, 'hex'));
  let node = leafOf(line);
  let used = 0;
  for (let at = index, width = accounts; width > 1; at = Math.floor(at / 2), width = Math.ceil(width / 2)) {
    if (at % 2 === 0 && at + 1 === width) continue;
    const sibling = siblings[used++];
    if (sibling === undefined) return false;
    node = at % 2 === 0 ? hashOf(NODE, node, sibling) : hashOf(NODE, sibling, node);
  }
  return used === siblings.length && hex(rootOf(accounts, [node])) === root;
}

function leafOf(line: string): Uint8Array {
  return hashOf(LEAF, Buffer.from(line));
}

function above(level: readonly Uint8Array[]): Uint8Array[] {
  const nodes: Uint8Array[] = [];
  for (let index = 0; index < level.length; index += 2) {
    const right = level[index + 1];
    nodes.push(right === undefined ? level[index]! : hashOf(NODE, level[index]!, right));
  }
  return nodes;
}

function rootOf(accounts: number, top: readonly Uint8Array[]): Uint8Array {
  const head = Buffer.alloc(9);
  head[0] = 2;
  head.writeBigUInt64LE(BigInt(accounts), 1);
  return hashOf(head, ...top);
}
