import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grpcRouteSchema, httpRouteSchema, normalRoute } from './http-route.ts';

const API = 'gateway.networking.k8s.io/v1';
const PARENTS = [{ kind: 'Service', name: 'orders' }];

function http(rule: object, spec: object = {}) {
  return {
    apiVersion: API,
    kind: 'HTTPRoute',
    metadata: { name: 'r', namespace: 'shop' },
    spec: { parentRefs: PARENTS, rules: [rule], ...spec },
  };
}

function grpc(rule: object) {
  return { ...http(rule), kind: 'GRPCRoute' };
}

const httpRule = (rule: object) => normalRoute(httpRouteSchema.parse(http(rule))).rules[0];
const grpcMatch = (match: object) =>
  normalRoute(grpcRouteSchema.parse(grpc({ matches: [match] }))).rules[0]?.matches[0];

/** The messages that a rule is refused with. */
function refused(rule: object, spec: object = {}): string[] {
  const { error } = httpRouteSchema.safeParse(http(rule, spec));
  assert.ok(error, `taken: ${JSON.stringify(rule).slice(0, 200)}`);
  return error.issues.map(({ message }) => message);
}

const modifier = (type: 'RequestHeaderModifier' | 'ResponseHeaderModifier', changes: object) => ({
  filters: [{ type, [`${type[0]?.toLowerCase()}${type.slice(1)}`]: changes }],
});
const headerValue = (value: unknown) => modifier('RequestHeaderModifier', { set: [{ name: 'x', value }] });
const pathMatch = (value: string, type = 'Exact') => ({ matches: [{ path: { type, value } }] });

test('a route gets its namespace into its name, its parents and its backends', () => {
  const route = normalRoute(
    httpRouteSchema.parse(
      http(
        { backendRefs: [{ name: 'orders' }, { name: 'users', namespace: 'people', weight: 0 }] },
        {
          parentRefs: [{ name: 'edge' }, { kind: 'Service', name: 'orders', namespace: 'other', port: 80 }],
          hostnames: ['Shop.Example.Test', '*.example.test'],
        },
      ),
    ),
  );
  assert.deepEqual(route, {
    name: 'shop/r',
    kind: 'HTTPRoute',
    parents: [
      { kind: 'Gateway', key: 'shop/edge' },
      { kind: 'Service', key: 'other/orders', port: 80 },
    ],
    hostnames: ['shop.example.test', '*.example.test'],
    rules: [
      {
        matches: [],
        backends: [
          { service: 'shop/orders', weight: 1 },
          { service: 'people/users', weight: 0 },
        ],
      },
    ],
  });
});

test('matches: a path is a prefix unless told, header names are lower case, query names are not', () => {
  const rule = httpRule({
    matches: [
      {
        path: { value: '/a' },
        headers: [{ name: 'X-Canary', value: 'Yes' }],
        queryParams: [{ name: 'Q', type: 'RegularExpression', value: '[0-9]+' }],
        method: 'GET',
      },
      {},
    ],
  });
  assert.deepEqual(rule?.matches, [
    {
      path: { type: 'PathPrefix', value: '/a' },
      headers: [{ name: 'x-canary', type: 'Exact', value: 'Yes' }],
      query: [{ name: 'Q', type: 'RegularExpression', value: '[0-9]+' }],
      method: 'GET',
    },
    { headers: [], query: [] },
  ]);
});

test('filters and timeouts', () => {
  const rule = httpRule({
    filters: [
      {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: {
          set: [{ name: 'X-A', value: '1' }],
          add: [{ name: 'b', value: '' }],
          remove: ['c'],
        },
      },
      { type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['server'] } },
      {
        type: 'URLRewrite',
        urlRewrite: { hostname: 'h', path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/p' } },
      },
    ],
    timeouts: { request: '2s', backendRequest: '150ms' },
  });
  assert.deepEqual(rule, {
    matches: [],
    backends: [],
    requestHeaders: { set: [['X-A', '1']], add: [['b', '']], remove: ['c'] },
    responseHeaders: { set: [], add: [], remove: ['server'] },
    rewrite: { hostname: 'h', prefix: '/p' },
    timeoutMs: 2000,
    tryTimeoutMs: 150,
  });
});

