/** Builds the WASM kernels from erasure/kernel/assembly into kernel-wasm.ts and tree-wasm.ts: `npm run build:kernel`. */
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

/** Compiles one entry of assembly; the same source and compiler give the same bytes. */
async function compile(entry: string, options: readonly string[]): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const log: string[] = [];
  const flags = ['-O3', '--runtime', 'stub', '--noAssert', '--enable', 'simd', ...options];
  const compiler = (await import(COMPILER)) as Compiler;
  const { error } = await compiler.main([`assembly/${entry}.ts`, '--outFile', 'kernel.wasm', ...flags], {
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
  if (error || !binary) {
    throw new Error(`the kernel ${entry} does not compile:\n${log.join('')}`, { cause: error });
  }
  return binary;
}

/** The text of the built modules, by file name. Base64 in a module, so that the published build needs no file beside its code. */
export async function kernelModules(): Promise<ReadonlyMap<string, string>> {
  const pages = ['--initialMemory', String(KERNEL_PAGES), '--maximumMemory', String(KERNEL_PAGES)];
  const codec = {
    RELAXED_KERNEL: await compile('index', ['--enable', 'relaxed-simd', ...pages]),
    STRICT_KERNEL: await compile('index', pages),
  };
  const tree = { TREE_KERNEL: await compile('tree', ['--initialMemory', '1']) };
  return new Map([
    ['kernel-wasm.ts', moduleOf(codec)],
    ['tree-wasm.ts', moduleOf(tree)],
  ]);
}

function moduleOf(kernels: Readonly<Record<string, Uint8Array>>): string {
  const constants = Object.entries(kernels).map(
    ([name, code]) => `export const ${name} =\n  '${Buffer.from(code).toString('base64')}';\n`,
  );
  return `// Built by erasure/kernel/build.ts from erasure/kernel/assembly; do not edit.\n\n${constants.join('\n')}`;
}

if (import.meta.main) {
  for (const [name, text] of await kernelModules()) await writeFile(join(folder, name), text);
}
