import * as z from 'zod';
import { parseDuration } from './duration.ts';
import { metadataSchema } from './metadata.ts';
import type { HeaderChanges, Route, RouteMatch, RouteRule } from './route.ts';
import {
  apiVersionSchema,
  backendRefSchema,
  backendsOf,
  hostnameSchema,
  parentRefSchema,
  parentsOf,
} from './route-references.ts';
import { portSchema } from './service.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;
/** A header value that ends no line. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Hop-by-hop and framing fields are the engine's, not a policy's. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'host',
]);

const headerName = z
  .string()
  .regex(TOKEN, { error: 'is not a header name; write letters, digits and -' })
  .refine((name) => !FRAMING.has(name.toLowerCase()), {
    error: 'frames or routes the message and cannot be changed by a route',
  });
const headerValue = z
  .string()
  .max(8192)
  .regex(FIELD_VALUE, { error: 'is not a header value; it must not have line ends or control characters' });
const headerPair = z.strictObject({ name: headerName, value: headerValue });
const path = z
  .string()
  .startsWith('/', { error: 'is not a path; write one that begins with /' })
  .regex(/^[\x21-\x7e]*$/, { error: 'is not a path; it must be visible ASCII without spaces' })
  .max(4096);

const headerChanges = z.strictObject({
  set: z.array(headerPair).max(64).default([]),
  add: z.array(headerPair).max(64).default([]),
  remove: z.array(headerName).max(64).default([]),
});

/** One that does not compile would silently match nothing. */
function compiles({ type, value }: { type: string; value: string }): boolean {
  if (type !== 'RegularExpression') return true;
  try {
    return new RegExp(value) instanceof RegExp;
  } catch {
    return false;
  }
}

const NO_EXPRESSION = {
  path: ['value'],
  error: 'is not a regular expression; write one as in JavaScript, without slashes around it',
};

const valueMatch = z
  .strictObject({
    name: z.string().regex(TOKEN, { error: 'is not a name; write letters, digits and -' }),
    type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
    value: z.string().max(4096),
  })
  .refine(compiles, NO_EXPRESSION);

const routeMatch = z.strictObject({
  path: z
    .strictObject({
      type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).default('PathPrefix'),
      value: path.default('/'),
    })
    .refine(compiles, NO_EXPRESSION)
    .optional(),
  headers: z.array(valueMatch).max(16).default([]),
  queryParams: z.array(valueMatch).max(16).default([]),
  method: z.string().regex(TOKEN, { error: 'is not a method; write it like GET' }).optional(),
});

const duration = z.string().refine((text) => parseDuration(text) !== undefined, {
  error: 'is not a duration; write it like 150ms or 2s',
});

const urlPath = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ReplaceFullPath'), replaceFullPath: path }),
  z.strictObject({ type: z.literal('ReplacePrefixMatch'), replacePrefixMatch: path }),
]);

const filter = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('RequestHeaderModifier'), requestHeaderModifier: headerChanges }),
  z.strictObject({ type: z.literal('ResponseHeaderModifier'), responseHeaderModifier: headerChanges }),
  z.strictObject({
    type: z.literal('RequestRedirect'),
    requestRedirect: z.strictObject({
      scheme: z.enum(['http', 'https']).optional(),
      hostname: hostnameSchema.optional(),
      port: portSchema.optional(),
      path: z.strictObject({ type: z.literal('ReplaceFullPath'), replaceFullPath: path }).optional(),
      statusCode: z.literal([301, 302, 303, 307, 308]).optional(),
    }),
  }),
  z.strictObject({
    type: z.literal('URLRewrite'),
    urlRewrite: z.strictObject({ hostname: hostnameSchema.optional(), path: urlPath.optional() }),
  }),
]);

/** Gateway API HTTPRoute, as far as it is served. */
export const httpRouteSchema = z.strictObject({
  apiVersion: apiVersionSchema,
  kind: z.literal('HTTPRoute'),
  metadata: metadataSchema,
  spec: z.strictObject({
    parentRefs: z.array(parentRefSchema).min(1).max(32),
    hostnames: z.array(hostnameSchema).max(16).default([]),
    rules: z
      .array(
        z.strictObject({
          name: z.string().optional(),
          matches: z.array(routeMatch).max(64).default([]),
          filters: z.array(filter).max(16).default([]),
          backendRefs: z.array(backendRefSchema).max(16).default([]),
          timeouts: z
            .strictObject({ request: duration.optional(), backendRequest: duration.optional() })
            .optional(),
        }),
      )
      .min(1)
      .max(64),
  }),
});

export type HttpRoute = z.infer<typeof httpRouteSchema>;

