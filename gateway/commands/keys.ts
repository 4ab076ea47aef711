import type { Command } from 'commander';
import type { KeyInfo } from '../admin/types.ts';
import { ConfigError } from '../config.ts';
import { EXIT, connect, print, withOutput } from './shared.ts';
import type { Done, OutputOptions } from './shared.ts';

/** `shardway key …`: further access keys of the account. */
export function keyCommands(key: Command, done: Done): void {
  withOutput(key.command('list').description('list them')).action(async (options: OutputOptions) => {
    const keys = await (await connect(options)).keys();
    print(keys, keys.map(line).join('\n'), options);
    done(EXIT.ok);
  });
  withOutput(key.command('create <name>').description('make one and print its secret')).action(
    async (name: string, options: OutputOptions) => {
      // As the gateway has it.
      if (!/^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u.test(name) || name.trim() === '') {
        throw new ConfigError('<name> takes 1 to 128 printable characters');
      }
      const pair = await (await connect(options)).createKey(name);
      const { accessKey, secretKey } = pair;
      print(
        pair,
        `Access key  ${accessKey}\nSecret key  ${secretKey}\n            shown this once\n`,
        options,
      );
      done(EXIT.ok);
    },
  );
  const change = (verb: string, help: string, past: string, act: 'enable' | 'disable' | 'remove'): void => {
    withOutput(key.command(`${verb} <access-key>`).description(help)).action(
      async (accessKey: string, options: OutputOptions) => {
        const client = await connect(options);
        await (act === 'remove'
          ? client.removeKey(accessKey)
          : client.enableKey(accessKey, act === 'enable'));
        print({ accessKey, result: past }, past, options);
        done(EXIT.ok);
      },
    );
  };
  change('disable', 'refuse it from now on', 'disabled', 'disable');
  change('enable', 'accept it again', 'enabled', 'enable');
  change('remove', 'forget it', 'removed', 'remove');
}

function line({ accessKey, enabled, displayName, root }: KeyInfo): string {
  return `${accessKey}  ${enabled ? 'enabled ' : 'disabled'}  ${displayName}${root ? ' (root)' : ''}`;
}
