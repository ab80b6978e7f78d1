import * as z from 'zod';

/** A batch of tokens that a sidecar asks for, or gives back (DESIGN section 6). */
export const quotaLeaseRequestSchema = z.strictObject({
  quota: z.string().min(1).max(512),
  /** What callers are told apart by, already joined. */
  key: z.string().max(1024),
  tokens: z.int().min(1).max(1_000_000),
  returned: z.int().min(0).max(1_000_000).default(0),
});

export const quotaLeaseSchema = z.strictObject({
  quota: z.string().min(1).max(512),
  key: z.string().max(1024),
  granted: z.int().min(0).max(1_000_000),
  /** After that the tokens are void. */
  expiresInMs: z.number().positive(),
  /** When none were granted: how long until one may be. */
  retryAfterMs: z.number().min(0).optional(),
});

export type QuotaLeaseRequest = z.infer<typeof quotaLeaseRequestSchema>;
export type QuotaLease = z.infer<typeof quotaLeaseSchema>;
