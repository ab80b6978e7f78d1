import * as z from 'zod';
import { metadataSchema, targetRefSchema } from './metadata.ts';

/** The document AccessPolicy: who may call what. */
export const accessPolicySchema = z.strictObject({
  apiVersion: z.literal('tulle.dev/v1alpha1'),
  kind: z.literal('AccessPolicy'),
  metadata: metadataSchema,
  spec: z.strictObject({
    targetRef: targetRefSchema,
    clients: z.array(z.string().max(320)).max(1000).optional(),
    jwt: z
      .array(
        z.strictObject({
          issuer: z.string().max(2048),
          audiences: z.array(z.string()).optional(),
          jwksUri: z.url().optional(),
        }),
      )
      .optional(),
    apiKeys: z.strictObject({ header: z.string().default('x-api-key'), secretName: z.string() }).optional(),
    methods: z.array(z.string().max(64)).optional(),
    paths: z
      .array(z.string().startsWith('/', { error: 'is not a path; write one that begins with /' }))
      .optional(),
  }),
});

export type AccessPolicy = z.infer<typeof accessPolicySchema>;
