/** AssemblyScript to WASM, for those who build the modules that are committed. */

/** What is used of `assemblyscript/asc`. Its own types declare AssemblyScript's globals over those of the whole project. */
interface Compiler {
  main(
    args: readonly string[],
    io: Sources & {
      writeFile(name: string, contents: string | Uint8Array): void;
      stderr: { write(text: string | Uint8Array): void };
    },
  ): Promise<{ error: Error | null }>;
}
const COMPILER: string = 'assemblyscript/asc';

/** Where the compiler finds what it compiles. */
export interface Sources {
  readFile(name: string, base: string): Promise<string | null> | string | null;
  listFiles(name: string, base: string): Promise<string[]> | string[];
}

/** The same source, flags and compiler give the same bytes. @throws Error with what the compiler said */
export async function compile(
  entry: string,
  flags: readonly string[],
  sources: Sources,
): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const log: string[] = [];
  const compiler = (await import(COMPILER)) as Compiler;
  const args = [entry, '--outFile', 'kernel.wasm', '--runtime', 'stub', '--noAssert', '--enable', 'simd'];
  const { error } = await compiler.main([...args, ...flags], {
    ...sources,
    writeFile: (_name, contents) => {
      binary = Buffer.from(contents);
    },
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
