/** Limits of the daemon's listener. Times in ms, sizes in bytes. */
export interface DaemonLimits {
  /** Request line and headers together; a grant and its use have about 800. */
  readonly headerBytesMax: number;
  /** From the connection, or the first byte of a request on it, to the end of the headers. */
  readonly headersTimeoutMs: number;
  /** An idle connection is kept this long. */
  readonly keepAliveMs: number;
  readonly connectionsMax: number;
  /** Of them from one address (IPv6: one /64); a gateway's own pool is a quarter of it. */
  readonly addressConnectionsMax: number;
  /** An idle connection on which no grant was good is kept this long. */
  readonly strangerIdleMs: number;
  /** Requests under way; beyond it 503 at once. */
  readonly requestsMax: number;
  /** A peer that sends or takes less than this over a window is cut; only time in which it is waited for counts. */
  readonly bytesPerSecondMin: number;
  readonly windowMs: number;
  /** Most leaves of one read. */
  readonly leavesMax: number;
  /** Leaves in memory on their way to readers, all together; beyond it 503 at once. */
  readonly readBytesMax: number;
  /** Nonces of used grants remembered at once; beyond it 503. */
  readonly noncesMax: number;
  /** What is still received of a refused body, and for how long, so that its sender sees the answer before a reset. */
  readonly lingerBytesMax: number;
  readonly lingerMs: number;
  /** How long requests under way may go on when the daemon stops. */
  readonly stopMs: number;
}

export const DAEMON_LIMITS: DaemonLimits = Object.freeze({
  headerBytesMax: 16 * 1024,
  headersTimeoutMs: 15_000,
  keepAliveMs: 75_000,
  connectionsMax: 4096,
  addressConnectionsMax: 256,
  strangerIdleMs: 5000,
  requestsMax: 1024,
  bytesPerSecondMin: 1024,
  windowMs: 30_000,
  leavesMax: 4096,
  readBytesMax: 256 * 1024 * 1024,
  noncesMax: 1_000_000,
  lingerBytesMax: 1024 * 1024,
  lingerMs: 2000,
  stopMs: 10_000,
});
