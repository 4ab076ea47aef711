/**
 * Reed-Solomon kernel against the published library, BLAKE3 native against WASM, and Merkle trees on the kernel against
 * digest by digest: in one run, in turn.
 *
 *     npm run bench -- --only codec
 */
import { randomFillSync } from 'node:crypto';
import {
  createKernelCodec,
  createLibraryCodec,
  createNativeHasher,
  createProver,
  createWasmHasher,
  formatProfile,
  HASH_BYTES,
  LEAF_BYTES,
  type ErasureCodec,
  type Hasher,
  type Profile,
} from '#erasure';
import { callsPerRound, compete, elapsedMs, ROUNDS, resultTable } from './contest.ts';
import type { Contest } from './contest.ts';
import { machine, machineLine, median } from './machine.ts';
import { writeResults } from './s3/write.ts';

const PROFILES = [
  { data: 4, parity: 2 },
  { data: 8, parity: 4 },
  { data: 10, parity: 4 },
];

function codecContests(profile: Profile, cell: number): Contest[] {
  const kernel = createKernelCodec(profile);
  if (!kernel) throw new Error('this runtime has no WASM SIMD');
  const library = createLibraryCodec(profile);
  const { data: k, parity: m } = profile;
  const data = randomFillSync(new Uint8Array(k * cell));
  const memory = new Uint8Array(m * cell);
  const shards = [...cells(data, cell), ...cells(kernel.encode(data, cell), cell)];
  const contest = (work: string, act: (codec: ErasureCodec, reuse: boolean) => unknown): Contest => ({
    work: `${work} ${formatProfile(profile)}, ${cell / 1024} KiB`,
    bytes: k * cell,
    sides: {
      kernel: () => act(kernel, true),
      'kernel, new memory': () => act(kernel, false),
      library: () => act(library, true),
    },
  });
  const contests = [
    contest('encode', (codec, reuse) => codec.encode(data, cell, reuse ? memory : undefined)),
  ];
  for (let lost = 1; lost <= m; lost++) {
    const left = shards.map((shard, index) => (index < lost ? undefined : shard));
    const wanted = Array.from({ length: lost }, (_, index) => index);
    const into = cells(memory, cell);
    contests.push(
      contest(`rebuild ${lost} of`, (codec, reuse) =>
        codec.reconstruct(left, wanted, reuse ? into : undefined),
      ),
    );
  }
  return contests;
}

function cells(bytes: Uint8Array, cell: number): Uint8Array[] {
  return Array.from({ length: bytes.length / cell }, (_, index) =>
    bytes.subarray(index * cell, (index + 1) * cell),
  );
}

function hashContests(native: Hasher, wasm: Hasher): Contest[] {
  const piece = randomFillSync(new Uint8Array(256 * 1024));
  const leaf = piece.subarray(0, 16 * 1024);
  const pieces = 64;
  const build = (hasher: Hasher) => {
    const tree = hasher.tree();
    for (let index = 0; index < pieces; index++) tree.update(piece);
    return tree.finish();
  };
  const both = (work: string, bytes: number, act: (hasher: Hasher) => unknown): Contest => ({
    work,
    bytes,
    sides: { '@napi-rs/blake-hash': () => act(native), 'blake3 (WASM)': () => act(wasm) },
  });
  return [
    both('hash 16 KiB', leaf.length, (hasher) => hasher.hash(leaf)),
    both('hash 256 KiB', piece.length, (hasher) => hasher.hash(piece)),
    both('tree of 16 MiB in 256 KiB pieces', pieces * piece.length, build),
  ];
}

interface TreeResult {
  readonly work: string;
  /** Time and the process's processor time, of all its threads, per call. */
  readonly microseconds: Readonly<Record<string, { readonly wall: number; readonly cpu: number }>>;
  /** Processor time of the last side to that of the first. */
  readonly ratio: number;
}

