import * as z from 'zod';
import { objectMetadataSchema } from './metadata.ts';
import { type Route, TLS_ROUTE } from './route.ts';
import {
  apiVersionSchema,
  backendRefSchema,
  backendsOf,
  hostnameSchema,
  parentRefSchema,
  parentsOf,
} from './route-references.ts';

const tlsParentRef = parentRefSchema.extend({
  kind: z
    .enum(['Gateway', 'ListenerSet'], {
      error: 'is not a kind of parent of a TLSRoute; write Gateway or ListenerSet',
    })
    .default('Gateway'),
});

/** Gateway API TLSRoute: TLS is passed through unread. */
export const tlsRouteSchema = z.strictObject({
  apiVersion: apiVersionSchema,
  kind: z.literal(TLS_ROUTE),
  metadata: objectMetadataSchema,
  spec: z.strictObject({
    parentRefs: z.array(tlsParentRef).min(1).max(32),
    hostnames: z.array(hostnameSchema).min(1).max(16),
    /** With nothing to match, a second rule would never be used. */
    rules: z
      .array(
        z.strictObject({
          name: z.string().optional(),
          backendRefs: z.array(backendRefSchema).min(1).max(16),
        }),
      )
      .length(1),
  }),
});

/** The normal form of a TLSRoute. */
export function normalTlsRoute({ metadata, spec }: z.infer<typeof tlsRouteSchema>): Route {
  const { namespace } = metadata;
  return {
    name: `${namespace}/${metadata.name}`,
    kind: TLS_ROUTE,
    parents: parentsOf(spec.parentRefs, namespace),
    hostnames: spec.hostnames.map((name) => name.toLowerCase()),
    rules: spec.rules.map(({ backendRefs }) => ({
      matches: [],
      backends: backendsOf(backendRefs, namespace),
    })),
  };
}
