import type { Command } from 'commander';
import { percent as percentage } from '#placement';
import { AdminClient } from '../admin/client.ts';
import { SETTINGS, dataFolder } from '../config.ts';

/** Exit codes: 0 done and well; 1 done, and something is wrong with the data; 2 wrong use; 3 no gateway to ask; 4 failed. */
export const EXIT = { ok: 0, unhealthy: 1, usage: 2, noGateway: 3, failed: 4 } as const;

export type Done = (code: number) => void;

export interface OutputOptions {
  readonly data?: string;
  readonly json?: boolean;
}

export function withOutput(command: Command): Command {
  return command
    .option(
      '--data <folder>',
      `data folder of the running gateway (${SETTINGS.data.env}, default ${SETTINGS.data.fallback})`,
    )
    .option('--json', 'print the result as JSON and no progress')
    .addHelpText(
      'after',
      '\nExit codes: 0 all is well; 1 something is wrong with the data; 2 wrong use; 3 no gateway is running; 4 failed',
    );
}

export function folderOf(options: OutputOptions): string {
  return dataFolder(options.data === undefined ? {} : { data: options.data });
}

/** @throws NoGatewayError */
export async function connect(options: OutputOptions): Promise<AdminClient> {
  return await AdminClient.connect(folderOf(options));
}

/** The result as JSON where that is asked for, otherwise as text. */
export function print(result: unknown, text: string, options: OutputOptions): void {
  const shown = options.json === true ? JSON.stringify(result, undefined, 2) : text;
  process.stdout.write(shown.endsWith('\n') ? shown : `${shown}\n`);
}

/** Columns as wide as their widest cell, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function gigabytes(bytes: number): string {
  return bytes >= 1e9 || bytes === 0 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function percent(share: number | undefined): string {
  return share === undefined ? '–' : percentage(share);
}
