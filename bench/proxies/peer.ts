import type { Certificates } from '../certificates.ts';

/** What client and application speak with each other through the proxies. */
export type Protocol = 'http' | 'websocket' | 'http2' | 'grpc' | 'tcp';

/** One proxy's place on a request's way: what it accepts, and what it speaks to the next. */
export interface Hop {
  protocol: Protocol;
  /** Port to accept on. */
  listen: number;
  /** Accept plain text from the client, or TLS 1.3 with a certificate of `bench/client` from the proxy before. */
  accepts: 'plain' | 'mtls';
  /** Port of the next proxy or of the application. */
  next: number;
  /** Speak plain text to the next, or TLS 1.3 as `bench/client`, and demand that it is `bench/app`. */
  speaks: 'plain' | 'mtls';
  /** Port for the peer's admin interface, where it has one. */
  admin: number;
  /** So many routes to so many services of one endpoint each, or 0: everything goes to one service. */
  routes: number;
  /** So many connections of clients at most. */
  clients: number;
  /** An own empty directory for the configuration. */
  directory: string;
  certificates: Certificates;
}

/** A proxy that the bench can measure. */
export interface Peer {
  name: string;
  /** Name and version, as the report gives it. */
  version: string;
  /** It speaks HTTP/1.1 to what is behind it, also where its clients speak HTTP/2. */
  http1Behind?: true;
  /** Path of its admin interface that says whether it lives. */
  adminPath?: string;
  /** Writes the configuration and says how to start it. Throws when it cannot do such a hop. */
  configure(hop: Hop): { command: string; args: readonly string[] };
}
