import { parseAnnotations, parseFields, parseRouteFields } from '../../../protocol/annotations/parse.ts';
import { TRAFFIC_FIELDS } from '../../../protocol/traffic-policy.ts';
import type { FieldReader, Fields } from './good-fields.ts';

/** Annotations of a Service or a Namespace. */
export const ANNOTATIONS: FieldReader = {
  read: parseAnnotations,
  fieldOf: ({ field }) => field.slice('annotations.'.length),
};

/** The spec of a TrafficPolicy. */
export const POLICY_FIELDS: FieldReader = {
  read: (fields, base) => parseFields(fields, base, (field) => `spec.${field}`),
  fieldOf: ({ field }) => field.slice('spec.'.length),
};

/** The spec of a TrafficPolicy about a route or a Gateway; what it says is asked by `parseRouteFields`. */
export const ROUTE_POLICY_FIELDS: FieldReader = {
  read: (fields, base) => ({
    settings: base,
    problems: parseRouteFields(fields, (field) => `spec.${field}`).problems,
  }),
  fieldOf: POLICY_FIELDS.fieldOf,
};

/** The fields of a TrafficPolicy's spec that settle traffic. */
export function policyFields(spec: Readonly<Record<string, unknown>>): Fields {
  return Object.fromEntries(
    TRAFFIC_FIELDS.flatMap((field) => {
      const text = spec[field];
      return typeof text === 'string' ? [[field, text]] : [];
    }),
  );
}
