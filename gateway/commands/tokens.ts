import { Option } from 'commander';
import type { Command } from 'commander';
import { joinTokenId } from '#placement';
import type { JoinToken } from '#placement';
import { ConfigError } from '../config.ts';
import { wholeNumber } from './partyFlags.ts';
import { EXIT, connect, print, table, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';

/** As the gateway's API has them. */
const USES_MAX = 1000;
const HOURS_MAX = 24 * 365;

/** `shardway tokens …`: what providers and HyperNodes join with. */
export function tokenCommands(tokens: Command, done: Done): void {
  withOutput(
    tokens
      .command('create')
      .description('make one: it alone goes to standard output, the rest about it to standard error')
      .addOption(new Option('--for <role>').choices(['provider', 'hypernode']).makeOptionMandatory())
      .option('--uses <n>', 'registrations it is good for', '1')
      .option('--hours <n>', 'hours it is good for', '24'),
  ).action(async (options: OutputOptions & { for: string; uses: string; hours: string }) => {
    const wanted = {
      role: options.for,
      uses: wholeNumber('--uses', options.uses, USES_MAX),
      hours: wholeNumber('--hours', options.hours, HOURS_MAX),
    };
    const made = (await (await connect(options)).post('/v1/tokens', wanted)) as JoinToken & { token: string };
    print(made, made.token, options);
    if (options.json !== true) {
      const { id, usesLeft } = made;
      const what = `good for ${usesLeft} ${made.role}${usesLeft === 1 ? '' : 's'} until ${expiryOf(made)}`;
      process.stderr.write(`Token ${id}, ${what}; it is not shown again\n`);
    }
    done(EXIT.ok);
  });
  withOutput(
    tokens
      .command('list')
      .description('those that are still good')
      .option('--all', 'those of the last 30 days that are used up or have expired, too'),
  ).action(async (options: OutputOptions & { all?: boolean }) => {
    const query = options.all === true ? '?all=true' : '';
    const list = (await (await connect(options)).get(`/v1/tokens${query}`)) as JoinToken[];
    const rows = list.map((token) => [token.id, token.role, String(token.usesLeft), expiryOf(token)]);
    const none =
      options.all === true ? 'There is no token' : 'No token is good now; --all shows those that were';
    print(
      list,
      rows.length === 0 ? none : table([['TOKEN', 'FOR', 'USES LEFT', 'EXPIRES'], ...rows]),
      options,
    );
    done(EXIT.ok);
  });
  withOutput(
    tokens.command('remove <token>').description('take it back, by its id or by the token itself'),
  ).action(async (given: string, options: OutputOptions) => {
    const id = joinTokenId(given) ?? given;
    // Not repeated: it may be a token with a digit too few.
    if (!/^[0-9a-f]{12}$/.test(id)) {
      throw new ConfigError('<token> takes a token, or its id of 12 hex digits from `tokens list`');
    }
    await (await connect(options)).remove(`/v1/tokens/${id}`);
    print({ id }, `${id}: removed`, options);
    done(EXIT.ok);
  });
}

function expiryOf({ expiresAt }: JoinToken): string {
  return new Date(expiresAt).toISOString();
}
