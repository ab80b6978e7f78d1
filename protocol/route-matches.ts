import * as z from 'zod';
import { TOKEN } from './header-rules.ts';
import { isLinear, wholeExpression } from './linear-expression.ts';
import type { RouteMatch, ValueMatch } from './route.ts';

const VISIBLE = /^[\x21-\x7e]*$/;
const NO_PATH = 'is not a path; it must be visible ASCII without spaces';
const NO_EXPRESSION = 'is not a regular expression; write one as in JavaScript, without slashes around it';

const NOT_LINEAR =
  'cannot be matched in linear time; write it without lookaheads, backreferences and counts above 16';

function compiles(expression: string): boolean {
  return wholeExpression(expression) !== undefined;
}

/** Who sends requests must not be able to stop whoever matches them. */
function isHarmless(expression: string): boolean {
  return !compiles(expression) || isLinear(expression);
}

/** One that does not compile would silently match nothing. */
function compilesIfExpression({ type, value }: { type: string; value: string }): boolean {
  return type !== 'RegularExpression' || compiles(value);
}

function isHarmlessIfExpression({ type, value }: { type: string; value: string }): boolean {
  return type !== 'RegularExpression' || isHarmless(value);
}

const valueMatch = z
  .strictObject({
    name: z.string().regex(TOKEN, { error: 'is not a name; write letters, digits and -' }),
    type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
    value: z.string().max(4096),
  })
  .refine(compilesIfExpression, { path: ['value'], error: NO_EXPRESSION })
  .refine(isHarmlessIfExpression, { path: ['value'], error: NOT_LINEAR });

export const httpMatchSchema = z.strictObject({
  path: z
    .strictObject({
      type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).default('PathPrefix'),
      value: z.string().regex(VISIBLE, { error: NO_PATH }).max(4096).default('/'),
    })
    .refine(({ type, value }) => type === 'RegularExpression' || value.startsWith('/'), {
      path: ['value'],
      error: 'is not a path; write one that begins with /',
    })
    .refine(compilesIfExpression, { path: ['value'], error: NO_EXPRESSION })
    .refine(isHarmlessIfExpression, { path: ['value'], error: NOT_LINEAR })
    .optional(),
  headers: z.array(valueMatch).max(16).default([]),
  queryParams: z.array(valueMatch).max(16).default([]),
  method: z.string().regex(TOKEN, { error: 'is not a method; write it like GET' }).optional(),
});

const GRPC_SERVICE = /^\.?[a-z_]\w*(\.[a-z_]\w*)*$/i;
const GRPC_METHOD = /^[a-z_]\w*$/i;

const grpcMethod = z
  .strictObject({
    type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
    service: z.string().max(1024).optional(),
    method: z.string().max(1024).optional(),
  })
  .refine(({ service, method }) => service !== undefined || method !== undefined, {
    error: 'says nothing; write a service, a method or both',
  })
  .refine(({ type, service = '' }) => type === 'Exact' || compiles(service), {
    path: ['service'],
    error: NO_EXPRESSION,
  })
  .refine(({ type, service = '' }) => type === 'Exact' || isHarmless(service), {
    path: ['service'],
    error: NOT_LINEAR,
  })
  .refine(({ type, method = '' }) => type === 'Exact' || compiles(method), {
    path: ['method'],
    error: NO_EXPRESSION,
  })
  .refine(({ type, method = '' }) => type === 'Exact' || isHarmless(method), {
    path: ['method'],
    error: NOT_LINEAR,
  })
  .refine(({ type, service }) => type !== 'Exact' || service === undefined || GRPC_SERVICE.test(service), {
    path: ['service'],
    error: 'is not a gRPC service; write it like shop.Orders',
  })
  .refine(({ type, method }) => type !== 'Exact' || method === undefined || GRPC_METHOD.test(method), {
    path: ['method'],
    error: 'is not a gRPC method; write it like GetOrder',
  });

export const grpcMatchSchema = z.strictObject({
  method: grpcMethod.optional(),
  headers: z.array(valueMatch).max(16).default([]),
});

type HttpMatch = z.infer<typeof httpMatchSchema>;
type GrpcMatch = z.infer<typeof grpcMatchSchema>;

/** The normal form of a match of an HTTPRoute or a GRPCRoute. */
export function normalMatch(match: HttpMatch | GrpcMatch): RouteMatch {
  const headers = firstOfEach(match.headers.map((one) => ({ ...one, name: one.name.toLowerCase() })));
  if ('queryParams' in match) {
    return {
      headers,
      query: firstOfEach(match.queryParams),
      ...(match.path !== undefined && { path: match.path }),
      ...(match.method !== undefined && { method: match.method }),
    };
  }
  return { headers, query: [], ...(match.method !== undefined && grpcPath(match.method)), method: 'POST' };
}

/** Of several with one name only the first counts (HTTPHeaderMatch of the Gateway API). */
function firstOfEach(matches: readonly ValueMatch[]): ValueMatch[] {
  return matches.filter(({ name }, index) => matches.findIndex((one) => one.name === name) === index);
}

/** Calls are to `/service/method` (PROTOCOL-HTTP2.md). */
function grpcPath({ type, service, method }: z.infer<typeof grpcMethod>): Pick<RouteMatch, 'path'> {
  if (type === 'RegularExpression') {
    const part = (expression = '[^/]+'): string => `(?:${expression})`;
    return { path: { type: 'RegularExpression', value: `/${part(service)}/${part(method)}` } };
  }
  if (service === undefined)
    return method === undefined ? {} : { path: { type: 'GrpcMethod', value: method } };
  if (method === undefined) return { path: { type: 'PathPrefix', value: `/${service}` } };
  return { path: { type: 'Exact', value: `/${service}/${method}` } };
}
