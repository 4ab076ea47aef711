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
      .description('recompute every score from the signed log and say whether they agree')
      .option('--state', 'print the whole state of the network that the log leads to, too, as JSON'),
  ).action(async (options: OutputOptions & { state?: boolean }) => {
    await requireFolder(logFolder(options), 'log');
    const { state, ...found } = await replay(logFolder(options));
    const summary = { ...found, ...partiesOf(state) };
    const whole = options.state === true;
    print(whole ? { ...summary, state } : summary, replaySummary(found), {
      ...options,
      json: whole || options.json === true,
    });
    done(found.agree ? EXIT.ok : EXIT.unhealthy);
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
      const [from, to] = [eraOf('--from', options.from), options.to];
      const last = to === undefined ? undefined : eraOf('--to', to);
      if (last !== undefined && last < from) {
        throw new ConfigError(`--to takes an era that is not before --from, ${from}; got '${to}'`);
      }
      await requireFolder(ledgerFolder(options), 'ledger');
      const pieces = exportPieces(ledgerFolder(options), {
        format: options.format,
        from,
        ...(last !== undefined && { to: last }),
      });
      if (options.out === undefined) await printPieces(pieces);
      else await writeWhole(options.out, pieces);
      done(EXIT.ok);
    },
  );
}

type Report = Awaited<ReturnType<typeof replay>>;

/** Where everybody stands at the end of a log, in a line each. */
function partiesOf(state: Report['state']): { readonly providers: object; readonly hypernodes: object } {
  const { providers = {}, monitors = {} } = state ?? {};
  const each = <Party, Line>(parties: Readonly<Record<string, Party>>, line: (party: Party) => Line) =>
    Object.fromEntries(Object.entries(parties).map(([id, party]) => [id, line(party)]));
  return {
    providers: each(providers, ({ state: standing, placementScore, settlementScore }) => ({
      state: standing,
      placementScore,
      settlementScore,
    })),
    hypernodes: each(monitors, ({ state: standing, last }) => ({
      state: standing,
      canaryAccuracy: last?.canaryAccuracy,
    })),
  };
}

function replaySummary({
  records,
  eras,
  scores,
  agree,
  firstDisagreement,
  head,
}: Omit<Report, 'state'>): string {
  const done = `${records} records, ${eras} eras and ${scores} scores recomputed`;
  if (agree) return `${done}: all agree; the log ends with ${head.hash}`;
  return `${done}, then record ${firstDisagreement?.sequence} does not agree: ${firstDisagreement?.what}`;
}

/** An audit of nothing must not come out well. @throws Error */
async function requireFolder(folder: string, what: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  if (names.length === 0) throw new Error(`There is no ${what} in ${folder}`);
}

function eraOf(flag: string, text: string): number {
  const era = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(era)) return era;
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
