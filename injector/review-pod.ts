import * as z from 'zod';
import type { AdmissionRequest, Verdict } from './admission-review.ts';
import type { InjectionConfig, PodNamespace } from './injection-config.ts';
import type { Pod } from './meshed-pod.ts';
import { type Injection, injectPod } from './pod-patch.ts';

const container = z.looseObject({
  name: z.string(),
  args: z.array(z.string()).nullish(),
  command: z.array(z.string()).nullish(),
  ports: z.array(z.looseObject({ containerPort: z.number() })).nullish(),
});

/** As much of a pod's shape as injecting relies on; the API server has checked it all, another caller has not. */
const podSchema = z.looseObject({
  spec: z.looseObject({
    containers: z.array(container),
    initContainers: z.array(container).nullish(),
    volumes: z.array(z.looseObject({ name: z.string() })).nullish(),
  }),
});

/** Whether a value has the shape of a pod, or of a pod template. */
export function isPod(value: unknown): value is Pod {
  return podSchema.safeParse(value).success;
}

/** Namespaces as they are now; undefined where they cannot be asked for. */
export type ReadNamespace = (name: string) => Promise<PodNamespace | undefined>;

export interface PodReview {
  readonly verdict: Verdict;
  /** For counting. */
  readonly outcome: Injection['outcome'] | 'ignored';
}

/** What `/inject` answers: only the creation of a pod is looked at. */
export async function reviewPod(
  request: AdmissionRequest,
  config: InjectionConfig,
  readNamespace: ReadNamespace,
): Promise<PodReview> {
  const isAboutPod = request.kind.group === '' && request.kind.kind === 'Pod';
  if (!isAboutPod || request.operation !== 'CREATE' || (request.subResource ?? '') !== '')
    return { verdict: { allowed: true }, outcome: 'ignored' };
  const pod: unknown = request.object;
  if (!isPod(pod))
    return { verdict: { allowed: false, code: 400, message: 'the object is not a pod' }, outcome: 'refused' };
  const injection = injectPod(pod, await namespaceOf(request, readNamespace), config);
  return { verdict: verdictOf(injection), outcome: injection.outcome };
}

/**
 * The API server asks only about pods that its selectors chose. If the namespace cannot be read now, that it asks is
 * enough: a pod is not to run outside the mesh for that.
 */
async function namespaceOf(request: AdmissionRequest, readNamespace: ReadNamespace): Promise<PodNamespace> {
  const name = request.namespace ?? '';
  const asked = { name, labels: { 'tulle.dev/inject': 'enabled' }, annotations: {} };
  return (await readNamespace(name)) ?? asked;
}

function verdictOf(injection: Injection): Verdict {
  if (injection.outcome === 'refused') return { allowed: false, code: 422, message: injection.reason };
  if (injection.outcome === 'skipped') return { allowed: true };
  return { allowed: true, patch: injection.patch, warnings: injection.warnings };
}
