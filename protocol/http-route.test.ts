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
  assert.ok(httpRule(pathMatch('.*/orders', 'RegularExpression')));
  assert.equal(refused(pathMatch(`/${'x'.repeat(4096)}`)).length, 1);
});

test('a host name with a line break, a path or credentials in it is refused', () => {
  for (const hostname of ['h\r\nx: 1', 'h/path', 'u@h', 'h:80', '', '-h', 'h-', 'x'.repeat(254)]) {
    refused({ filters: [{ type: 'RequestRedirect', requestRedirect: { hostname } }] });
    refused({ filters: [{ type: 'URLRewrite', urlRewrite: { hostname } }] });
    refused({}, { hostnames: [hostname] });
  }
});

test('a redirect or a rewrite to a wildcard is refused: no client and no server is called so', () => {
  for (const hostname of ['*', '*.example.test']) {
    refused({ filters: [{ type: 'RequestRedirect', requestRedirect: { hostname } }] });
    refused({ filters: [{ type: 'URLRewrite', urlRewrite: { hostname } }] });
  }
});

test('an expression that does not compile is refused: it would silently match nothing', () => {
  const told = ['is not a regular expression; write one as in JavaScript, without slashes around it'];
  const slow = [
    'cannot be matched in linear time; write it without lookaheads, backreferences and counts above 16',
  ];
  assert.deepEqual(refused(pathMatch('/(a{1,100}){1,100}b', 'RegularExpression')), slow);
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
  refused({ retry: { codes: [200] } });
  refused({ retry: { attempts: 0 } });
  refused({ timeouts: { request: '0' } });
  refused({ timeouts: { request: '1s', backendRequest: '2s' } });
  refused({ backendRefs: [{ name: 'a', weight: -1 }] });
  refused({}, { parentRefs: [] });
  refused({}, { parentRefs: [{ kind: 'Pod', name: 'a' }] });
  refused({}, { rules: [] });
  refused({ matches: Array.from({ length: 65 }, () => ({})) });
  assert.equal(httpRouteSchema.safeParse({ ...http({}), apiVersion: 'v1' }).success, false);
  assert.equal(grpcRouteSchema.safeParse(grpc({ timeouts: {} })).success, false);
});

const filters = (...list: object[]) => ({ filters: list });
const redirects = (path: object) => ({ type: 'RequestRedirect', requestRedirect: { path } });
const mirrors = (more: object = {}) => ({
  type: 'RequestMirror',
  requestMirror: { backendRef: { name: 'copy', port: 80 }, ...more },
});
const allows = (cors: object) => ({ type: 'CORS', cors });

test('what the Gateway API knows and Tulle does not serve is refused with what to do', () => {
  const extension = { type: 'ExtensionRef', extensionRef: { group: 'x.test', kind: 'X', name: 'x' } };
  const told = 'is not served; Tulle has no filters of its own, remove it or use another type';
  assert.deepEqual(refused(filters(extension)), [told]);
  assert.deepEqual(refused({ backendRefs: [{ name: 'a', ...filters(extension) }] }), [told]);
  assert.deepEqual(refused({ sessionPersistence: { type: 'Cookie' } }), [
    'is not served; it is experimental in the Gateway API, remove it',
  ]);
  for (const one of [redirects({}), mirrors(), allows({}), { type: 'URLRewrite', urlRewrite: {} }])
    assert.deepEqual(refused({ backendRefs: [{ name: 'a', ...filters(one) }] }), [
      'is not served in backendRefs; write it among the filters of the rule',
    ]);
});

test('filters stand once, but for mirrors, and a redirect alone', () => {
  const modifies = { type: 'RequestHeaderModifier', requestHeaderModifier: {} };
  const redirect = { type: 'RequestRedirect', requestRedirect: {} };
  const rewrite = { type: 'URLRewrite', urlRewrite: {} };
  const twice = (type: string) => [`has ${type} twice; write it once`];
  assert.deepEqual(refused(filters(modifies, modifies)), twice('RequestHeaderModifier'));
  assert.deepEqual(refused(filters(allows({}), allows({}))), twice('CORS'));
  assert.deepEqual(
    refused({ backendRefs: [{ name: 'a', ...filters(modifies, modifies) }] }),
    twice('RequestHeaderModifier'),
  );
  assert.deepEqual(refused(filters(redirect, rewrite)), [
    'has RequestRedirect and URLRewrite; write one of them',
  ]);
  assert.deepEqual(refused({ ...filters(redirect), backendRefs: [{ name: 'a' }] }), [
    'is never used; the rule answers with a redirect, remove one of them',
  ]);
  assert.equal(httpRule(filters(mirrors(), mirrors()))?.mirrors?.length, 2);
});

test('a prefix can be replaced only where one matched', () => {
  const prefix = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' };
  for (const one of [redirects(prefix), { type: 'URLRewrite', urlRewrite: { path: prefix } }]) {
    const rule = { ...pathMatch('/old', 'Exact'), ...filters(one) };
    assert.deepEqual(refused(rule), [
      'has a path that is no PathPrefix; ReplacePrefixMatch replaces the prefix that matched',
    ]);
    assert.ok(httpRule({ ...pathMatch('/old', 'PathPrefix'), ...filters(one) }));
  }
  assert.deepEqual(httpRule(filters(redirects(prefix)))?.redirect, { prefix: '/new' });
  const nothing = { type: 'ReplacePrefixMatch', replacePrefixMatch: '' };
  assert.deepEqual(httpRule(filters(redirects(nothing)))?.redirect, { prefix: '/' });
  const full = { type: 'ReplaceFullPath', replaceFullPath: 'all' };
  assert.deepEqual(httpRule(filters(redirects(full)))?.redirect, { path: '/all' });
});