test('a rewrite of the whole path, and a redirect', () => {
  const full = { path: { type: 'ReplaceFullPath', replaceFullPath: '/all' } };
  assert.deepEqual(httpRule({ filters: [{ type: 'URLRewrite', urlRewrite: full }] })?.rewrite, {
    path: '/all',
  });
  const requestRedirect = { scheme: 'https', hostname: 'h', port: 8443, statusCode: 308, ...full };
  assert.deepEqual(httpRule({ filters: [{ type: 'RequestRedirect', requestRedirect }] })?.redirect, {
    scheme: 'https',
    hostname: 'h',
    port: 8443,
    path: '/all',
    status: 308,
  });
  assert.deepEqual(httpRule({ filters: [{ type: 'RequestRedirect', requestRedirect: {} }] })?.redirect, {});
});

test('gRPC services and methods are paths, its requests are POST', () => {
  const rest = { headers: [], query: [], method: 'POST' };
  assert.deepEqual(grpcMatch({ method: { service: 'shop.Orders', method: 'Get' } }), {
    ...rest,
    path: { type: 'Exact', value: '/shop.Orders/Get' },
  });
  assert.deepEqual(grpcMatch({ method: { service: 'shop.Orders' } }), {
    ...rest,
    path: { type: 'PathPrefix', value: '/shop.Orders' },
  });
  assert.deepEqual(grpcMatch({ method: { method: 'Get' } }), {
    ...rest,
    path: { type: 'GrpcMethod', value: 'Get' },
  });
  assert.deepEqual(grpcMatch({ headers: [{ name: 'X-A', value: '1' }] }), {
    ...rest,
    headers: [{ name: 'x-a', type: 'Exact', value: '1' }],
  });
});

test('a gRPC service or method that is none is refused, and a match that names neither', () => {
  const refusals = (method: object) =>
    grpcRouteSchema
      .safeParse(grpc({ matches: [{ method }] }))
      .error?.issues.map(({ path, message }) => `${path.slice(5).join('.')} ${message}`);
  for (const name of ['', 'a.*|(b)+$', 'a/b', 'a b', 'é', '1a'])
    assert.deepEqual(refusals({ method: name }), [
      'method.method is not a gRPC method; write it like GetOrder',
    ]);
  for (const name of ['', '/shop.Orders', 'shop..Orders', 'shop.', 'a/b', '..a'])
    assert.deepEqual(refusals({ service: name }), [
      'method.service is not a gRPC service; write it like shop.Orders',
    ]);
  assert.deepEqual(refusals({}), ['method says nothing; write a service, a method or both']);
  assert.equal(refusals({ service: '.a._b.C9', method: '_Get' }), undefined);
});

test('a path with a line break in a header value of a route is refused', () => {
  for (const value of ['/a\r\nx-evil: 1', '/a\n', '/a\r', '/a\0', '/a\u007f', '/a\u0100']) {
    assert.deepEqual(refused(headerValue(value)), [
      'is not a header value; it must not have line ends or control characters',
    ]);
  }
  assert.ok(httpRule(headerValue('a\tb \u00ff')));
  assert.equal(refused(headerValue('x'.repeat(8193))).length, 1);
});

test('a header name with a line break, a colon or a space in it is refused', () => {
  for (const name of ['x\r\ny', 'x:', 'x y', '', 'ä', 'x'.repeat(257)]) {
    const told = refused(modifier('ResponseHeaderModifier', { add: [{ name, value: '1' }] }));
    assert.deepEqual(told, ['is not a header name; write letters, digits and -'], JSON.stringify(name));
  }
});

