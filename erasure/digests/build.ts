/** Builds the digest kernel from source.ts into digests-wasm.ts: `npm run build:digests`. */
import { writeFile } from 'node:fs/promises';
import { DIGEST_PAGES } from './layout.ts';
import { kernelSource } from './source.ts';

/** What is used of `assemblyscript/asc`. Its own types declare AssemblyScript's globals over those of the whole project. */
interface Compiler {
  main(
    args: readonly string[],
    io: {
      readFile(name: string): string | null;
      writeFile(name: string, contents: string | Uint8Array): void;
      listFiles(): string[];
      stderr: { write(text: string | Uint8Array): void };
    },
  ): Promise<{ error: Error | null }>;
}
const COMPILER: string = 'assemblyscript/asc';

/** source.ts says why nothing is optimized. */
const FLAGS = ['-O0', '--runtime', 'stub', '--noAssert', '--enable', 'simd'];
const PAGES = ['--initialMemory', String(DIGEST_PAGES), '--maximumMemory', String(DIGEST_PAGES)];

/** The text of digests-wasm.ts; the same source and compiler give the same bytes. */
export async function kernelModule(): Promise<string> {
  let binary: Uint8Array | undefined;
  const log: string[] = [];
  const compiler = (await import(COMPILER)) as Compiler;
  const { error } = await compiler.main(['digests.ts', '--outFile', 'digests.wasm', ...FLAGS, ...PAGES], {
    readFile: (name) => (name === 'digests.ts' ? kernelSource() : null),
    writeFile: (_name, contents) => {
      binary = Buffer.from(contents);
    },
    listFiles: () => [],
    stderr: {
      write: (text) => {
        log.push(text.toString());
      },
    },
  });
  if (error || !binary)
    throw new Error(`the digest kernel does not compile:\n${log.join('')}`, { cause: error });
  const base64 = Buffer.from(binary).toString('base64');
  return `// Built by erasure/digests/build.ts from source.ts; do not edit.\n\nexport const DIGEST_KERNEL =\n  '${base64}';\n`;
}

if (import.meta.main) await writeFile(new URL('digests-wasm.ts', import.meta.url), await kernelModule());
