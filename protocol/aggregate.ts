import * as z from 'zod';
import { metadataSchema } from './metadata.ts';

/** The document Aggregate: one response made of several services' responses. */
export const aggregateSchema = z.strictObject({
  apiVersion: z.literal('tulle.dev/v1alpha1'),
  kind: z.literal('Aggregate'),
  metadata: metadataSchema,
  spec: z.strictObject({
    path: z.string().startsWith('/', { error: 'is not a path; write one that begins with /' }),
    parts: z
      .array(
        z.strictObject({
          field: z.string().min(1).max(253),
          service: z.string().min(1).max(320),
          path: z.string().startsWith('/', { error: 'is not a path; write one that begins with /' }),
          optional: z.boolean().default(false),
        }),
      )
      .min(1)
      .max(32),
  }),
});

export type Aggregate = z.infer<typeof aggregateSchema>;
