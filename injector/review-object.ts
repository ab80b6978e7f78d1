import { isDeepStrictEqual } from 'node:util';
import type * as z from 'zod';
import { accessPolicySchema } from '../protocol/access-policy.ts';
import { aggregateSchema } from '../protocol/aggregate.ts';
import { parseAnnotations, parseFields, parseRouteFields } from '../protocol/annotations/parse.ts';
import { DEFAULT_SETTINGS } from '../protocol/default-settings.ts';
import { parsePodAnnotations } from '../protocol/pod-annotations.ts';
import { formatProblem, type Problem, showValue } from '../protocol/problem.ts';
import { sectionProblem } from '../protocol/route-policy.ts';
import { schemaProblems } from '../protocol/schema-problems.ts';
import { type TrafficPolicy, trafficPolicySchema } from '../protocol/traffic-policy.ts';
import type { AdmissionObject, AdmissionRequest, Verdict } from './admission-review.ts';
import { INJECT_LABEL } from './meshed-pod.ts';
import { NEVER_INJECTED } from './skip-reason.ts';

const SCHEMAS: Readonly<Record<string, z.ZodObject>> = {
  TrafficPolicy: trafficPolicySchema,
  AccessPolicy: accessPolicySchema,
  Aggregate: aggregateSchema,
};

/**
 * What `/validate` answers. Annotations and labels are warned about, since a wrong value never breaks traffic; a
 * document of tulle.dev that says something which nobody would understand is denied.
 */
export function reviewObject(request: AdmissionRequest, systemNamespace: string): Verdict {
  const { kind, operation, object } = request;
  if (object == null || (operation !== 'CREATE' && operation !== 'UPDATE')) return { allowed: true };
  if (kind.group === 'tulle.dev') return reviewDocument(request, object);
  const annotations = object.metadata?.annotations ?? {};
  if (kind.group === '' && kind.kind === 'Service')
    return warned(parseAnnotations(annotations, DEFAULT_SETTINGS).problems);
  if (kind.group === '' && kind.kind === 'Namespace')
    return warned([
      ...parseAnnotations(annotations, DEFAULT_SETTINGS).problems,
      ...parsePodAnnotations(annotations).problems,
      ...labelProblems(object, [...NEVER_INJECTED, systemNamespace]),
    ]);
  return { allowed: true };
}

function warned(problems: readonly Problem[]): Verdict {
  return { allowed: true, warnings: problems.map(formatProblem) };
}

function labelProblems({ metadata }: AdmissionObject, never: readonly string[]): Problem[] {
  const label = metadata?.labels?.[INJECT_LABEL];
  if (label === undefined) return [];
  const at = { severity: 'warning' as const, field: `labels.${INJECT_LABEL}`, value: showValue(label) };
  if (label !== 'enabled' && label !== 'disabled')
    return [
      { ...at, message: 'is neither enabled nor disabled, and injects nothing', meant: 'write enabled' },
    ];
  return label === 'enabled' && never.includes(metadata?.name ?? '')
    ? [{ ...at, message: `has no effect here: namespace ${metadata?.name} is never injected`, meant: '' }]
    : [];
}

function reviewDocument(request: AdmissionRequest, object: AdmissionObject): Verdict {
  const schema = Object.hasOwn(SCHEMAS, request.kind.kind) ? SCHEMAS[request.kind.kind] : undefined;
  if (schema === undefined) return { allowed: true };
  const problems = documentProblems(schema, object, request.namespace ?? 'default');
  const errors = problems.filter(({ severity }) => severity === 'error');
  // Whoever takes a finalizer away from a document that was wrong before is not to be stopped.
  const isUnchanged =
    isDeepStrictEqual(object.spec, request.oldObject?.spec) && request.operation === 'UPDATE';
  return errors.length === 0 || isUnchanged
    ? warned(problems)
    : { allowed: false, code: 422, message: errors.map(formatProblem).join('\n') };
}

function documentProblems(schema: z.ZodObject, object: AdmissionObject, namespace: string): Problem[] {
  // The status is the control plane's.
  const { status: _status, ...rest } = object;
  const value = { ...rest, metadata: { ...object.metadata, namespace } };
  const read = schema.safeParse(value);
  if (!read.success)
    return schemaProblems(schema, read.error, value, [], { file: '', locate: () => undefined });
  if (schema !== (trafficPolicySchema as z.ZodObject)) return [];
  return trafficProblems(trafficPolicySchema.parse(value).spec);
}

/** What a policy may say depends on what it is about. */
function trafficProblems({ targetRef, ...fields }: TrafficPolicy['spec']): Problem[] {
  const path = (field: string) => `spec.${field}`;
  const { kind, sectionName } = targetRef;
  const { problems } =
    kind === 'Service' ? parseFields(fields, DEFAULT_SETTINGS, path) : parseRouteFields(fields, path);
  if (sectionName === undefined || kind === 'HTTPRoute' || kind === 'GRPCRoute') return problems;
  const at = {
    severity: 'error',
    field: 'spec.targetRef.sectionName',
    value: showValue(sectionName),
  } as const;
  return [{ ...at, ...sectionProblem(undefined) }, ...problems];
}
