import * as z from 'zod';
import { nameSchema } from './service.ts';

/** What all documents of Kubernetes' shape have. Labels and the like are taken and not looked at. */
export const metadataSchema = z.looseObject({
  name: nameSchema,
  namespace: nameSchema.default('default'),
});

/** A name as most objects of Kubernetes have it (RFC 1123 subdomain). */
export const objectNameSchema = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, {
    error: 'is not a name; write lower-case letters, digits, - and ., at most 253, like orders',
  });

/** `metadataSchema` of objects whose names may have dots. */
export const objectMetadataSchema = metadataSchema.extend({ name: objectNameSchema });

/** What a policy is about. */
export const targetRefSchema = z.strictObject({
  group: z.string().default(''),
  kind: z.enum(['Service', 'Gateway', 'HTTPRoute', 'GRPCRoute'], {
    error: 'is not a kind that a policy can be about; write Service, Gateway, HTTPRoute or GRPCRoute',
  }),
  name: objectNameSchema,
  namespace: nameSchema.optional(),
});
