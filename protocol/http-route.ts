import * as z from 'zod';
import { parseGatewayDuration } from './gateway-duration.ts';
import { objectMetadataSchema } from './metadata.ts';
import type { Route, RouteBackend, RouteRetry, RouteRule } from './route.ts';
import {
  backendFiltersSchema,
  grpcFiltersSchema,
  httpFiltersSchema,
  normalBackendFilters,
  normalFilters,
} from './route-filters.ts';
import { grpcMatchSchema, httpMatchSchema, normalMatch } from './route-matches.ts';
import {
  apiVersionSchema,
  backendRefSchema,
  backendsOf,
  hostnameSchema,
  parentRefSchema,
  parentsOf,
} from './route-references.ts';

const duration = z.string().refine((text) => parseGatewayDuration(text) !== undefined, {
  error: 'is not a duration; write it like 150ms or 2s, or 0s for none',
});

const timeouts = z.strictObject({ request: duration.optional(), backendRequest: duration.optional() }).refine(
  ({ request, backendRequest }) => {
    const whole = parseGatewayDuration(request ?? '') ?? 0;
    return whole === 0 || (parseGatewayDuration(backendRequest ?? '') ?? 0) <= whole;
  },
  { path: ['backendRequest'], error: 'is longer than request; an attempt is part of the request' },
);

const retry = z.strictObject({
  attempts: z.int().min(1).max(100).optional(),
  codes: z.array(z.int().min(400).max(599)).max(64).default([]),
  backoff: duration.optional(),
});

const httpBackendRef = backendRefSchema.extend({ filters: backendFiltersSchema });

/** Experimental in the Gateway API. */
const sessionPersistence = z
  .never({ error: 'is not served; it is experimental in the Gateway API, remove it' })
  .optional();

const httpRule = z
  .strictObject({
    name: z.string().optional(),
    matches: z.array(httpMatchSchema).max(64).default([]),
    filters: httpFiltersSchema,
    backendRefs: z.array(httpBackendRef).max(16).default([]),
    timeouts: timeouts.optional(),
    retry: retry.optional(),
    sessionPersistence,
  })
  .refine(
    ({ filters, backendRefs }) =>
      backendRefs.length === 0 || !filters.some(({ type }) => type === 'RequestRedirect'),
    { path: ['backendRefs'], error: 'is never used; the rule answers with a redirect, remove one of them' },
  )
  .refine(({ filters, matches }) => !replacesPrefix(filters) || matches.every(hasPrefix), {
    path: ['matches'],
    error: 'has a path that is no PathPrefix; ReplacePrefixMatch replaces the prefix that matched',
  });

function replacesPrefix(filters: z.infer<typeof httpFiltersSchema>): boolean {
  return filters.some((one) => {
    if (one.type === 'RequestRedirect') return one.requestRedirect.path?.type === 'ReplacePrefixMatch';
    return one.type === 'URLRewrite' && one.urlRewrite.path?.type === 'ReplacePrefixMatch';
  });
}

function hasPrefix({ path }: z.infer<typeof httpMatchSchema>): boolean {
  return path === undefined || path.type === 'PathPrefix';
}

/** Gateway API HTTPRoute, as far as it is served. */
export const httpRouteSchema = z.strictObject({
  apiVersion: apiVersionSchema,
  kind: z.literal('HTTPRoute'),
  metadata: objectMetadataSchema,
  spec: z.strictObject({
    parentRefs: z.array(parentRefSchema).min(1).max(32),
    hostnames: z.array(hostnameSchema).max(16).default([]),
    rules: z.array(httpRule).min(1).max(64),
  }),
});

export type HttpRoute = z.infer<typeof httpRouteSchema>;

const grpcRule = z.strictObject({
  name: z.string().optional(),
  matches: z.array(grpcMatchSchema).max(64).default([]),
  filters: grpcFiltersSchema,
  backendRefs: z.array(httpBackendRef).max(16).default([]),
  sessionPersistence,
});

/** Gateway API GRPCRoute: services and methods are paths (gRPC over HTTP/2). */
export const grpcRouteSchema = z.strictObject({
  apiVersion: apiVersionSchema,
  kind: z.literal('GRPCRoute'),
  metadata: objectMetadataSchema,
  spec: z.strictObject({
    parentRefs: z.array(parentRefSchema).min(1).max(32),
    hostnames: z.array(hostnameSchema).max(16).default([]),
    rules: z.array(grpcRule).max(64).default([]),
  }),
});

export type GrpcRoute = z.infer<typeof grpcRouteSchema>;

type Rule = HttpRoute['spec']['rules'][number] | GrpcRoute['spec']['rules'][number];

/** The normal form of a route document. */
export function normalRoute(document: HttpRoute | GrpcRoute): Route {
  const { metadata, spec, kind } = document;
  const { namespace } = metadata;
  return {
    name: `${namespace}/${metadata.name}`,
    kind,
    parents: parentsOf(spec.parentRefs, namespace),
    hostnames: spec.hostnames.map((name) => name.toLowerCase()),
    rules: spec.rules.map((rule) => normalRule(rule, namespace)),
  };
}

function normalRule(rule: Rule, namespace: string): RouteRule {
  return {
    ...(rule.name !== undefined && { name: rule.name }),
    matches: rule.matches.map(normalMatch),
    backends: normalBackends(rule.backendRefs, namespace),
    ...normalFilters(rule.filters, namespace),
    ...('timeouts' in rule && normalTimeouts(rule.timeouts)),
    ...('retry' in rule && rule.retry !== undefined && { retry: normalRetry(rule.retry) }),
  };
}

function normalBackends(refs: readonly z.infer<typeof httpBackendRef>[], namespace: string): RouteBackend[] {
  return backendsOf(refs, namespace).map((backend, index) => ({
    ...backend,
    ...normalBackendFilters(refs[index]?.filters ?? []),
  }));
}

function normalTimeouts(given: z.infer<typeof timeouts> | undefined): Partial<RouteRule> {
  const timeoutMs = parseGatewayDuration(given?.request ?? '');
  const tryTimeoutMs = parseGatewayDuration(given?.backendRequest ?? '');
  return {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(tryTimeoutMs !== undefined && { tryTimeoutMs }),
  };
}

function normalRetry({ attempts, codes, backoff }: z.infer<typeof retry>): RouteRetry {
  const backoffMs = parseGatewayDuration(backoff ?? '');
  return {
    ...(attempts !== undefined && { attempts }),
    codes,
    ...(backoffMs !== undefined && { backoffMs }),
  };
}
