import { nativeDigest, wasmDigest, type Digest } from './blake3.ts';
import { sharedTreeKernel } from './kernel/tree-kernel.ts';
import { Climb, isRange, leafCount, NODES_AT, proofLength, seal } from './merkle.ts';
import { DigestNodes, type NodeMemory } from './nodes.ts';
import { createProver } from './prover.ts';
import { LeafTreeBuilder } from './tree-builder.ts';
import { HASH_BYTES, LEAF_BYTES, type Hasher, type TreeBuilder } from './types.ts';

/** Hasher over one implementation of BLAKE3 for leaves and one for inner nodes. */
class MerkleHasher implements Hasher {
  readonly #digest: Digest;
  readonly #nodes: NodeMemory;
  readonly #hash = Buffer.alloc(HASH_BYTES);

  constructor(digest: Digest, nodes: NodeMemory) {
    this.#digest = digest;
    this.#nodes = nodes;
  }

  hash(data: Uint8Array): Uint8Array {
    this.#digest(data, this.#hash, 0);
    return new Uint8Array(this.#hash);
  }

  tree(): TreeBuilder {
    return new LeafTreeBuilder(this.#digest, (leaves, length) => this.root(leaves, length));
  }

  root(leaves: Uint8Array, length: number): Uint8Array {
    if (leaves.length !== leafCount(length) * HASH_BYTES) {
      throw new RangeError(`a shard of ${length} bytes cannot have ${leaves.length / HASH_BYTES} leaves`);
    }
    this.#nodes.room(NODES_AT + leaves.length).set(leaves, NODES_AT);
    for (let count = leaves.length / HASH_BYTES; count > 1; count = Math.ceil(count / 2)) {
      this.#nodes.raise(NODES_AT, count, NODES_AT);
    }
    seal(this.#nodes, length);
    return this.#read(HASH_BYTES);
  }

  levelAbove(level: Uint8Array): Uint8Array {
    const count = level.length / HASH_BYTES;
    this.#nodes.room(NODES_AT + level.length).set(level, NODES_AT);
    this.#nodes.raise(NODES_AT, count, NODES_AT);
    return this.#read(Math.ceil(count / 2) * HASH_BYTES);
  }

  proof(leaves: Uint8Array, first: number, count: number): Uint8Array {
    return createProver(this, leaves).proof(first, count);
  }

  verify(root: Uint8Array, length: number, first: number, bytes: Uint8Array, proof: Uint8Array): boolean {
    if (!Number.isSafeInteger(length) || length < 0) return false;
    const width = leafCount(length);
    const count = leafCount(bytes.length);
    if (length === 0) return first === 0 && count === 0 && proof.length === 0 && this.#isRoot(root, 0);
    if (!isRange(first, count, width)) return false;
    if (bytes.length !== Math.min(length, (first + count) * LEAF_BYTES) - first * LEAF_BYTES) return false;
    // All sizes are checked before anything is hashed, so a wrong size costs nothing.
    if (proof.length !== proofLength(first, first + count, width)) return false;
    const memory = this.#take(count, proof);
    for (let index = 0; index < count; index++) {
      const leaf = bytes.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES);
      this.#digest(leaf, memory, NODES_AT + index * HASH_BYTES);
    }
    this.#climb(memory, new Climb(first, first + count, width));
    return this.#isRoot(root, length);
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
    if (proof.length !== proofLength(leaf, leaf + 1, width)) return false;
    const memory = this.#take(1, proof);
    memory.set(leafHash, NODES_AT);
    this.#climb(memory, new Climb(leaf, leaf + 1, width));
    return this.#isRoot(root, length);
  }

  /** Memory for `count` leaf hashes at NODES_AT, with the proof already at proofAt(count). */
  #take(count: number, proof: Uint8Array): Buffer {
    const memory = this.#nodes.room(proofAt(count) + proof.length);
    memory.set(proof, proofAt(count));
    return memory;
  }

  /** Turns the leaf hashes of a range and their proof, both in `memory`, into the top at NODES_AT. */
  #climb(memory: Buffer, climb: Climb): void {
    let count = climb.end - climb.first;
    let sibling = proofAt(count);
    for (; climb.belowTop; climb.rise()) {
      let from = NODES_AT;
      if (climb.left) {
        from -= HASH_BYTES;
        memory.copyWithin(from, sibling, sibling + HASH_BYTES);
        sibling += HASH_BYTES;
      }
      const end = NODES_AT + count * HASH_BYTES;
      if (climb.right) {
        memory.copyWithin(end, sibling, sibling + HASH_BYTES);
        sibling += HASH_BYTES;
      }
      const all = count + Number(climb.left) + Number(climb.right);
      this.#nodes.raise(from, all, NODES_AT);
      count = Math.ceil(all / 2);
    }
  }

  /** Seals the top at NODES_AT. */
  #isRoot(root: Uint8Array, length: number): boolean {
    seal(this.#nodes, length);
    const end = NODES_AT + HASH_BYTES;
    return this.#nodes.room(end).compare(root, 0, root.length, NODES_AT, end) === 0;
  }

  #read(bytes: number): Uint8Array {
    const end = NODES_AT + bytes;
    return new Uint8Array(this.#nodes.room(end).subarray(NODES_AT, end));
  }
}

/** Behind the leaf hashes and one right sibling: no level over them is longer. */
function proofAt(count: number): number {
  return NODES_AT + (count + 1) * HASH_BYTES;
}

/** What hashes inner nodes: the SIMD kernel where the runtime has WASM SIMD, or the leaves' own digest. */
export type InnerNodes = 'kernel' | 'digest';

function hasherOn(digest: Digest, nodes: InnerNodes): Hasher {
  const kernel = nodes === 'kernel' ? sharedTreeKernel() : undefined;
  return new MerkleHasher(digest, kernel ?? new DigestNodes(digest));
}

/** A hasher on the native addon. `undefined` where it does not load. */
export function createNativeHasher(nodes: InnerNodes = 'kernel'): Hasher | undefined {
  const digest = nativeDigest();
  return digest && hasherOn(digest, nodes);
}

/** A hasher on the WASM build, which loads asynchronously; runs everywhere. */
export async function createWasmHasher(nodes: InnerNodes = 'kernel'): Promise<Hasher> {
  return hasherOn(await wasmDigest(), nodes);
}

const shared = createNativeHasher() ?? (await createWasmHasher());

/** The process's hasher: native where the addon loads, WASM elsewhere, with equal results. */
export function createHasher(): Hasher {
  return shared;
}
