/** What a benchmark says while it runs, on standard error: results go to standard output. */

/** Between two lines in a log; on a terminal one line is written over and over. */
const LOG_EVERY_MS = 15_000;

export function say(text: string): void {
  process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${text}\n`);
}

/** Done so far, rate and the time left, for a driver's progress. */
export function sayProgress(what: string): (done: number, of: number) => void {
  const began = performance.now();
  let said = began;
  return (done, of) => {
    const now = performance.now();
    const rate = done / ((now - began) / 1000);
    const left = of > done ? `, ${Math.ceil((of - done) / rate)} s left` : '';
    const text = `${what}: ${done}${of > 0 ? ` of ${of}` : ''}, ${rate.toFixed(0)}/s${left}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    else if (now - said >= LOG_EVERY_MS) {
      said = now;
      say(text);
    }
  };
}

/** Reads the command line and runs: help and wrong use are said without a stack, the latter with exit code 2. */
export async function runCommand<Options>(
  usage: string,
  read: () => Options | undefined,
  main: (options: Options) => Promise<void>,
): Promise<void> {
  let options: Options | undefined;
  try {
    options = read();
  } catch (error) {
    say(`${(error as Error).message}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  if (options === undefined) process.stdout.write(`${usage}\n`);
  else await main(options);
}
