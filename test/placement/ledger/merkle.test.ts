import { createHasher } from '#erasure';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  accountLine,
  AccountTree,
  balancesRoot,
  verifyAccountProof,
} from '../../../placement/ledger/merkle.ts';

const hasher = createHasher();
const hash = (...parts: Uint8Array[]): Uint8Array => hasher.hash(Buffer.concat(parts));
const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}:[0-9a-f]{1,6}$/), { maxLength: 40 });
const balances = fc
  .tuple(names, fc.array(fc.bigInt(), { minLength: 40, maxLength: 40 }))
  .map(([names, amounts]) => Object.fromEntries(names.map((name, i) => [name, amounts[i]!])));

/** RFC 6962, as it is written there: the left subtree has the largest power of two below n. */
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0]!;
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  return hash(Buffer.of(1), mth(leaves.slice(0, left)), mth(leaves.slice(left)));
}

function naiveRoot(balances: Readonly<Record<string, bigint>>): string {
  const leaves = Object.keys(balances)
    .sort()
    .map((name) => hash(Buffer.of(0), Buffer.from(`${name}\t${balances[name]}`)));
  const count = Buffer.alloc(8);
  count.writeUInt32LE(leaves.length);
  const top = leaves.length === 0 ? Buffer.alloc(0) : mth(leaves);
  return Buffer.from(hash(Buffer.of(2), count, top)).toString('hex');
}

test('the root is that of RFC 6962 in another order of work, bound to the number of accounts', () => {
  fc.assert(
    fc.property(balances, (all) => {
      expect(balancesRoot(all)).toBe(naiveRoot(all));
    }),
  );
});

test('every account proves its balance, and no other balance, place or path does', () => {
  fc.assert(
    fc.property(balances, fc.nat(), (all, seed) => {
      const tree = new AccountTree(all);
      for (const [name, amount] of Object.entries(all)) {
        const proof = tree.proof(name)!;
        const line = accountLine(name, amount);
        expect(verifyAccountProof(tree.root, line, proof)).toBe(true);
        expect(verifyAccountProof(tree.root, accountLine(name, amount + 1n), proof)).toBe(false);
        expect(verifyAccountProof(tree.root, accountLine(`${name}0`, amount), proof)).toBe(false);
        expect(verifyAccountProof(tree.root, line, { ...proof, accounts: proof.accounts + 1 })).toBe(false);
        expect(verifyAccountProof(tree.root, line, { ...proof, path: [...proof.path, tree.root] })).toBe(
          false,
        );
        const { path } = proof;
        const wrongPaths =
          path.length === 0
            ? []
            : [path.with(seed % path.length, tree.root), path.slice(1), path.slice(0, -1)];
        const verified = wrongPaths.filter((path) => verifyAccountProof(tree.root, line, { ...proof, path }));
        expect(verified).toEqual([]);
      }
    }),
    { numRuns: 60 },
  );
});

test('an account that is not there has no proof, and hostile proofs are false', () => {
  const tree = new AccountTree({ customers: 5n });
  expect(tree.proof('treasury')).toBeUndefined();
  const line = accountLine('customers', 5n);
  for (const proof of [
    { index: -1, accounts: 1, path: [] },
    { index: 1, accounts: 1, path: [] },
    { index: 0.5, accounts: 1, path: [] },
    { index: 0, accounts: Number.MAX_SAFE_INTEGER, path: [] },
    { index: 0, accounts: 2, path: ['x'] },
  ]) {
    expect(verifyAccountProof(tree.root, line, proof)).toBe(false);
  }
  expect(verifyAccountProof('', line, tree.proof('customers')!)).toBe(false);
});
