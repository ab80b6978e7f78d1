import type { Certificates } from '../certificates.ts';

/** One proxy's place on a request's way: what it accepts, and what it speaks to the next. */
export interface Hop {
  /** Port to accept on. */
  listen: number;
  /** Accept plain HTTP from the client, or TLS 1.3 with a certificate of `bench/client` from the proxy before. */
  accepts: 'plain' | 'mtls';
  /** Port of the next proxy or of the application. */
  next: number;
  /** Speak plain HTTP to the next, or TLS 1.3 as `bench/client`, and demand that it is `bench/app`. */
  speaks: 'plain' | 'mtls';
  /** An own empty directory for the configuration. */
  directory: string;
  certificates: Certificates;
}

/** A proxy that the bench can measure. */
export interface Peer {
  name: string;
  /** Name and version, as the report gives it. */
  version: string;
  /** Writes the configuration and says how to start it. */
  configure(hop: Hop): { command: string; args: readonly string[] };
}
