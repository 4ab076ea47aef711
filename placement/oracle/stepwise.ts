/**
 * A computation that may be left and gone on with wherever it yields. Where it is left changes nothing of what it comes to: it depends on nothing
 * that changes meanwhile.
 */
export type Stepwise<T> = Generator<undefined, T, undefined>;

/** Others wait for no longer than this and one step: a small part of what a client notices. */
const SLICE_MS = 5;

/** From beginning to end. */
export function atOnce<T>(steps: Stepwise<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * A slice of time after another.
 * @param pause lets other work go on; what it rejects with ends the computation
 */
export async function inTurns<T>(steps: Stepwise<T>, pause: () => Promise<unknown>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    do {
      const step = steps.next();
      if (step.done) return step.value;
    } while (performance.now() < until);
    await pause();
  }
}
