/** What a workload proves itself with. */
export interface Identity {
  /** `namespace/serviceaccount`. */
  readonly workload: string;
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly keyPem: string;
  /** Leaf first. */
  readonly chainPem: string;
  /** Trusted roots: two while the root is being rotated. */
  readonly bundlePem: string;
  /** Wall clock, ms. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** When the first of the trusted roots ends: wall clock, ms. */
  readonly rootNotAfter: number;
  /** Keys of session tickets, where several processes accept as one; without them each makes its own. */
  readonly ticketKeys?: Buffer;
}

/** Where an identity comes from, and its successors. */
export interface IdentitySource {
  current(): Identity | undefined;
  /** Returns how to stop listening. */
  onChange(listener: (identity: Identity) => void): () => void;
  lastError(): string | undefined;
  close(): void;
}
