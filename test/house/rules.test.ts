import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** Every source file of the product, as a path from the top level. */
function sources(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .filter((name) => name.endsWith('.ts') && !name.startsWith('erasure/kernel/assembly')),
  );
}

interface Import {
  readonly from: string;
  /** A path from the top level, or a package's name. */
  readonly to: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const statement =
    /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]/gm;
  return [...text.matchAll(statement)].map((match) => {
    const specifier = match[2] ?? match[3] ?? '';
    const to = specifier.startsWith('.')
      ? relative(ROOT, resolve(ROOT, dirname(file), specifier))
      : specifier;
    return { from: file, to, typeOnly: match[1] !== undefined };
  });
}

/** The room of a file: its folder, two deep in the gateway; the gateway's own top-level files are the root. */
function roomOf(path: string): string {
  if (path.startsWith('#')) return path.slice(1);
  const parts = path.split('/');
  if (parts[0] !== 'gateway') return parts[0] ?? '';
  return parts.length > 2 ? `gateway/${parts[1]}` : 'root';
}

/** room → rooms it may import. Types may also come from the `types` file of what it calls. */
const ARROWS: Record<string, readonly string[]> = {
  erasure: [],
  placement: ['erasure'],
  'gateway/metadata': [],
  'gateway/auth': [],
  'gateway/engine': ['gateway/metadata', 'placement', 'erasure'],
  'gateway/s3': ['gateway/auth', 'gateway/engine'],
  'gateway/http': ['gateway/s3', 'gateway/auth', 'gateway/admin'],
  'gateway/admin': ['placement'],
  'gateway/commands': ['gateway/admin', 'placement', 'root'],
  'gateway/network': ['placement'],
};
const ROOMS = new Set([...Object.keys(ARROWS), 'root']);

const files = sources('gateway', 'placement', 'erasure');
const imports = files.flatMap(importsOf);

describe('import arrows', () => {
  test('are read at all', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(imports.some(({ from, to }) => from.startsWith('gateway/engine') && to === '#placement')).toBe(
      true,
    );
  });

  test('point one way between rooms', () => {
    const broken = imports.filter(({ from, to }) => {
      const source = roomOf(from);
      const target = roomOf(to);
      if (source === 'root' || source === target || !ROOMS.has(target)) return false;
      return !(ARROWS[source] ?? []).includes(target);
    });
    expect(broken).toEqual([]);
  });

  test('rooms of their own are entered by their door', () => {
    const broken = imports.filter(({ from, to }) => {
      const target = roomOf(to);
      return (
        (target === 'placement' || target === 'erasure') && roomOf(from) !== target && !to.startsWith('#')
      );
    });
    expect(broken).toEqual([]);
  });

  test('Express is imported by the listeners only', () => {
    const broken = imports.filter(
      ({ from, to }) =>
        to === 'express' && !['gateway/http', 'gateway/admin', 'gateway/network'].includes(roomOf(from)),
    );
    expect(broken).toEqual([]);
  });
});

describe('sources', () => {
  test('the environment is read in one file', () => {
    const readers = files.filter((file) => /process\.env\b/.test(readFileSync(join(ROOT, file), 'utf8')));
    expect(readers).toEqual(['gateway/config.ts']);
  });

  test('no file grows beyond 500 lines', () => {
    const long = files
      .map((file) => ({ file, lines: readFileSync(join(ROOT, file), 'utf8').split('\n').length }))
      .filter(({ file, lines }) => lines > 500 && !file.endsWith('wasm.ts'));
    expect(long).toEqual([]);
  });

  test('the top level holds what it is meant to hold', () => {
    const allowed = new Set(
      'package.json package-lock.json tsconfig.json tsconfig.build.json vitest.config.ts knip.json gateway erasure placement test bench docs README.md node_modules dist data coverage'.split(
        ' ',
      ),
    );
    const others = readdirSync(ROOT).filter((name) => !name.startsWith('.') && !allowed.has(name));
    expect(others).toEqual([]);
  });
});
