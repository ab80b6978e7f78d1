import * as z from 'zod';
import { ADDRESS_MEANT, type Endpoint, endpointSchema, isAddress } from './endpoint.ts';

/** `namespace/name` in a mesh file; in Kubernetes each port is a service of its own, `namespace/name:port`. */
export type ServiceKey = string;

export const nameSchema = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
  error: 'is not a name; write lower-case letters, digits and -, at most 63, like orders',
});

export const portSchema = z
  .int({ error: 'is not a port number; write a whole number from 1 to 65535, like 8080' })
  .min(1, { error: 'is not a port number; write a whole number from 1 to 65535, like 8080' })
  .max(65535, { error: 'is not a port number; write a whole number from 1 to 65535, like 8080' });

const PROTOCOLS = ['detect', 'http', 'http2', 'grpc', 'tcp'] as const;

const endpointEntry = z.union([
  z
    .string()
    .refine(isAddress, { error: `is not an address; ${ADDRESS_MEANT}` })
    .transform((address): Endpoint => ({ address, weight: 1, ready: true })),
  endpointSchema,
]);

export const serviceSchema = z.strictObject({
  name: nameSchema,
  namespace: nameSchema.default('default'),
  port: portSchema,
  protocol: z
    .enum(PROTOCOLS, { error: `is not a protocol; write one of ${PROTOCOLS.join(', ')}` })
    .default('detect'),
  /** Its endpoints speak mesh mTLS as this service account. */
  serviceAccount: nameSchema.optional(),
  endpoints: z.array(endpointEntry).max(10_000).default([]),
  annotations: z
    .record(z.string(), z.string({ error: 'is not a text; put the value in quotes' }))
    .default({}),
});

export type Service = z.infer<typeof serviceSchema>;

export function serviceKey(service: { readonly namespace: string; readonly name: string }): ServiceKey {
  return `${service.namespace}/${service.name}`;
}
