import * as z from 'zod';
import { objectNameSchema } from './metadata.ts';
import type { Route, RouteRule } from './route.ts';
import { nameSchema, portSchema, type ServiceKey } from './service.ts';

export const apiVersionSchema = z.string().startsWith('gateway.networking.k8s.io/', {
  error: 'is not the Gateway API; write gateway.networking.k8s.io/v1',
});

export const hostnameSchema = z
  .string()
  .regex(/^[a-z0-9*]([a-z0-9.-]*[a-z0-9])?$/i, { error: 'is not a host name' })
  .max(253);

/** Of one host: PreciseHostname of the Gateway API. */
export const preciseHostnameSchema = hostnameSchema.refine((name) => !name.includes('*'), {
  error: 'is a wildcard; write the name of one host',
});

/** Names a Service to send to. */
export const referenceSchema = z.strictObject({
  group: z.string().optional(),
  kind: z
    .literal('Service', { error: 'is not a kind of backend that is served; write Service' })
    .default('Service'),
  name: nameSchema,
  namespace: nameSchema.optional(),
  port: portSchema.optional(),
});

export const backendRefSchema = referenceSchema.extend({
  weight: z.int().min(0).max(1_000_000).default(1),
});

export const parentRefSchema = z.strictObject({
  group: z.string().optional(),
  kind: z
    .enum(['Service', 'Gateway', 'ListenerSet'], {
      error: 'is not a kind of parent; write Service, Gateway or ListenerSet',
    })
    .default('Gateway'),
  name: objectNameSchema,
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
    ...(parent.sectionName !== undefined && { sectionName: parent.sectionName }),
  }));
}

/** Where a rule of a route of `namespace` sends to, in its normal form. */
export function backendsOf(
  refs: readonly z.infer<typeof backendRefSchema>[],
  namespace: string,
): RouteRule['backends'] {
  return refs.map((backend) => ({ service: backendKey(backend, namespace), weight: backend.weight }));
}

/** The Service that a reference in a route of `namespace` means. */
export function backendKey(ref: z.infer<typeof referenceSchema>, namespace: string): ServiceKey {
  return `${ref.namespace ?? namespace}/${ref.name}`;
}
