import * as z from 'zod';
import type { Operation } from './json-patch.ts';

/** A warning of more characters may be cut off by the API server (admission.k8s.io/v1). */
const MAX_WARNING = 256;
/** All warnings of a response together, likewise. */
const MAX_WARNINGS = 4096;

const texts = z.record(z.string(), z.string()).nullish();

/** What is common to all objects that are asked about. */
const objectSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string().nullish(), labels: texts, annotations: texts }).nullish(),
});

export type AdmissionObject = z.infer<typeof objectSchema>;

const requestSchema = z.looseObject({
  uid: z.string().min(1).max(256),
  kind: z.looseObject({ group: z.string(), version: z.string(), kind: z.string() }),
  subResource: z.string().nullish(),
  operation: z.string(),
  name: z.string().nullish(),
  namespace: z.string().nullish(),
  object: objectSchema.nullish(),
  oldObject: objectSchema.nullish(),
});

export type AdmissionRequest = z.infer<typeof requestSchema>;

const reviewSchema = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: requestSchema,
});

/** The verdict on one request. */
export type Verdict =
  | { readonly allowed: true; readonly patch?: readonly Operation[]; readonly warnings?: readonly string[] }
  | { readonly allowed: false; readonly code: number; readonly message: string };

/** The request of an AdmissionReview in JSON. Throws an Error that says what it is instead. */
export function readReview(text: string): AdmissionRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('the body is not JSON');
  }
  const read = reviewSchema.safeParse(value);
  if (read.success) return read.data.request;
  const [issue] = read.error.issues;
  throw new Error(
    `the body is not an AdmissionReview of admission.k8s.io/v1: ${issue?.path.join('.') || 'it'}: ${issue?.message}`,
  );
}

/** The AdmissionReview that answers the request `uid`. */
export function reviewAnswer(uid: string, verdict: Verdict): object {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: response(uid, verdict) };
}

function response(uid: string, verdict: Verdict): object {
  if (!verdict.allowed) {
    const { code, message } = verdict;
    return { uid, allowed: false, status: { code, message } };
  }
  const { patch = [], warnings = [] } = verdict;
  return {
    uid,
    allowed: true,
    ...(patch.length > 0 && {
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    }),
    ...(warnings.length > 0 && { warnings: fitting(warnings) }),
  };
}

function fitting(warnings: readonly string[]): string[] {
  let left = MAX_WARNINGS;
  return warnings
    .map((warning) => (warning.length > MAX_WARNING ? `${warning.slice(0, MAX_WARNING - 3)}...` : warning))
    .filter((warning) => {
      left -= Buffer.byteLength(warning);
      return left >= 0;
    });
}
