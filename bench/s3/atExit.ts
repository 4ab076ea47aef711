/** What must be undone however the process ends, short of SIGKILL: drives brought back, folders removed, servers ended. */
const undo = new Set<() => void>();

/** @param act synchronous. @returns what takes it off the list */
export function atExit(act: () => void): () => void {
  if (undo.size === 0) watchExit();
  undo.add(act);
  return () => void undo.delete(act);
}

let watching = false;

function watchExit(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const act of [...undo].reverse()) act();
  });
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}
