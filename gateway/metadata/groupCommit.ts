/**
 * Group commit: commits that arrive while a batch is being synced wait and share the next sync; a lone commit starts at once.
 * One batch is under way at a time. Checks are evaluated here, against what is stored and what the same batch has already changed, and the
 * store below only ever applies unconditional writes. Where this process is the only writer, they are evaluated before the store is called;
 * where there are others, inside the store's own write transaction.
 */

import { setImmediate } from 'node:timers/promises';
import { copyCommit, keyText } from './commitCopy.ts';
import type { OwnedCommit } from './commitCopy.ts';
import { MetadataError } from './types.ts';
import type { Bytes, Check, Commit } from './types.ts';

/** Bounds of a batch, so that one huge batch does not hold up everyone. */
const BATCH_BYTES_MAX = 32 * 1_024 * 1_024;
const BATCH_WRITES_MAX = 20_000;

/** The last write of each key; null deletes. Keyed by the key's bytes as Latin-1. */
export type Writes = ReadonlyMap<string, { readonly key: Bytes; readonly value: Bytes | null }>;

export interface Backend {
  /** What is stored; the array is only read before the next call. */
  read(key: Bytes): Bytes | undefined;
  /** All or nothing, durable when it resolves. Rejects with a MetadataError of the batch's outcome. May hang. */
  apply(writes: Writes): Promise<void>;
  /**
   * Where other processes write too: calls `decide` once, in a write transaction, and applies what it returns; while `decide` runs, `read` sees
   * what that transaction does. Otherwise as `apply`.
   */
  transact?(decide: () => Writes): Promise<void>;
}

interface Pending {
  readonly commit: OwnedCommit;
  readonly resolve: (applied: boolean) => void;
  readonly reject: (error: MetadataError) => void;
}

interface Batch {
  readonly writes: Writes;
  readonly applied: Pending[];
  /** A check of theirs failed against a write of this very batch, so the answer is only true once the batch is. */
  readonly refused: Pending[];
}

export class GroupCommit {
  readonly #backend: Backend;
  readonly #timeoutMs: number;
  #queue: Pending[] = [];
  #running: Promise<void> | undefined;
  /** Why nothing is accepted now. */
  #refusal: MetadataError | undefined;

  /** `timeoutMs`: a batch that takes longer is 'Unknown' to its callers, and nothing is accepted until it ends. */
  constructor(backend: Backend, timeoutMs: number) {
    this.#backend = backend;
    this.#timeoutMs = timeoutMs;
  }

  submit(commit: Commit): Promise<boolean> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      this.#queue.push({ commit: copyCommit(commit), resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Accepts nothing from now on; resolves when what was accepted is settled. */
  async stop(reason: MetadataError): Promise<void> {
    this.#refusal ??= reason;
    await this.#running;
  }

  /** True while a batch has not come back from the backend. */
  get stalled(): boolean {
    return this.#stalled;
  }
  #stalled = false;

  async #run(): Promise<void> {
    do {
      // Commits of the same turn of the event loop, and callers that the last batch set free, share the next batch.
      await setImmediate();
      await this.#step(this.#take());
    } while (this.#queue.length > 0);
    this.#running = undefined;
  }

