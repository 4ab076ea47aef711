import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { AuthError } from '../auth/types.ts';
import type { S3Error } from '../s3/errors.ts';
import type { S3Answer } from '../s3/wire.ts';
import { Admission } from './admission.ts';
import type { AdmissionFigures, Refused } from './admission.ts';
import { AdmissionTimer } from './admissionTimer.ts';
import type { Ticket } from './door.ts';
import { HeldAnswers } from './heldAnswers.ts';
import { visitorOf } from './requestClass.ts';
import { slowDown } from './slowDown.ts';
import { Standings } from './standing.ts';
import { Starts } from './starts.ts';
import { isWhole, turnAway } from './turnAway.ts';

export interface FrontDoorOptions {
  /** Uploads of more than a small body that may be in work or waiting for memory. */
  readonly transfersMax: number;
  readonly failedPerSecondMax: number;
  readonly smallBodyBytes: number;
  /** Bytes that the process may take, as `ownMemory` counts them. */
  readonly memoryMax: number;
  /** Of virtual-host style requests. */
  readonly domain: string | undefined;
  /** No further request may be under way at all. */
  full(): boolean;
  /** The response under way is the connection's last, for the server is going away. */
  closing(socket: Duplex): boolean;
}

/** A request before anything was done for it. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** As sent. */
  readonly target: string;
  readonly awaitsContinue: boolean;
}

/** A place in work, or why there is none. */
export type Entry =
  | { readonly ticket: Ticket; readonly refusal?: undefined }
  | { readonly ticket?: undefined; readonly refusal: S3Error };

/** Admission as node:http sees it: every request of the S3 listener comes through here first. */
export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #admission: Admission;
  readonly #timer: AdmissionTimer;
  readonly #standings = new Standings();
  readonly #held = new HeldAnswers();
  readonly #starts = new Starts();
  /** When the client of a connection may come back, by the last refusal. */
  readonly #backAt = new WeakMap<Duplex, number>();

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.#admission = new Admission({
      now: () => performance.now(),
      fraction: () => Math.random(),
      transfersMax: options.transfersMax,
      failedPerSecondMax: options.failedPerSecondMax,
      full: () => options.full(),
    });
    this.#timer = new AdmissionTimer(this.#admission, this.#held, options.memoryMax);
  }

  figures(): AdmissionFigures {
    return this.#admission.figures();
  }

  /**
   * @param proceed with a place in work; or with a refusal, where the request's body has still to be dealt with
   * @param over when the request was answered here, or its client is gone; `more`: the connection may bring further ones
   */
  receive(arrival: Arrival, proceed: (entry: Entry) => void, over: (more: boolean) => void): void {
    const { request, response, target } = arrival;
    const { remoteAddress } = request.socket;
    const standing = this.#standings.of(request.socket, remoteAddress, performance.now());
    this.#timer.wake();
    this.#admission.ask(
      visitorOf(request, target, this.#options),
      standing,
      (ticket) =>
        this.#starts.run(() => {
          // It may have gone while it waited: nobody would hear of its end any more.
          if (response.destroyed || request.socket.destroyed) {
            ticket.leave(false);
            over(false);
          } else proceed({ ticket });
        }),
      (refused) => this.#refuse(arrival, refused, proceed, over),
    );
  }

  /** What an answer says of the connection. */
  learn(socket: Duplex, remoteAddress: string | undefined, { operation, error }: S3Answer): void {
    if (operation !== 'Unknown') this.#standings.passed(socket);
    else if (error?.cause instanceof AuthError) {
      this.#standings.failed(socket, remoteAddress, performance.now());
    }
  }

  #refuse(
    arrival: Arrival,
    { retryAfterMs, holdMs }: Refused,
    proceed: (entry: Entry) => void,
    over: (more: boolean) => void,
  ): void {
    const { request, response, target, awaitsContinue } = arrival;
    response.on('error', () => undefined);
    const answer = (): void => {
      if (response.destroyed) over(false);
      else if (isWhole(request)) {
        turnAway(request, response, target, { retryAfterMs, closing: this.#options.closing(request.socket) });
        over(response.shouldKeepAlive);
      } else proceed({ refusal: slowDown(retryAfterMs) });
    };
    const { socket } = request;
    const now = performance.now();
    const backAt = this.#backAt.get(socket) ?? 0;
    this.#backAt.set(socket, now + retryAfterMs);
    if (now < backAt && holdMs > 0 && !awaitsContinue) {
      request.on('error', () => undefined).resume();
      this.#held.hold(now + holdMs, answer);
    }
    // A small body mostly comes with its head, and is parsed once this turn is over.
    else if (isWhole(request) || awaitsContinue) answer();
    else setImmediate(answer);
  }
}
