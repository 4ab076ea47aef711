import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../gateway/config.ts';
import type { Setting } from '../../gateway/config.ts';

test('the README lists every setting as the program has it', () => {
  const readme = readFileSync(resolve(import.meta.dirname, '../../README.md'), 'utf8');
  const table = /<!-- settings -->\n([\s\S]*)<!-- \/settings -->/.exec(readme)?.[1];
  const rows = Object.values(SETTINGS).map((setting: Setting) => {
    const flag = setting.flag === undefined ? '' : `\`--${setting.flag}\``;
    const fallback = setting.fallback === undefined ? '' : `\`${setting.fallback}\``;
    return `| \`${setting.env}\` | ${flag} | ${fallback} | ${setting.help} |\n`;
  });
  expect(table).toBe(`| variable | flag | default | what it is |\n|---|---|---|---|\n${rows.join('')}`);
});
