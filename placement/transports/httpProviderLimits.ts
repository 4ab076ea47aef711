/** What a gateway lets a provider cost it. Times in milliseconds. */
export interface HttpProviderLimits {
  readonly connectMs: number;
  /** From the last byte of a request to the headers of its answer, and from the offer of a piece of a body to its acceptance. */
  readonly answerMs: number;
  /** The body of an answer must get on by bytesPerSecondMin over every such time. */
  readonly windowMs: number;
  readonly bytesPerSecondMin: number;
  /** What a put that is given up after its last byte waits to learn whether the shard was stored. */
  readonly settleMs: number;
  /** Life of a grant, by the provider's clock. */
  readonly grantMs: number;
  readonly headerBytesMax: number;
  /** Of a page of the list, of hello and of space. */
  readonly jsonBytesMax: number;
  /** Connections for what is soon over. */
  readonly connections: number;
  /** Connections for puts, which last as long as their sources. */
  readonly uploadConnections: number;
}

export const HTTP_PROVIDER_LIMITS: HttpProviderLimits = Object.freeze({
  connectMs: 5_000,
  answerMs: 15_000,
  windowMs: 5_000,
  // A leaf a second: with less, an object could not be played back at the rate of speech.
  bytesPerSecondMin: 16 * 1024,
  settleMs: 2_000,
  grantMs: 60_000,
  headerBytesMax: 16 * 1024,
  jsonBytesMax: 1024 * 1024,
  connections: 64,
  uploadConnections: 256,
});