test('mirrors take a share: all, a percentage or a fraction', () => {
  const share = (more?: object) => httpRule(filters(mirrors(more)))?.mirrors?.[0];
  assert.deepEqual(share(), { service: 'shop/copy', share: 1 });
  assert.equal(share({ percent: 0 })?.share, 0);
  assert.equal(share({ percent: 20 })?.share, 0.2);
  assert.equal(share({ fraction: { numerator: 5 } })?.share, 0.05);
  assert.equal(share({ fraction: { numerator: 1, denominator: 4 } })?.share, 0.25);
  refused(filters(mirrors({ percent: 101 })));
  assert.deepEqual(refused(filters(mirrors({ percent: 1, fraction: { numerator: 1 } }))), [
    'is given beside percent; write one of them',
  ]);
  assert.deepEqual(refused(filters(mirrors({ fraction: { numerator: 3, denominator: 2 } }))), [
    'is more than the denominator; at most every request is copied, once',
  ]);
  const call = { name: 'x', namespace: 'shop' };
  const read = grpcRouteSchema.parse({ ...grpc(filters(mirrors())), metadata: call });
  assert.deepEqual(normalRoute(read).rules[0]?.mirrors, [{ service: 'shop/copy', share: 1 }]);
});

test('CORS: what is not said is nothing, but for the age', () => {
  assert.deepEqual(httpRule(filters(allows({ allowOrigins: ['https://*.shop.test:8443'] })))?.cors, {
    allowOrigins: ['https://*.shop.test:8443'],
    allowCredentials: false,
    allowMethods: [],
    allowHeaders: [],
    exposeHeaders: [],
    maxAge: 5,
  });
  for (const origin of [
    'shop.test',
    'https://a/b',
    'https://a*b.test',
    'ftp://a',
    'https://a\r\nx: 1',
    'null',
  ])
    assert.deepEqual(refused(filters(allows({ allowOrigins: [origin] }))), [
      'is not an origin; write it like https://www.example.com, https://*.example.com or *',
    ]);
  assert.deepEqual(refused(filters(allows({ allowMethods: ['*', 'GET'] }))), [
    'has * beside others; write * alone',
  ]);
  refused(filters(allows({ maxAge: 0 })));
});

test('headers that one backend changes are its own', () => {
  const set = { set: [{ name: 'Backend', value: 'v1' }] };
  const backendRefs = [
    {
      name: 'v1',
      ...filters(
        { type: 'RequestHeaderModifier', requestHeaderModifier: set },
        { type: 'ResponseHeaderModifier', responseHeaderModifier: { remove: ['server'] } },
      ),
    },
    { name: 'v2' },
  ];
  const backends = [
    {
      service: 'shop/v1',
      weight: 1,
      requestHeaders: { set: [['Backend', 'v1']], add: [], remove: [] },
      responseHeaders: { set: [], add: [], remove: ['server'] },
    },
    { service: 'shop/v2', weight: 1 },
  ];
  assert.deepEqual(httpRule({ backendRefs })?.backends, backends);
  assert.deepEqual(normalRoute(grpcRouteSchema.parse(grpc({ backendRefs }))).rules[0]?.backends, backends);
});

test('retries and times: 0s is none', () => {
  const rule = httpRule({
    retry: { attempts: 3, codes: [500, 503], backoff: '1s500ms' },
    timeouts: { request: '0s', backendRequest: '1m30s' },
  });
  assert.deepEqual(rule?.retry, { attempts: 3, codes: [500, 503], backoffMs: 1500 });
  assert.equal(rule?.timeoutMs, 0);
  assert.equal(rule?.tryTimeoutMs, 90_000);
  assert.deepEqual(httpRule({ retry: {} })?.retry, { codes: [] });
  assert.equal(httpRule({ timeouts: { request: '99999h' } })?.timeoutMs, 24 * 3_600_000);
});

test('gRPC services and methods as expressions are a path as an expression', () => {
  const path = (method: object) => grpcMatch({ method: { type: 'RegularExpression', ...method } })?.path;
  const type = 'RegularExpression';
  assert.deepEqual(path({ service: 'shop\\..*', method: 'Get.*' }), {
    type,
    value: '/(?:shop\\..*)/(?:Get.*)',
  });
  assert.deepEqual(path({ service: 'a|b' }), { type, value: '/(?:a|b)/(?:[^/]+)' });
  assert.deepEqual(path({ method: 'Get' }), { type, value: '/(?:[^/]+)/(?:Get)' });
  assert.equal(
    grpcRouteSchema.safeParse(grpc({ matches: [{ method: { type, service: '(' } }] })).success,
    false,
  );
});

test('of several matches of one header only the first counts, in whatever case', () => {
  const headers = [
    { name: 'X-A', value: '1' },
    { name: 'x-a', value: '2' },
  ];
  assert.deepEqual(httpRule({ matches: [{ headers }] })?.matches[0]?.headers, [
    { name: 'x-a', type: 'Exact', value: '1' },
  ]);
});

test('a section of a Gateway is kept, and names may have dots', () => {
  const read = httpRouteSchema.parse(
    http({}, { parentRefs: [{ name: 'edge.example.test', sectionName: 'https' }] }),
  );
  assert.deepEqual(normalRoute(read).parents, [
    { kind: 'Gateway', key: 'shop/edge.example.test', sectionName: 'https' },
  ]);
  const named = { ...http({}), metadata: { name: 'v1.orders', namespace: 'shop' } };
  assert.equal(normalRoute(httpRouteSchema.parse(named)).name, 'shop/v1.orders');
});
