import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { say } from './progress.ts';

/** Writes results by name of the file: text as it is, everything else as JSON. */
export async function writeResults(folder: string, files: Readonly<Record<string, unknown>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const text = typeof content === 'string' ? content : `${JSON.stringify(content, undefined, 2)}\n`;
    await writeFile(join(folder, name), text);
  }
  say(`written to ${folder}: ${Object.keys(files).join(', ')}`);
}
