/** Builds the digest kernel from source.ts into digests-wasm.ts: `npm run build:digests`. */
import { writeFile } from 'node:fs/promises';
import { compile } from '../kernel/compile.ts';
import { DIGEST_PAGES } from './layout.ts';
import { kernelSource } from './source.ts';

const ENTRY = 'digests.ts';
/** source.ts says why nothing is optimized. */
const FLAGS = ['-O0', '--initialMemory', String(DIGEST_PAGES), '--maximumMemory', String(DIGEST_PAGES)];

/** The text of digests-wasm.ts; the same source and compiler give the same bytes. */
export async function kernelModule(): Promise<string> {
  const binary = await compile(ENTRY, FLAGS, {
    readFile: (name) => (name === ENTRY ? kernelSource() : null),
    listFiles: () => [],
  });
  const base64 = Buffer.from(binary).toString('base64');
  return `// Built by erasure/digests/build.ts from source.ts; do not edit.\n\nexport const DIGEST_KERNEL =\n  '${base64}';\n`;
}

if (import.meta.main) await writeFile(new URL('digests-wasm.ts', import.meta.url), await kernelModule());
