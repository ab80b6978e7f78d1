import * as z from 'zod';

/** A workload asks for a certificate: by a join token, or by the certificate it has. */
export const identityRequestSchema = z.strictObject({
  token: z.string().max(8192).optional(),
  /** PKCS#10 in PEM. */
  csr: z.string().max(8192),
});

export const identityResponseSchema = z.strictObject({
  chain: z.string(),
  bundle: z.string(),
  notAfter: z.iso.datetime(),
  renewAfterMs: z.number().min(0),
});

export type IdentityRequest = z.infer<typeof identityRequestSchema>;
export type IdentityResponse = z.infer<typeof identityResponseSchema>;
