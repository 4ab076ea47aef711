/** What the listener asks of the network service; the composition root supplies it. Each statement is what came, unverified. */
export interface NetworkParties {
  describe(): object;
  era(): object;
  registerProvider(statement: unknown): Promise<object>;
  registerHyperNode(statement: unknown): Promise<object>;
  heartbeat(statement: unknown): Promise<object>;
  assignment(statement: unknown): Promise<object>;
  report(statement: unknown): Promise<void>;
}

/** Limits of the network listener. Times in ms, sizes in bytes. */
export interface NetworkLimits {
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  /** Heartbeats come every 10 s. */
  readonly keepAliveTimeoutMs: number;
  readonly connectionsMax: number;
  /** Of a report, and of any other statement. */
  readonly reportBytesMax: number;
  readonly statementBytesMax: number;
  /** Bodies on their way in: from one address, and in all. */
  readonly addressBytesMax: number;
  readonly bodyBytesMax: number;
  /** Statements of one address that may fail in a minute; beyond it 503 until the minute is over. */
  readonly failuresMax: number;
}

export const NETWORK_LIMITS: NetworkLimits = Object.freeze({
  headerBytesMax: 16 * 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  connectionsMax: 16_384,
  reportBytesMax: 16 * 1024 * 1024,
  statementBytesMax: 64 * 1024,
  addressBytesMax: 64 * 1024 * 1024,
  bodyBytesMax: 256 * 1024 * 1024,
  failuresMax: 120,
});
