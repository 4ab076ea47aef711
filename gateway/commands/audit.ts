import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import { exportPieces, replay, verifyLedger } from '#placement';
import { ConfigError } from '../config.ts';
import { EXIT, folderOf, print, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';

/** Where the network service keeps its log and its ledger. */
const logFolder = (options: OutputOptions): string => join(folderOf(options), 'network', 'log');
const ledgerFolder = (options: OutputOptions): string => join(folderOf(options), 'network', 'ledger');

/** `shardway oracle replay`, `ledger verify`, `ledger export`: from the files alone; no gateway has to run. */
export function auditCommands(root: Command, done: Done): void {
  const oracle = root.command('oracle').description('the scores and what they rest on');
  withOutput(
    oracle
      .command('replay')
      .description('recompute every score from the signed log and say whether they agree'),
  ).action(async (options: OutputOptions) => {
    await requireFolder(logFolder(options), 'log');
    const report = await replay(logFolder(options));
    print(report, replaySummary(report), options);
    done(report.agree ? EXIT.ok : EXIT.unhealthy);
  });
  const ledger = root.command('ledger').description('what providers and HyperNodes have earned');
  withOutput(
    ledger.command('verify').description('recompute every era from the signed log and compare'),
  ).action(async (options: OutputOptions) => {
    await requireFolder(logFolder(options), 'log');
    await requireFolder(ledgerFolder(options), 'ledger');
    const report = await verifyLedger(logFolder(options), ledgerFolder(options));
    print(report, report.summary, options);
    done(report.agree ? EXIT.ok : EXIT.unhealthy);
  });
  withOutput(
    ledger
      .command('export')
      .description('write entries and balances, with their Merkle root and a proof for every account')
      .addOption(new Option('--format <format>').choices(['json', 'csv']).default('json'))
      .option('--from <era>', 'first era', '0')
      .option('--to <era>', 'last era; default: the last settled')
      .option('--out <file>', 'default: standard output'),
  ).action(
    async (options: OutputOptions & { format: 'json' | 'csv'; from: string; to?: string; out?: string }) => {
      await requireFolder(ledgerFolder(options), 'ledger');
      const pieces = exportPieces(ledgerFolder(options), {
        format: options.format,
        from: eraOf('--from', options.from),
        ...(options.to !== undefined && { to: eraOf('--to', options.to) }),
      });
      if (options.out === undefined) await printPieces(pieces);
      else await writeWhole(options.out, pieces);
      done(EXIT.ok);
    },
  );
}

function replaySummary({
  records,
  eras,
  scores,
  agree,
  firstDisagreement,
}: Awaited<ReturnType<typeof replay>>): string {
  const done = `${records} records, ${eras} eras and ${scores} scores recomputed`;
  if (agree) return `${done}: all agree`;
  return `${done}, then record ${firstDisagreement?.sequence} does not agree: ${firstDisagreement?.what}`;
}

/** An audit of nothing must not come out well. @throws Error */
async function requireFolder(folder: string, what: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (names.length === 0) throw new Error(`There is no ${what} in ${folder}`);
}

function eraOf(flag: string, text: string): number {
  const era = Number(text);
  if (Number.isSafeInteger(era) && era >= 0) return era;
  throw new ConfigError(`${flag} takes the number of an era; got '${text}'`);
}

/** Ends quietly when the reader has had enough, as \`head\` has. */
async function printPieces(pieces: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(pieces), process.stdout, { end: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

/** A good file is not replaced by half of another. */
async function writeWhole(path: string, pieces: AsyncIterable<string>): Promise<void> {
  const temporary = `${path}.part`;
  try {
    await writeFile(temporary, pieces);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