const grpcService = z
  .string()
  .max(1024)
  .regex(/^\.?[a-z_]\w*(\.[a-z_]\w*)*$/i, { error: 'is not a gRPC service; write it like shop.Orders' });
const grpcMethod = z
  .string()
  .max(1024)
  .regex(/^[a-z_]\w*$/i, { error: 'is not a gRPC method; write it like GetOrder' });

const grpcMatch = z.strictObject({
  method: z
    .strictObject({
      type: z.literal('Exact').default('Exact'),
      service: grpcService.optional(),
      method: grpcMethod.optional(),
    })
    .refine(({ service, method }) => service !== undefined || method !== undefined, {
      error: 'says nothing; write a service, a method or both',
    })
    .optional(),
  headers: z.array(valueMatch).max(16).default([]),
});

/** Gateway API GRPCRoute: services and methods are paths (gRPC over HTTP/2). */
export const grpcRouteSchema = z.strictObject({
  apiVersion: apiVersionSchema,
  kind: z.literal('GRPCRoute'),
  metadata: metadataSchema,
  spec: z.strictObject({
    parentRefs: z.array(parentRefSchema).min(1).max(32),
    hostnames: z.array(hostnameSchema).max(16).default([]),
    rules: z
      .array(
        z.strictObject({
          name: z.string().optional(),
          matches: z.array(grpcMatch).max(64).default([]),
          filters: z.array(filter).max(16).default([]),
          backendRefs: z.array(backendRefSchema).max(16).default([]),
        }),
      )
      .min(1)
      .max(64),
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
  const timeouts = 'timeouts' in rule ? rule.timeouts : undefined;
  const timeoutMs = parseDuration(timeouts?.request ?? '');
  const tryTimeoutMs = parseDuration(timeouts?.backendRequest ?? '');
  return {
    matches: rule.matches.map(normalMatch),
    backends: backendsOf(rule.backendRefs, namespace),
    ...normalFilters(rule.filters),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(tryTimeoutMs !== undefined && { tryTimeoutMs }),
  };
}

function normalMatch(match: Rule['matches'][number]): RouteMatch {
  const headers = match.headers.map((header) => ({ ...header, name: header.name.toLowerCase() }));
  if ('queryParams' in match) {
    return {
      headers,
      query: match.queryParams,
      ...(match.path !== undefined && { path: match.path }),
      ...(match.method !== undefined && { method: match.method }),
    };
  }
  return { headers, query: [], ...grpcPath(match.method), method: 'POST' };
}

/** Calls are to `/service/method` (PROTOCOL-HTTP2.md). */
function grpcPath(
  method: { service?: string | undefined; method?: string | undefined } | undefined,
): Pick<RouteMatch, 'path'> {
  const { service, method: name } = method ?? {};
  if (service !== undefined && name !== undefined)
    return { path: { type: 'Exact', value: `/${service}/${name}` } };
  if (service !== undefined) return { path: { type: 'PathPrefix', value: `/${service}` } };
  return name === undefined ? {} : { path: { type: 'GrpcMethod', value: name } };
}

type Filter = Rule['filters'][number];

function normalFilters(filters: readonly Filter[]): Partial<RouteRule> {
  let result: Partial<RouteRule> = {};
  for (const one of filters) result = { ...result, ...normalFilter(one) };
  return result;
}

function normalFilter(one: Filter): Partial<RouteRule> {
  switch (one.type) {
    case 'RequestHeaderModifier':
      return { requestHeaders: changes(one.requestHeaderModifier) };
    case 'ResponseHeaderModifier':
      return { responseHeaders: changes(one.responseHeaderModifier) };
    case 'RequestRedirect': {
      const { scheme, hostname: host, port, path: to, statusCode } = one.requestRedirect;
      return {
        redirect: {
          ...(scheme !== undefined && { scheme }),
          ...(host !== undefined && { hostname: host }),
          ...(port !== undefined && { port }),
          ...(to !== undefined && { path: to.replaceFullPath }),
          ...(statusCode !== undefined && { status: statusCode }),
        },
      };
    }
    case 'URLRewrite': {
      const { hostname: host, path: to } = one.urlRewrite;
      return {
        rewrite: {
          ...(host !== undefined && { hostname: host }),
          ...(to?.type === 'ReplaceFullPath' && { path: to.replaceFullPath }),
          ...(to?.type === 'ReplacePrefixMatch' && { prefix: to.replacePrefixMatch }),
        },
      };
    }
  }
}

function changes(from: z.infer<typeof headerChanges>): HeaderChanges {
  const pairs = (list: readonly { name: string; value: string }[]) =>
    list.map(({ name, value }) => [name, value] as const);
  return { set: pairs(from.set), add: pairs(from.add), remove: from.remove };
}
