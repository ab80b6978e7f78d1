import * as z from 'zod';
import { nameSchema } from './service.ts';

/** What all documents of Kubernetes' shape have. Labels and the like are taken and not looked at. */
export const metadataSchema = z.looseObject({
  name: nameSchema,
  namespace: nameSchema.default('default'),
});

/** What a policy is about. */
export const targetRefSchema = z.strictObject({
  group: z.string().default(''),
  kind: z.enum(['Service', 'Gateway', 'HTTPRoute', 'GRPCRoute'], {
    error: 'is not a kind that a policy can be about; write Service, Gateway, HTTPRoute or GRPCRoute',
  }),
  name: nameSchema,
  namespace: nameSchema.optional(),
});
