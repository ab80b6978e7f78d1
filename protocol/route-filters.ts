import * as z from 'zod';
import { FIELD_VALUE, FRAMING, TOKEN } from './header-rules.ts';
import type { CorsPolicy, HeaderChanges, RouteMirror, RouteRule } from './route.ts';
import { backendKey, preciseHostnameSchema, referenceSchema } from './route-references.ts';
import { portSchema } from './service.ts';

/** CORSOrigin of the Gateway API. */
const ORIGIN = /^(\*|https?:\/\/((\*\.)?([a-z0-9-]+\.)*[a-z0-9-]+|\*)(:\d{1,5})?)$/i;

const anyHeaderName = z.string().regex(TOKEN, { error: 'is not a header name; write letters, digits and -' });
const headerName = anyHeaderName.refine((name) => !FRAMING.has(name.toLowerCase()), {
  error: 'frames or routes the message and cannot be changed by a route',
});
const headerValue = z
  .string()
  .max(8192)
  .regex(FIELD_VALUE, { error: 'is not a header value; it must not have line ends or control characters' });
const headerPair = z.strictObject({ name: headerName, value: headerValue });
const headerChanges = z.strictObject({
  set: z.array(headerPair).max(64).default([]),
  add: z.array(headerPair).max(64).default([]),
  remove: z.array(headerName).max(64).default([]),
});

/** May be empty, which is the root. */
const replacement = z
  .string()
  .regex(/^[\x21-\x7e]*$/, { error: 'is not a path; it must be visible ASCII without spaces' })
  .max(4096);
const urlPath = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ReplaceFullPath'), replaceFullPath: replacement }),
  z.strictObject({ type: z.literal('ReplacePrefixMatch'), replacePrefixMatch: replacement }),
]);

const requestHeaderModifier = z.strictObject({
  type: z.literal('RequestHeaderModifier'),
  requestHeaderModifier: headerChanges,
});
const responseHeaderModifier = z.strictObject({
  type: z.literal('ResponseHeaderModifier'),
  responseHeaderModifier: headerChanges,
});

const requestRedirect = z.strictObject({
  type: z.literal('RequestRedirect'),
  requestRedirect: z.strictObject({
    scheme: z.enum(['http', 'https']).optional(),
    hostname: preciseHostnameSchema.optional(),
    port: portSchema.optional(),
    path: urlPath.optional(),
    statusCode: z.literal([301, 302, 303, 307, 308]).optional(),
  }),
});

const urlRewrite = z.strictObject({
  type: z.literal('URLRewrite'),
  urlRewrite: z.strictObject({ hostname: preciseHostnameSchema.optional(), path: urlPath.optional() }),
});

const requestMirror = z.strictObject({
  type: z.literal('RequestMirror'),
  requestMirror: z
    .strictObject({
      backendRef: referenceSchema,
      percent: z.int().min(0).max(100).optional(),
      fraction: z
        .strictObject({ numerator: z.int().min(0), denominator: z.int().min(1).default(100) })
        .refine(({ numerator, denominator }) => numerator <= denominator, {
          path: ['numerator'],
          error: 'is more than the denominator; at most every request is copied, once',
        })
        .optional(),
    })
    .refine(({ percent, fraction }) => percent === undefined || fraction === undefined, {
      path: ['fraction'],
      error: 'is given beside percent; write one of them',
    }),
});

const starAlone = (list: readonly string[]): boolean => !list.includes('*') || list.length === 1;
const STAR_ALONE = { error: 'has * beside others; write * alone' };

const cors = z.strictObject({
  type: z.literal('CORS'),
  cors: z.strictObject({
    allowOrigins: z
      .array(
        z.string().max(253).regex(ORIGIN, {
          error: 'is not an origin; write it like https://www.example.com, https://*.example.com or *',
        }),
      )
      .max(64)
      .refine(starAlone, STAR_ALONE)
      .default([]),
    allowCredentials: z.boolean().default(false),
    allowMethods: z
      .array(z.string().regex(TOKEN, { error: 'is not a method; write it like GET' }))
      .max(9)
      .refine(starAlone, STAR_ALONE)
      .default([]),
    allowHeaders: z.array(anyHeaderName).max(64).refine(starAlone, STAR_ALONE).default([]),
    exposeHeaders: z.array(anyHeaderName).max(64).default([]),
    maxAge: z.int().min(1).default(5),
  }),
});

/** A filter that the Gateway API knows and that is not served where it stands. */
function unserved<T extends string>(type: T, error: string) {
  return z.looseObject({ type: z.literal(type) }).refine(() => false, { path: ['type'], error });
}

const extensionRef = unserved(
  'ExtensionRef',
  'is not served; Tulle has no filters of its own, remove it or use another type',
);
const ON_RULES = 'is not served in backendRefs; write it among the filters of the rule';