/** Medians as in compete. */
function competeTrees(work: string, sides: Readonly<Record<string, () => unknown>>): TreeResult {
  const runs = Object.entries(sides).map(([name, call]) => {
    return { name, call, calls: callsPerRound(call, elapsedMs), wall: [] as number[], cpu: [] as number[] };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const { call, calls, wall, cpu } of runs) {
      const before = process.cpuUsage();
      wall.push((elapsedMs(call, calls) * 1e3) / calls);
      const { user, system } = process.cpuUsage(before);
      cpu.push((user + system) / calls);
    }
  }
  const medians = runs.map(
    ({ name, wall, cpu }) => [name, { wall: median(wall), cpu: median(cpu) }] as const,
  );
  const ratio = medians[medians.length - 1]![1].cpu / medians[0]![1].cpu;
  return { work, microseconds: Object.fromEntries(medians), ratio };
}

function treeResults(kernel: Hasher, digest: Hasher): TreeResult[] {
  const both = (work: string, act: (hasher: Hasher) => unknown) =>
    competeTrees(work, { kernel: () => act(kernel), 'digest by digest': () => act(digest) });
  const roots = [16, 160, 1024].map((width) => {
    const hashes = randomFillSync(new Uint8Array(width * HASH_BYTES));
    return both(`root of ${width} leaf hashes`, (hasher) => hasher.root(hashes, width * LEAF_BYTES));
  });
  const shard = randomFillSync(new Uint8Array(160 * LEAF_BYTES));
  const tree = kernel.tree();
  tree.update(shard);
  const { root, length, leaves } = tree.finish();
  const range = shard.subarray(16 * LEAF_BYTES, 32 * LEAF_BYTES);
  const proof = kernel.proof(leaves, 16, 16);
  return [
    ...roots,
    both('verify 16 leaves of 160', (hasher) => hasher.verify(root, length, 16, range, proof)),
    both('prove 160 leaves, 16 at a time', (hasher) => {
      const prover = createProver(hasher, leaves);
      for (let first = 0; first < 160; first += 16) prover.proof(first, 16);
    }),
  ];
}

function treeTable(results: readonly TreeResult[]): string {
  const names = Object.keys(results[0]?.microseconds ?? {});
  const rows = results.map(({ work, microseconds, ratio }) => {
    const times = Object.values(microseconds).flatMap(({ wall, cpu }) => [wall, cpu]);
    return `| ${[work, ...times.map((time) => time.toFixed(1)), ratio.toFixed(1)].join(' | ')} |`;
  });
  const head = names.flatMap((name) => [`${name}, µs`, 'CPU µs']);
  return [
    '## Merkle trees',
    '',
    `| ${['work', ...head, 'ratio'].join(' | ')} |`,
    `|${'---|'.repeat(head.length + 2)}`,
    ...rows,
    '',
    'Leaves on the same digest on both sides. Ratio: of CPU time, digest by digest to kernel.',
    '',
  ].join('\n');
}

/**
 * Measures and writes codec.json and codec.md.
 * @param folder of the results
 * @returns the report in Markdown
 */
export async function runCodec(folder: string): Promise<string> {
  const codec = [256, 64]
    .flatMap((kib) => PROFILES.flatMap((profile) => codecContests(profile, kib * 1024)))
    .map((contest) => compete(contest, elapsedMs));
  const native = createNativeHasher();
  const wasm = await createWasmHasher();
  const hash = native ? hashContests(native, wasm).map((contest) => compete(contest, elapsedMs)) : [];
  const trees = treeResults(
    native ?? wasm,
    createNativeHasher('digest') ?? (await createWasmHasher('digest')),
  );

  const report = [
    '# Codec',
    '',
    `${machineLine}.`,
    `GB/s of data on one thread, medians of ${ROUNDS} rounds in which the sides take turns.`,
    '',
    resultTable('Reed-Solomon', codec, 1),
    'Both behind the same interface, into memory given; the library is @subspace/reed-solomon-erasure.wasm.',
    'Ratio: kernel to library.',
    '',
    resultTable('BLAKE3', hash, 1),
    treeTable(trees),
  ].join('\n');

  await writeResults(folder, { 'codec.json': { machine, codec, hash, trees }, 'codec.md': report });
  return report;
}