test('a route that sets, adds or removes what frames or routes a message is refused, in any case', () => {
  const names = [
    'Host',
    'content-length',
    'Transfer-Encoding',
    'CONNECTION',
    'upgrade',
    'te',
    'trailer',
    'keep-alive',
  ];
  for (const name of names) {
    for (const changes of [
      { set: [{ name, value: '1' }] },
      { add: [{ name, value: '1' }] },
      { remove: [name] },
    ]) {
      assert.deepEqual(refused(modifier('RequestHeaderModifier', changes)), [
        'frames or routes the message and cannot be changed by a route',
      ]);
    }
  }
});

test('a path with a line break, a space or other bytes in it is refused, to match and to write', () => {
  for (const value of ['/a\r\nb', '/a b', '/ä', '/\0', '/a\n']) {
    const told = ['is not a path; it must be visible ASCII without spaces'];
    assert.deepEqual(refused(pathMatch(value)), told);
    const path = { type: 'ReplaceFullPath', replaceFullPath: value };
    assert.deepEqual(refused({ filters: [{ type: 'URLRewrite', urlRewrite: { path } }] }), told);
    assert.deepEqual(refused({ filters: [{ type: 'RequestRedirect', requestRedirect: { path } }] }), told);
  }
  for (const value of ['a', '', 'http://evil.test/']) {
    assert.deepEqual(refused(pathMatch(value)), ['is not a path; write one that begins with /']);
  }
  assert.equal(refused(pathMatch(`/${'x'.repeat(4096)}`)).length, 1);
});

test('a host name with a line break, a path or credentials in it is refused', () => {
  for (const hostname of ['h\r\nx: 1', 'h/path', 'u@h', 'h:80', '', '-h', 'h-', 'x'.repeat(254)]) {
    refused({ filters: [{ type: 'RequestRedirect', requestRedirect: { hostname } }] });
    refused({ filters: [{ type: 'URLRewrite', urlRewrite: { hostname } }] });
    refused({}, { hostnames: [hostname] });
  }
});

test('an expression that does not compile is refused: it would silently match nothing', () => {
  const told = ['is not a regular expression; write one as in JavaScript, without slashes around it'];
  assert.deepEqual(refused(pathMatch('/(', 'RegularExpression')), told);
  const value = { name: 'x', type: 'RegularExpression', value: '[' };
  assert.deepEqual(refused({ matches: [{ headers: [value] }] }), told);
  assert.deepEqual(refused({ matches: [{ queryParams: [value] }] }), told);
  assert.ok(httpRule({ matches: [{ headers: [{ ...value, type: 'Exact' }] }] }));
  assert.ok(httpRule(pathMatch('/(a|b)', 'RegularExpression')));
});

test('redirects have a status that redirects', () => {
  for (const statusCode of [200, 300, 304, 399, '301']) {
    refused({ filters: [{ type: 'RequestRedirect', requestRedirect: { statusCode } }] });
  }
  for (const statusCode of [301, 302, 303, 307, 308]) {
    const rule = httpRule({ filters: [{ type: 'RequestRedirect', requestRedirect: { statusCode } }] });
    assert.equal(rule?.redirect?.status, statusCode);
  }
});

test('what is not served is refused, not passed over', () => {
  refused({ filters: [{ type: 'RequestMirror', requestMirror: {} }] });
  refused({ filters: [{ type: 'URLRewrite' }] });
  refused({ backendRefs: [{ kind: 'ServiceImport', name: 'a' }] });
  refused({ matches: [{ cookies: [] }] });
  refused({ retry: {} });
  refused({ timeouts: { request: '0s' } });
  refused({ backendRefs: [{ name: 'a', weight: -1 }] });
  refused({}, { parentRefs: [] });
  refused({}, { parentRefs: [{ kind: 'Pod', name: 'a' }] });
  refused({}, { rules: [] });
  refused({ matches: Array.from({ length: 65 }, () => ({})) });
  assert.equal(httpRouteSchema.safeParse({ ...http({}), apiVersion: 'v1' }).success, false);
  assert.equal(grpcRouteSchema.safeParse(grpc({ timeouts: {} })).success, false);
  const regular = { type: 'RegularExpression', service: '.*' };
  assert.equal(grpcRouteSchema.safeParse(grpc({ matches: [{ method: regular }] })).success, false);
});
