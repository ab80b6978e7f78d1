import * as z from 'zod';
import { metadataSchema } from './metadata.ts';
import { portSchema } from './service.ts';

/** Gateway API Gateway, as far as it is served. */
export const gatewaySchema = z.strictObject({
  apiVersion: z.string().startsWith('gateway.networking.k8s.io/', {
    error: 'is not the Gateway API; write gateway.networking.k8s.io/v1',
  }),
  kind: z.literal('Gateway'),
  metadata: metadataSchema,
  spec: z.strictObject({
    gatewayClassName: z.string().default('tulle'),
    listeners: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(253),
          port: portSchema,
          protocol: z.enum(['HTTP', 'HTTPS', 'TLS', 'TCP'], {
            error: 'is not a listener protocol; write HTTP, HTTPS, TLS or TCP',
          }),
          hostname: z.string().max(253).optional(),
        }),
      )
      .min(1)
      .max(64),
  }),
});

export type Gateway = z.infer<typeof gatewaySchema>;

/** A listener in the form in which it is distributed. */
export interface GatewayListener {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'HTTP' | 'HTTPS' | 'TLS' | 'TCP';
  /** Lower case; absent: every host. */
  readonly hostname?: string | undefined;
  /** Of HTTPS and TLS. Absent: the TLS of a TLS listener is passed through, an HTTPS listener is not served. */
  readonly tls?: {
    readonly mode: 'Terminate' | 'Passthrough';
    /** Of Terminate: the first is for clients that no other fits. */
    readonly certificates: readonly ListenerCertificate[];
    /** Of Terminate. Absent: clients are not asked for a certificate. */
    readonly clientAuthorities?: ClientAuthorities;
  };
  /** `routeKey`s of those attached to this listener. Absent: all routes of the Gateway that name no other listener. */
  readonly routes?: readonly string[];
}

export interface ListenerCertificate {
  /** PEM: the leaf first. */
  readonly certificate: string;
  /** PEM. A secret: for its gateway alone, and never in a log or on the admin port. */
  readonly key: string;
}

/** Who vouches for the clients of a listener. */
export interface ClientAuthorities {
  /** PEM: any number of certificates in each. Empty: there are none that can be had, and nobody is let in. */
  readonly certificates: readonly string[];
  /** AllowInsecureFallback: clients are asked for a certificate, and let in without a good one too. */
  readonly mode: 'AllowValidOnly' | 'AllowInsecureFallback';
}

/** Whether some host is meant by both names of Gateway API (`*.example.com` means all below); absent means every host. */
export function sharesHost(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return true;
  return isBelow(a, b) || isBelow(b, a);
}

/** Whether `wildcard` is one and `name`, a host or a wildcard, stands below it. */
function isBelow(name: string, wildcard: string): boolean {
  return wildcard.startsWith('*.') && name.endsWith(wildcard.slice(1));
}
