import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const RESULTS = join(ROOT, 'bench/results');

/** Of package.json, all that run a file of bench. */
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const COMMANDS = Object.entries(scripts).filter(([, command]) => command.includes(' bench/'));

/** A benchmark that begins in spite of its command line is ended before the test is. */
function runScript(
  command: string,
  option: string,
): { status: number | null; stdout: string; stderr: string } {
  const [, ...args] = command.split(' ');
  return spawnSync(process.execPath, [...args, option], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
}

function writtenAt(): Record<string, number> {
  return Object.fromEntries(
    readdirSync(RESULTS).map((name) => [name, statSync(join(RESULTS, name)).mtimeMs]),
  );
}

test('every benchmark of package.json is among the commands', () => {
  const names = Object.keys(scripts).filter((name) => name.startsWith('bench'));
  expect(names.length).toBeGreaterThan(8);
  expect(COMMANDS.map(([name]) => name)).toEqual(expect.arrayContaining(names));
});

describe.each(COMMANDS)('npm run %s', (name, command) => {
  test('--help says how it is used, and nothing else happens', () => {
    const before = writtenAt();
    const { status, stdout, stderr } = runScript(command, '--help');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^npm run ${name} -- `));
    expect(stdout).toMatch(/^ {2}--\w/m);
    expect(writtenAt()).toEqual(before);
  });

  test('an unknown option is wrong use', () => {
    const before = writtenAt();
    const { status, stdout, stderr } = runScript(command, '--no-such-option');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^Unknown option '--no-such-option'/);
    expect(stderr).toContain(`npm run ${name} -- `);
    expect(writtenAt()).toEqual(before);
  });
});
