import * as z from 'zod';

/** What a sidecar reports of a window of time, for the control plane's overview. */
export const telemetrySummarySchema = z.strictObject({
  node: z.string().min(1).max(253),
  workload: z.string().max(320),
  windowMs: z.number().positive(),
  edges: z
    .array(
      z.strictObject({
        source: z.string().max(320),
        destination: z.string().max(320),
        requests: z.int().min(0),
        failures: z.int().min(0),
        retries: z.int().min(0),
        p50Ms: z.number().min(0),
        p99Ms: z.number().min(0),
        /** Share of the requests that went by mesh mTLS, 0 to 1. */
        mtls: z.number().min(0).max(1),
      }),
    )
    .max(10_000),
});

export type TelemetrySummary = z.infer<typeof telemetrySummarySchema>;
