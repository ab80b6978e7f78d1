import { isIPv6 } from 'node:net';
import * as z from 'zod';
import { isWorkload } from './spiffe.ts';

/** `host:port`, IPv6 in brackets. */
export function isAddress(text: string): boolean {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || (match[1] !== undefined && !isIPv6(match[1]))) return false;
  return port >= 1 && port <= 65535;
}

export const ADDRESS_MEANT = 'write HOST:PORT, like 127.0.0.1:9001 or [::1]:9001';

const addressSchema = z.string().refine(isAddress, { error: `is not an address; ${ADDRESS_MEANT}` });

const workloadSchema = z.string().refine(isWorkload, {
  error: 'is not a workload identity; write NAMESPACE/SERVICEACCOUNT, like shop/orders',
});

/** One place where a service runs. */
export const endpointSchema = z.strictObject({
  address: addressSchema,
  /** Share of the load, 0 to 1000. */
  weight: z
    .int({ error: 'is not a weight; write a whole number from 0 to 1000' })
    .min(0)
    .max(1000)
    .default(1),
  zone: z.string().max(253).optional(),
  /** Zones whose callers should prefer it (Kubernetes' topology hints); absent: all. */
  forZones: z.array(z.string().max(253)).max(64).optional(),
  /** `namespace/serviceaccount`: it speaks mesh mTLS and must prove this identity. */
  identity: workloadSchema.optional(),
  ready: z.boolean().default(true),
});

export type Endpoint = z.infer<typeof endpointSchema>;
