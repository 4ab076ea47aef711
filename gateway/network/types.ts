/** What the listener asks of the network service; the composition root supplies it. Each statement is what came, unverified. */
export interface NetworkParties {
  describe(): object;
  era(): object;
  registerProvider(statement: unknown): Promise<object>;
  registerHyperNode(statement: unknown): Promise<object>;
  heartbeat(statement: unknown): Promise<object>;
  assignment(statement: unknown): Promise<object>;
  /** @param hash what `mayReport` gave for it */
  report(statement: unknown, hash: string): Promise<void>;
  /**
   * Asked before a report is read: throws unless whoever may report has just signed that it is about to.
   * @param intent the header `shardway-intent` (see messages.ts)
   * @returns the signer's public key, and the hash of the report
   */
  mayReport(intent: string): { readonly signer: string; readonly hash: string };
}

/** How fast a body has to come. */
export interface BodyRule {
  readonly bytesMax: number;
  /** Over each window, until the body's end. */
  readonly bytesPerSecondMin: number;
  readonly windowMs: number;
  /** From its first byte to its last. */
  readonly msMax: number;
}

/** Limits of the network listener. Times in ms, sizes in bytes. */
export interface NetworkLimits {
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to its last, the wait of a report for its turn included. */
  readonly requestTimeoutMs: number;
  /** From the first byte of a request to the last of its answer, which has to be read. */
  readonly answerTimeoutMs: number;
  /** Heartbeats come every 10 s. */
  readonly keepAliveTimeoutMs: number;
  /** Of a connection on which nobody has said anything that was taken. */
  readonly strangerIdleMs: number;
  /** In all, and from one address (IPv6: one /64). */
  readonly connectionsMax: number;
  readonly addressConnectionsMax: number;
  readonly report: BodyRule;
  /** Every other. */
  readonly statement: BodyRule;
  /** Statements that are not reports, from their first byte to their answer: from one address, and in all. */
  readonly addressBytesMax: number;
  readonly statementBytesMax: number;
  /** Reports read at once, and how long the others wait for their turn. */
  readonly reportsMax: number;
  readonly reportWaitMs: number;
  /** Assignments that are under way to one HyperNode: they are long, too. */
  readonly assignmentsMax: number;
  /** How long the rest of a refused body is dropped, so that its sender sees the answer before a reset. */
  readonly lingerMs: number;
  /** Statements of one address that may fail in a minute; beyond it 503 until the minute is over. */
  readonly failuresMax: number;
}

export const NETWORK_LIMITS: NetworkLimits = Object.freeze({
  headerBytesMax: 16 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  answerTimeoutMs: 240_000,
  keepAliveTimeoutMs: 75_000,
  strangerIdleMs: 5000,
  connectionsMax: 16_384,
  addressConnectionsMax: 1024,
  report: { bytesMax: 16 * 1024 * 1024, bytesPerSecondMin: 32 * 1024, windowMs: 5000, msMax: 60_000 },
  statement: { bytesMax: 64 * 1024, bytesPerSecondMin: 1024, windowMs: 5000, msMax: 20_000 },
  addressBytesMax: 4 * 1024 * 1024,
  statementBytesMax: 64 * 1024 * 1024,
  reportsMax: 2,
  reportWaitMs: 45_000,
  assignmentsMax: 2,
  lingerMs: 2000,
  failuresMax: 120,
});
