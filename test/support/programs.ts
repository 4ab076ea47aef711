import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

/** Full path of a program, or undefined. The package's own node_modules/.bin does not count. */
function findProgram(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder.includes('node_modules')) continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/**
 * For `describe.skipIf`: true when a program is absent, except in CI, where its absence is a failure.
 */
export function absent(...names: string[]): boolean {
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length > 0 && process.env['CI'] === 'true') {
    throw new Error(`These tests need ${missing.join(', ')} on PATH`);
  }
  return missing.length > 0;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. @throws Error with its output when it exits with anything but 0 */
export async function run(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<RunResult> {
  return await new Promise((resolve, reject) => {
    execFile(
      program,
      [...args],
      {
        env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...options.env },
        cwd: options.cwd,
        maxBuffer: 256 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else {
          reject(
            new Error(
              `${program} ${args.join(' ')} ended with ${error.code ?? error.signal}\n${stdout}\n${stderr}`,
            ),
          );
        }
      },
    );
  });
}

/** A tree of many small files and some larger ones with awkward names; the same for the same arguments. */
export async function makeTree(root: string, files: number): Promise<void> {
  const awkward = [
    'plus+and space',
    'ünï©ödé',
    "quote'and,comma",
    'percent%20',
    'tilde~',
    'a&b=c',
    '(paren)',
  ];
  for (let i = 0; i < files; i++) {
    const folder = join(root, `d${i % 37}`, awkward[i % awkward.length] ?? '', `s${i % 11}`);
    if (i < 37 * 7 * 11) await mkdir(folder, { recursive: true });
    const size = i % 500 === 0 ? 300_000 + i : i % 97 === 0 ? 0 : 1 + ((i * 7919) % 4096);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `file-${i}.bin`), pseudoRandom(i, size));
  }
}

function pseudoRandom(seed: number, size: number): Buffer {
  const block = createHash('sha512').update(String(seed)).digest();
  return Buffer.alloc(size, block);
}

/** Writes random bytes that do not repeat within a MiB. */
export async function makeFile(path: string, size: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, 'w');
  const block = randomBytes(4 * 1024 * 1024);
  for (let written = 0, turn = 0; written < size; turn++) {
    block.writeUInt32BE(turn, 0);
    const length = Math.min(block.length, size - written);
    await handle.write(block, 0, length);
    written += length;
  }
  await handle.close();
}

/** A certificate for 127.0.0.1 and localhost that is its own authority. */
export function makeCertificate(folder: string): { cert: string; key: string } {
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  execFileSync(
    'openssl',
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.s3.localhost -keyout ${key} -out ${cert}`.split(
      ' ',
    ),
    { stdio: 'pipe' },
  );
  return { cert, key };
}
