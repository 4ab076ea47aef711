/** Builds the WASM kernel from erasure/kernel/assembly into kernel-wasm.ts: `npm run build:kernel`. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KERNEL_PAGES } from './layout.ts';

/** What is used of `assemblyscript/asc`. Its own types declare AssemblyScript's globals over those of the whole project. */
interface Compiler {
  main(
    args: readonly string[],
    io: {
      readFile(name: string, base: string): Promise<string | null>;
      writeFile(name: string, contents: string | Uint8Array): void;
      listFiles(name: string): Promise<string[]>;
      stderr: { write(text: string | Uint8Array): void };
    },
  ): Promise<{ error: Error | null }>;
}
const COMPILER: string = 'assemblyscript/asc';

const folder = fileURLToPath(new URL('.', import.meta.url));

/**
 * Compiles the kernel's source; the same source and compiler give the same bytes.
 * @param relaxed use the relaxed SIMD proposal, which older runtimes refuse
 */
export async function compileKernel(relaxed: boolean): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const log: string[] = [];
  const features = relaxed ? ['--enable', 'relaxed-simd'] : [];
  const pages = ['--initialMemory', String(KERNEL_PAGES), '--maximumMemory', String(KERNEL_PAGES)];
  const flags = ['-O3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', ...features, ...pages];
  const compiler = (await import(COMPILER)) as Compiler;
  const { error } = await compiler.main(['assembly/index.ts', '--outFile', 'kernel.wasm', ...flags], {
    readFile: (name, base) =>
      readFile(join(folder, base === '.' ? '' : base, name), 'utf8').catch(() => null),
    writeFile: (_name, contents) => {
      binary = Buffer.from(contents);
    },
    listFiles: (name) => readdir(join(folder, name)),
    stderr: {
      write: (text) => {
        log.push(text.toString());
      },
    },
  });
  if (error || !binary) throw new Error(`the kernel does not compile:\n${log.join('')}`, { cause: error });
  return binary;
}

/** The text of kernel-wasm.ts. Base64 in a module, so that the published build needs no file beside its code. */
export async function kernelModule(): Promise<string> {
  const constants = [];
  for (const relaxed of [true, false]) {
    const text = Buffer.from(await compileKernel(relaxed)).toString('base64');
    constants.push(`export const ${relaxed ? 'RELAXED' : 'STRICT'}_KERNEL =\n  '${text}';\n`);
  }
  return `// Built by erasure/kernel/build.ts from erasure/kernel/assembly; do not edit.\n\n${constants.join('\n')}`;
}

if (import.meta.main) await writeFile(join(folder, 'kernel-wasm.ts'), await kernelModule());
