import type { S3Response } from '../s3/types.ts';
import { BudgetTimeout } from './budget.ts';
import type { Ticket } from './door.ts';
import type { MemoryBudget, Reservation } from './budget.ts';
import type { HttpLimits } from './limits.ts';
import { slowDown } from './slowDown.ts';

/** A response's share of the download memory, from before its first byte is read to its end: clients that do not read must not fill it. */
export class DownloadShare {
  readonly #budget: MemoryBudget;
  readonly #limits: HttpLimits;
  readonly #ticket: Ticket | undefined;
  #reservation: Reservation | undefined;

  constructor(budget: MemoryBudget, limits: HttpLimits, ticket: Ticket | undefined) {
    this.#budget = budget;
    this.#limits = limits;
    this.#ticket = ticket;
  }

  /** True when others wait for what this response holds. */
  get contended(): boolean {
    return this.#reservation !== undefined && this.#budget.waiting > 0;
  }

  /** Waits for memory where the response streams a long body. @throws S3Error 'SlowDown', the signal's reason */
  async take(response: S3Response, gone: AbortSignal): Promise<void> {
    const { smallBodyBytes, downloadBytes, uploadWaitMs, memoryWaitersMax } = this.#limits;
    const length = streamedLength(response);
    if (length <= smallBodyBytes) return;
    if (this.#budget.waiting >= memoryWaitersMax) throw slowDown();
    this.#ticket?.wait();
    try {
      this.#reservation = await this.#budget.reserve(Math.min(length, downloadBytes), uploadWaitMs, gone);
    } catch (error) {
      throw error instanceof BudgetTimeout ? slowDown() : error;
    } finally {
      this.#ticket?.resume();
    }
  }

  release(): void {
    this.#reservation?.release();
    this.#reservation = undefined;
  }
}

/** Bytes of a streamed body; 0 for one that lies in memory already, and for documents that come in small pieces, which have no length. */
function streamedLength({ body, headers }: S3Response): number {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return 0;
  return Number(headers?.find(([name]) => name === 'content-length')?.[1] ?? 0);
}
