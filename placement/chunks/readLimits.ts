/** How long a read waits for providers, in ms. */
export interface ReadLimits {
  /** One answer of one provider. Another is asked much sooner. */
  readonly readMs: number;
}

export const READ_LIMITS: ReadLimits = { readMs: 10_000 };
