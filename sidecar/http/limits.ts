/** What the engine accepts from outside. Sizes in bytes, times in ms. */
export interface Limits {
  /** Start line and all header lines together, with their line ends. */
  readonly headBytes: number;
  readonly headers: number;
  readonly targetBytes: number;
  /** From the first byte of a head to its last. */
  readonly headMs: number;
  /** A kept-alive downstream connection without a request. */
  readonly idleMs: number;
  /** Trailer section of a chunked body. */
  readonly trailerBytes: number;
}

/** Heads of 1xx before one final head: a response of them alone would never end. */
export const MAX_INTERIM_HEADS = 100;

export const DEFAULT_LIMITS: Limits = {
  headBytes: 64 * 1024,
  headers: 100,
  targetBytes: 32 * 1024,
  headMs: 10_000,
  idleMs: 600_000,
  trailerBytes: 8 * 1024,
};
