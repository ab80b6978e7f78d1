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
