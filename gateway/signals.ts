/**
 * Ms. One Ctrl-C, or one stop of a service, may come several times: from the terminal or the service manager, which tell the whole group, and from a
 * parent that passes it on, as npm does.
 */
const SAME_SIGNAL_MS = 1_000;

/** Acts on the signals, but for one that is the same once more. Listens to the end: without a listener, even for a moment, a signal ends the process. */
export function onSignal(signals: readonly NodeJS.Signals[], act: () => void): void {
  let actedAt = -Infinity;
  for (const signal of signals) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - actedAt < SAME_SIGNAL_MS) return;
      actedAt = now;
      act();
    });
  }
}

/** Resolves at the first of the signals; the next ends the process at once, with this code. */
export function signalled(signals: readonly NodeJS.Signals[], code: number): Promise<'asked'> {
  const asked = Promise.withResolvers<'asked'>();
  let isAsked = false;
  onSignal(signals, () => {
    if (isAsked) process.exit(code);
    isAsked = true;
    process.stderr.write('Finishing what is under way; a second signal ends at once\n');
    asked.resolve('asked');
  });
  return asked.promise;
}
