/** How connections to a service that speaks TLS itself are made (Gateway API BackendTLSPolicy). */
export interface BackendTls {
  /** The policy that says so, `namespace/name`: for the words of an error. */
  readonly policy: string;
  /** Sent as SNI; the name that must be proved unless `names` has others. */
  readonly serverName: string;
  /** PEM, one or more certificates each: nobody else is believed. `system`: the public ones. */
  readonly authorities: readonly string[] | 'system';
  /** One of these must be proved instead of `serverName`; empty: that one. */
  readonly names: readonly BackendName[];
  /** Why the policy cannot be used: nothing is sent to the service then, in plain text or by TLS. */
  readonly invalid?: string;
}

/** A subject alternative name of a certificate. */
export interface BackendName {
  readonly type: 'Hostname' | 'URI';
  readonly value: string;
}
