/** Limits of the S3 listener. Times in ms, sizes in bytes. */
export interface HttpLimits {
  /** Request line and headers together. S3 allows 8 KiB of headers; presigned URLs with hoisted metadata are longer. */
  readonly headerBytesMax: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** Idle connections live longer than the 60 s that common load balancers and SDK pools keep them. */
  readonly keepAliveTimeoutMs: number;
  /** A body slower than this over a window, counting only time in which we wait for the client, is cut. */
  readonly bodyBytesPerSecondMin: number;
  readonly bodyWindowMs: number;
  /** The same while other bodies wait for memory: a few clients that stall must not keep out all others. */
  readonly crowdedBytesPerSecondMin: number;
  readonly crowdedWindowMs: number;
  /** A client that takes nothing of its response for this long is cut. */
  readonly sendStallMs: number;
  /** The same while other responses wait for memory. */
  readonly crowdedStallMs: number;
  /**
   * What an upload under way holds, socket included, with many beside it: two stripes are 3 MiB while few are written, and 0.75 MiB in a
   * crowd. With the default memory 84 large uploads go on at once, so that 64 never wait for one another.
   */
  readonly uploadBytes: number;
  /** Bodies up to this length share an eighth of the upload memory among themselves. */
  readonly smallBodyBytes: number;
  /** What the response of an object may hold: a stripe, and the one read ahead. Responses of small bodies are not counted. */
  readonly downloadBytes: number;
  /** Longest wait for a share of the upload memory, or of the download memory; then 503 SlowDown. */
  readonly uploadWaitMs: number;
  /**
   * Bodies, and as many responses, that may wait for memory; beyond it 503 SlowDown at once. Each holds up to 128 KiB that its socket has
   * brought already.
   */
  readonly memoryWaitersMax: number;
  /** Requests under way, those included whose clients are slow; beyond it 503 SlowDown at once, before any limit on the work in them. */
  readonly requestsMax: number;
  readonly connectionsMax: number;
  /** Requests a second of connections whose last one failed authentication, while the event loop is busy and others are served. */
  readonly failedPerSecondMax: number;
  /** Requests that a connection may send ahead of their answers; beyond it the connection is cut. S3's clients send none. */
  readonly pipelinedMax: number;
  /** An unread body up to this size, that comes within this time, is read and dropped so that the connection lives on. */
  readonly discardBytesMax: number;
  readonly discardMs: number;
  /** Beyond that the connection closes, after this much or this long, so that the client sees the response before a reset. */
  readonly lingerBytesMax: number;
  readonly lingerMs: number;
}

export const HTTP_LIMITS: HttpLimits = Object.freeze({
  headerBytesMax: 32 * 1024,
  headersTimeoutMs: 30_000,
  keepAliveTimeoutMs: 75_000,
  bodyBytesPerSecondMin: 1024,
  bodyWindowMs: 60_000,
  crowdedBytesPerSecondMin: 16 * 1024,
  crowdedWindowMs: 5000,
  sendStallMs: 120_000,
  crowdedStallMs: 10_000,
  uploadBytes: 2 * 1024 * 1024,
  smallBodyBytes: 64 * 1024,
  downloadBytes: 4 * 1024 * 1024,
  uploadWaitMs: 30_000,
  memoryWaitersMax: 256,
  requestsMax: 4096,
  connectionsMax: 10_000,
  failedPerSecondMax: 500,
  pipelinedMax: 16,
  discardBytesMax: 64 * 1024,
  discardMs: 1000,
  lingerBytesMax: 4 * 1024 * 1024,
  lingerMs: 2000,
});
