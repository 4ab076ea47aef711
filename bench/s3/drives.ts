import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { atExit } from './atExit.ts';

/**
 * Takes drives away while their server runs: an empty file stands where the folder was, so that no server makes itself a blank drive there and
 * begins to heal. Shards that a server holds open are thus within its reach until it looks again.
 * @returns what brings them back; also done when the process ends
 */
export function takeAway(drives: readonly string[]): () => void {
  const taken: string[] = [];
  const back = (): void => {
    for (const drive of taken.splice(0)) {
      rmSync(drive);
      renameSync(`${drive}.away`, drive);
    }
    forget();
  };
  const forget = atExit(back);
  try {
    for (const drive of drives) {
      renameSync(drive, `${drive}.away`);
      writeFileSync(drive, '');
      taken.push(drive);
    }
    return back;
  } catch (error) {
    back();
    throw error;
  }
}