  #take(): Pending[] {
    let bytes = 0;
    let writes = 0;
    const over = this.#queue.findIndex(({ commit }, index) => {
      bytes += commit.bytes;
      writes += commit.puts.length + commit.deletes.length;
      return index > 0 && (bytes > BATCH_BYTES_MAX || writes > BATCH_WRITES_MAX);
    });
    if (over !== -1) return this.#queue.splice(0, over);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  async #step(pending: readonly Pending[]): Promise<void> {
    if (this.#backend.transact) return await this.#stepAmongOthers(pending);
    const batch = this.#evaluate(pending);
    if (batch.writes.size > 0) {
      try {
        await this.#bounded(this.#backend.apply(batch.writes));
      } catch (error) {
        this.#fail(batch, error as MetadataError);
        return;
      }
    }
    succeed(batch);
  }

  async #stepAmongOthers(pending: readonly Pending[]): Promise<void> {
    const none: Batch = { writes: new Map(), applied: [...pending], refused: [] };
    let batch: Batch | undefined;
    let isGivenUp = false;
    const decide = (): Writes => (isGivenUp ? none : (batch = this.#evaluate(pending))).writes;
    try {
      await this.#bounded(this.#backend.transact!(decide));
    } catch (error) {
      if (batch) return this.#fail(batch, error as MetadataError);
      // Its turn among the writers has not come. Should it come after all, it writes nothing.
      isGivenUp = true;
      return this.#fail(none, notBegun(error as MetadataError));
    }
    succeed(batch ?? none);
  }

  #evaluate(pending: readonly Pending[]): Batch {
    const writes = new Map<string, { key: Bytes; value: Bytes | null }>();
    const batch: Batch = { writes, applied: [], refused: [] };
    for (const one of pending) {
      try {
        const failed = one.commit.checks.find((check) => !this.#holds(check, writes));
        if (failed && writes.has(keyText(failed.key))) batch.refused.push(one);
        else if (failed) one.resolve(false);
        else {
          for (const [key, value] of one.commit.puts) writes.set(keyText(key), { key, value });
          for (const key of one.commit.deletes) writes.set(keyText(key), { key, value: null });
          batch.applied.push(one);
        }
      } catch (error) {
        one.reject(new MetadataError('Unavailable', 'the metadata cannot be read', { cause: error }));
      }
    }
    return batch;
  }

  #holds({ key, value }: Check, writes: Writes): boolean {
    const written = writes.size > 0 ? writes.get(keyText(key)) : undefined;
    const found = written ? (written.value ?? undefined) : this.#backend.read(key);
    if (found === undefined || value === null) return found === undefined && value === null;
    return Buffer.compare(found, value) === 0;
  }

  async #bounded(applying: Promise<void>): Promise<void> {
    const timer = Promise.withResolvers<never>();
    const timeout = setTimeout(() => {
      this.#stalled = true;
      timer.reject(
        new MetadataError('Unknown', `a metadata commit did not end within ${this.#timeoutMs} ms`),
      );
    }, this.#timeoutMs);
    try {
      await Promise.race([applying, timer.promise]);
    } catch (error) {
      if (this.#stalled) this.#waitOut(applying);
      throw error;
    } finally {
      clearTimeout(timeout);
    }
  }

  /** Refuses everything until the batch that timed out ends after all. */
  #waitOut(applying: Promise<void>): void {
    const stall = new MetadataError('Unavailable', 'the metadata store is stuck in a commit');
    this.#refusal ??= stall;
    const resume = (): void => {
      this.#stalled = false;
      if (this.#refusal === stall) this.#refusal = undefined;
    };
    applying.then(resume, resume);
  }

  #fail({ applied, refused }: Batch, error: MetadataError): void {
    for (const { reject } of applied) reject(error);
    const untold = new MetadataError('Unavailable', 'a commit that this one depended on failed', {
      cause: error,
    });
    for (const { reject } of refused) reject(untold);
    // Certainly not applied: they were not begun. Their turn may come again, unless the store refuses everything.
    const refusal = this.#refusal;
    if (!refusal) return;
    for (const { reject } of this.#queue.splice(0)) reject(refusal);
  }

  /** Refuses every commit from now on: the store must be reopened. */
  failStop(reason: MetadataError): void {
    this.#refusal = reason;
  }
}

function succeed({ applied, refused }: Batch): void {
  for (const { resolve } of applied) resolve(true);
  for (const { resolve } of refused) resolve(false);
}

function notBegun(error: MetadataError): MetadataError {
  if (error.kind !== 'Unknown') return error;
  return new MetadataError('Unavailable', error.message, { cause: error });
}
