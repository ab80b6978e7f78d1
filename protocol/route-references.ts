import * as z from 'zod';
import type { Route, RouteRule } from './route.ts';
import { nameSchema, portSchema } from './service.ts';

export const apiVersionSchema = z.string().startsWith('gateway.networking.k8s.io/', {
  error: 'is not the Gateway API; write gateway.networking.k8s.io/v1',
});

export const hostnameSchema = z
  .string()
  .regex(/^[a-z0-9*]([a-z0-9.-]*[a-z0-9])?$/i, { error: 'is not a host name' })
  .max(253);

export const backendRefSchema = z.strictObject({
  group: z.string().optional(),
  kind: z
    .literal('Service', { error: 'is not a kind of backend that is served; write Service' })
    .default('Service'),
  name: nameSchema,
  namespace: nameSchema.optional(),
  port: portSchema.optional(),
  weight: z.int().min(0).max(1_000_000).default(1),
});

export const parentRefSchema = z.strictObject({
  group: z.string().optional(),
  kind: z
    .enum(['Service', 'Gateway'], { error: 'is not a kind of parent; write Service or Gateway' })
    .default('Gateway'),
  name: nameSchema,
  namespace: nameSchema.optional(),
  port: portSchema.optional(),
  sectionName: z.string().optional(),
});

/** What a route of `namespace` is attached to, in its normal form. */
export function parentsOf(
  refs: readonly z.infer<typeof parentRefSchema>[],
  namespace: string,
): Route['parents'] {
  return refs.map((parent) => ({
    kind: parent.kind,
    key: `${parent.namespace ?? namespace}/${parent.name}`,
    ...(parent.port !== undefined && { port: parent.port }),
  }));
}

/** Where a rule of a route of `namespace` sends to, in its normal form. */
export function backendsOf(
  refs: readonly z.infer<typeof backendRefSchema>[],
  namespace: string,
): RouteRule['backends'] {
  return refs.map((backend) => ({
    service: `${backend.namespace ?? namespace}/${backend.name}`,
    weight: backend.weight,
  }));
}
