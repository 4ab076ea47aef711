/** Builds the WASM kernels from erasure/kernel/assembly into kernel-wasm.ts and tree-wasm.ts: `npm run build:kernel`. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from './compile.ts';
import { KERNEL_PAGES } from './layout.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** Compiles one entry of assembly. */
function compileEntry(entry: string, options: readonly string[]): Promise<Uint8Array> {
  return compile(`assembly/${entry}.ts`, ['-O3', ...options], {
    readFile: (name, base) =>
      readFile(join(folder, base === '.' ? '' : base, name), 'utf8').catch(() => null),
    listFiles: (name) => readdir(join(folder, name)),
  });
}

/** The text of the built modules, by file name. Base64 in a module, so that the published build needs no file beside its code. */
export async function kernelModules(): Promise<ReadonlyMap<string, string>> {
  const pages = ['--initialMemory', String(KERNEL_PAGES), '--maximumMemory', String(KERNEL_PAGES)];
  const codec = {
    RELAXED_KERNEL: await compileEntry('index', ['--enable', 'relaxed-simd', ...pages]),
    STRICT_KERNEL: await compileEntry('index', pages),
  };
  const tree = { TREE_KERNEL: await compileEntry('tree', ['--initialMemory', '1']) };
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
