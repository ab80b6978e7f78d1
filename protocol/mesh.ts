import * as z from 'zod';
import type { AccessPolicy } from './access-policy.ts';
import type { Aggregate } from './aggregate.ts';
import type { Gateway } from './gateway.ts';
import { parseStoreAddress, STORE_MEANT } from './quotas/store-address.ts';
import type { Route } from './route.ts';
import type { RoutePolicy } from './route-policy.ts';
import type { Service } from './service.ts';
import { serviceSchema } from './service.ts';
import type { TrafficSettings } from './traffic-policy.ts';

/** A whole mesh, read, checked and settled. */
export interface Mesh {
  readonly trustDomain: string;
  readonly services: readonly { readonly service: Service; readonly settings: TrafficSettings }[];
  readonly routes: readonly Route[];
  readonly access: readonly AccessPolicy[];
  readonly aggregates: readonly Aggregate[];
  readonly gateways: readonly Gateway[];
  /** What holds for all routes of a Gateway, by its `namespace/name`. */
  readonly gatewayPolicies: ReadonlyMap<string, RoutePolicy>;
  readonly quotas: { readonly store: string };
}

const document = z.looseObject({
  kind: z.string({ error: 'is not a kind; write the kind of the document, like HTTPRoute' }),
});

/** The outer shape of mesh.yaml (DESIGN section 7); documents are read by their own schemas. */
export const meshFileSchema = z.strictObject({
  trustDomain: z
    .string({ error: "is not a trust domain; write the mesh's name in certificates, like example.test" })
    .regex(/^[a-z0-9]([a-z0-9._-]{0,253}[a-z0-9])?$/, {
      error: 'is not a trust domain; write a name like example.test',
    })
    .default('mesh.local'),
  services: z.array(serviceSchema).max(100_000).default([]),
  routes: z.array(document).max(100_000).default([]),
  policies: z.array(document).max(100_000).default([]),
  gateway: z.array(document).max(1000).default([]),
  quotas: z
    .strictObject({
      store: z
        .string()
        .max(2000)
        .superRefine((text, context) => {
          const wrong = parseStoreAddress(text);
          if (typeof wrong === 'string') context.addIssue(`${wrong}; ${STORE_MEANT}`);
        })
        .default('memory'),
    })
    .default({ store: 'memory' }),
});

export type MeshFile = z.infer<typeof meshFileSchema>;