/** Each but RequestMirror may stand once (Gateway API). */
function filtersOf<T extends z.ZodType<{ type: string }>>(filter: T) {
  return z
    .array(filter)
    .max(16)
    .refine((list) => repeated(list) === undefined, {
      error: ({ input }) => `has ${repeated(input as { type: string }[])} twice; write it once`,
    })
    .refine((list) => !(has(list, 'RequestRedirect') && has(list, 'URLRewrite')), {
      error: 'has RequestRedirect and URLRewrite; write one of them',
    })
    .default([]);
}

function has(list: readonly { type: string }[], type: string): boolean {
  return list.some((one) => one.type === type);
}

function repeated(list: readonly { type: string }[]): string | undefined {
  const types = list.map(({ type }) => type).filter((type) => type !== 'RequestMirror');
  return types.find((type, index) => types.indexOf(type) !== index);
}

/** Filters of a rule of an HTTPRoute. */
export const httpFiltersSchema = filtersOf(
  z.discriminatedUnion('type', [
    requestHeaderModifier,
    responseHeaderModifier,
    requestRedirect,
    urlRewrite,
    requestMirror,
    cors,
    extensionRef,
  ]),
);

/** Filters of a rule of a GRPCRoute. */
export const grpcFiltersSchema = filtersOf(
  z.discriminatedUnion('type', [requestHeaderModifier, responseHeaderModifier, requestMirror, extensionRef]),
);

/** Filters of one backend: they act once it is chosen. */
export const backendFiltersSchema = filtersOf(
  z.discriminatedUnion('type', [
    requestHeaderModifier,
    responseHeaderModifier,
    unserved('RequestRedirect', ON_RULES),
    unserved('URLRewrite', ON_RULES),
    unserved('RequestMirror', ON_RULES),
    unserved('CORS', ON_RULES),
    extensionRef,
  ]),
);

type Filter = z.infer<typeof httpFiltersSchema>[number];
type BackendFilter = z.infer<typeof backendFiltersSchema>[number];
type Changed = Pick<
  RouteRule,
  'requestHeaders' | 'responseHeaders' | 'redirect' | 'rewrite' | 'mirrors' | 'cors'
>;

/** The normal form of a rule's filters. `namespace`: of the route. */
export function normalFilters(filters: readonly Filter[], namespace: string): Changed {
  const mirrors = filters.flatMap((one) =>
    one.type === 'RequestMirror' ? normalMirror(one.requestMirror, namespace) : [],
  );
  let result: Changed = mirrors.length === 0 ? {} : { mirrors };
  for (const one of filters) result = { ...result, ...normalFilter(one) };
  return result;
}

/** The normal form of a backend's filters. */
export function normalBackendFilters(
  filters: readonly BackendFilter[],
): Pick<RouteRule, 'requestHeaders' | 'responseHeaders'> {
  let result = {};
  for (const one of filters)
    if (one.type === 'RequestHeaderModifier' || one.type === 'ResponseHeaderModifier')
      result = { ...result, ...normalFilter(one as Filter) }; // the two have the same shape in rules
  return result;
}

function normalFilter(one: Filter): Changed {
  switch (one.type) {
    case 'RequestHeaderModifier':
      return { requestHeaders: changes(one.requestHeaderModifier) };
    case 'ResponseHeaderModifier':
      return { responseHeaders: changes(one.responseHeaderModifier) };
    case 'RequestRedirect': {
      const { scheme, hostname, port, path, statusCode } = one.requestRedirect;
      return {
        redirect: {
          ...(scheme !== undefined && { scheme }),
          ...(hostname !== undefined && { hostname }),
          ...(port !== undefined && { port }),
          ...normalPath(path),
          ...(statusCode !== undefined && { status: statusCode }),
        },
      };
    }
    case 'URLRewrite': {
      const { hostname, path } = one.urlRewrite;
      return { rewrite: { ...(hostname !== undefined && { hostname }), ...normalPath(path) } };
    }
    case 'CORS':
      return { cors: one.cors satisfies CorsPolicy };
    default:
      return {}; // mirrors are gathered; ExtensionRef is refused by the schema
  }
}

function normalPath(to: z.infer<typeof urlPath> | undefined): { path?: string; prefix?: string } {
  if (to === undefined) return {};
  return to.type === 'ReplaceFullPath'
    ? { path: rooted(to.replaceFullPath) }
    : { prefix: rooted(to.replacePrefixMatch) };
}

function rooted(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}

function normalMirror(
  { backendRef, percent, fraction }: z.infer<typeof requestMirror>['requestMirror'],
  namespace: string,
): RouteMirror {
  const share = percent === undefined ? fraction && fraction.numerator / fraction.denominator : percent / 100;
  return { service: backendKey(backendRef, namespace), share: share ?? 1 };
}

function changes(from: z.infer<typeof headerChanges>): HeaderChanges {
  const pairs = (list: readonly { name: string; value: string }[]) =>
    list.map(({ name, value }) => [name, value] as const);
  return { set: pairs(from.set), add: pairs(from.add), remove: from.remove };
}
