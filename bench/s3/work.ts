import type { Client } from './client.ts';
import type { Moved, NextOperation } from './lanes.ts';

/** A task, ready to be run. */
export interface Work {
  readonly next: NextOperation;
  readonly written?: (() => readonly number[]) | undefined;
  /** Operations in all, where that is known. */
  readonly of: number;
  begin?(client: Client): Promise<void>;
  finish?(client: Client): Promise<void>;
}

/** One operation for every number. */
export function each(
  numbers: readonly number[],
  act: (client: Client, number: number) => Promise<Moved | void>,
): Work {
  let at = 0;
  return {
    of: numbers.length,
    next: () => {
      const number = numbers[at++];
      if (number === undefined) return undefined;
      return async (client) => (await act(client, number)) ?? {};
    },
  };
}

/** @throws Error naming the place when the bytes differ */
export function expectSame(read: Buffer, written: Buffer, what: string): void {
  if (!read.equals(written)) throw new Error(`${what} does not read back as it was written`);
}
