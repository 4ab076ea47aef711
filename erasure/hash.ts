import { nativeDigest, wasmDigest, type Digest } from './blake3.ts';
import {
  leafCount,
  levelAbove,
  nodeAt,
  proofLength,
  proofSteps,
  sealRoot,
  top,
  type ProofStep,
} from './merkle.ts';
import { LeafTreeBuilder } from './tree-builder.ts';
import { HASH_BYTES, LEAF_BYTES, type Hasher, type TreeBuilder } from './types.ts';

/** Hasher over one implementation of BLAKE3. */
class MerkleHasher implements Hasher {
  readonly #digest: Digest;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  hash(data: Uint8Array): Uint8Array {
    return Uint8Array.from(this.#digest(data));
  }

  tree(): TreeBuilder {
    return new LeafTreeBuilder(this.#digest, (leaves, length) => this.root(leaves, length));
  }

  root(leaves: Uint8Array, length: number): Uint8Array {
    if (leaves.length !== leafCount(length) * HASH_BYTES) {
      throw new RangeError(`a shard of ${length} bytes cannot have ${leaves.length / HASH_BYTES} leaves`);
    }
    return sealRoot(this.#digest, top(this.#digest, leaves), length);
  }

  proof(leaves: Uint8Array, first: number, count: number): Uint8Array {
    const width = leaves.length / HASH_BYTES;
    if (!isRange(first, count, width)) {
      throw new RangeError(`no leaves [${first}, ${first + count}) in a shard of ${width} leaves`);
    }
    const siblings: Uint8Array[] = [];
    [...proofSteps(first, first + count, width)].forEach((step, level) => {
      if (step.left) siblings.push(nodeAt(this.#digest, leaves, level, step.first - 1));
      if (step.right) siblings.push(nodeAt(this.#digest, leaves, level, step.end));
    });
    return concatenate(siblings);
  }

  verify(root: Uint8Array, length: number, first: number, bytes: Uint8Array, proof: Uint8Array): boolean {
    if (!Number.isSafeInteger(length) || length < 0) return false;
    const width = leafCount(length);
    const count = leafCount(bytes.length);
    if (length === 0) return first === 0 && count === 0 && proof.length === 0 && this.#isRoot(root, bytes, 0);
    if (!isRange(first, count, width)) return false;
    if (bytes.length !== Math.min(length, (first + count) * LEAF_BYTES) - first * LEAF_BYTES) return false;
    // All sizes are checked before anything is hashed, so a wrong size costs nothing.
    const steps = [...proofSteps(first, first + count, width)];
    if (proof.length !== proofLength(steps)) return false;
    return this.#isRoot(root, this.#climb(steps, this.#leaves(bytes), proof), length);
  }

  verifyLeafHash(
    root: Uint8Array,
    length: number,
    leaf: number,
    leafHash: Uint8Array,
    proof: Uint8Array,
  ): boolean {
    if (!Number.isSafeInteger(length) || leafHash.length !== HASH_BYTES) return false;
    const width = leafCount(length);
    if (!isRange(leaf, 1, width)) return false;
    const steps = [...proofSteps(leaf, leaf + 1, width)];
    if (proof.length !== proofLength(steps)) return false;
    return this.#isRoot(root, this.#climb(steps, leafHash, proof), length);
  }

  /** The top of the tree, from a range's leaf hashes and a proof of the right size. */
  #climb(steps: readonly ProofStep[], leaves: Uint8Array, proof: Uint8Array): Uint8Array {
    let nodes = leaves;
    let at = 0;
    for (const { left, right } of steps) {
      const before = proof.subarray(at, (at += left ? HASH_BYTES : 0));
      const after = proof.subarray(at, (at += right ? HASH_BYTES : 0));
      nodes = levelAbove(this.#digest, left || right ? concatenate([before, nodes, after]) : nodes);
    }
    return nodes;
  }

  #leaves(bytes: Uint8Array): Uint8Array {
    const leaves = new Uint8Array(leafCount(bytes.length) * HASH_BYTES);
    for (let index = 0; index * LEAF_BYTES < bytes.length; index++) {
      const leaf = bytes.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES);
      leaves.set(this.#digest(leaf), index * HASH_BYTES);
    }
    return leaves;
  }

  #isRoot(root: Uint8Array, node: Uint8Array, length: number): boolean {
    return Buffer.compare(sealRoot(this.#digest, node, length), root) === 0;
  }
}

function isRange(first: number, count: number, width: number): boolean {
  return (
    Number.isSafeInteger(first) &&
    first >= 0 &&
    Number.isInteger(count) &&
    count >= 1 &&
    first + count <= width
  );
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A hasher on the native addon. `undefined` where it does not load. */
export function createNativeHasher(): Hasher | undefined {
  const digest = nativeDigest();
  return digest && new MerkleHasher(digest);
}

/** A hasher on the WASM build, which loads asynchronously; runs everywhere. */
export async function createWasmHasher(): Promise<Hasher> {
  return new MerkleHasher(await wasmDigest());
}

const shared = createNativeHasher() ?? (await createWasmHasher());

/** The process's hasher: native where the addon loads, WASM elsewhere, with equal results. */
export function createHasher(): Hasher {
  return shared;
}
