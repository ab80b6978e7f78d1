import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route, RouteMatch } from '../../protocol/route.ts';
import { seeded } from '../../test/conformance/http1-grammar.ts';
import { compileRoutes, type RequestView } from './route-table.ts';
import { serviceKeyOfHost } from './service-name.ts';

function view(
  path: string,
  more: Partial<{ method: string; host: string; query: string; headers: Record<string, string> }> = {},
): RequestView {
  return {
    method: more.method ?? 'GET',
    path,
    query: more.query ?? '',
    host: more.host ?? 'h',
    header: (name) => more.headers?.[name],
  };
}

function route(name: string, matches: Partial<RouteMatch>[], hostnames: string[] = []): Route {
  return {
    name: `d/${name}`,
    kind: 'HTTPRoute',
    parents: [],
    hostnames,
    rules: matches.map((match) => ({
      matches: [{ headers: [], query: [], ...match }],
      backends: [{ service: `d/${name}`, weight: 1 }],
    })),
  };
}

const prefix = (value: string) => ({ path: { type: 'PathPrefix' as const, value } });
const exact = (value: string) => ({ path: { type: 'Exact' as const, value } });

test('exact path before longest prefix before expression', () => {
  const table = compileRoutes([
    route('expression', [{ path: { type: 'RegularExpression', value: '/a/.*' } }]),
    route('short', [prefix('/a')]),
    route('long', [prefix('/a/b')]),
    route('exact', [exact('/a/b')]),
  ]);
  assert.equal(table.match(view('/a/b'))?.route, 'd/exact');
  assert.equal(table.match(view('/a/b/c'))?.route, 'd/long');
  assert.equal(table.match(view('/a/bc'))?.route, 'd/short');
  assert.equal(table.match(view('/ab')), undefined);
});

test('a prefix matches whole segments, with or without its final slash', () => {
  const table = compileRoutes([route('a', [prefix('/a/')])]);
  assert.ok(table.match(view('/a')));
  assert.ok(table.match(view('/a/')));
  assert.ok(table.match(view('/a/b')));
  assert.equal(table.match(view('/abc')), undefined);
});

test('of equal paths, method, then more headers, then more query parameters win', () => {
  const table = compileRoutes([
    route('all', [prefix('/')]),
    route('query', [{ ...prefix('/'), query: [{ name: 'q', type: 'Exact', value: '1' }] }]),
    route('header', [{ ...prefix('/'), headers: [{ name: 'x', type: 'RegularExpression', value: 'a+' }] }]),
    route('method', [{ ...prefix('/'), method: 'PUT' }]),
  ]);
  const everything = { query: 'q=1', headers: { x: 'aa' } };
  assert.equal(table.match(view('/z'))?.route, 'd/all');
  assert.equal(table.match(view('/z', { query: 'q=1' }))?.route, 'd/query');
  assert.equal(table.match(view('/z', everything))?.route, 'd/header');
  assert.equal(table.match(view('/z', { ...everything, method: 'PUT' }))?.route, 'd/method');
  assert.equal(table.match(view('/z', { headers: { x: 'ab' } }))?.route, 'd/all');
});

test('a GRPCRoute: of equal hosts the service wins, then the method, then more headers', () => {
  const canary = { name: 'x-canary', type: 'Exact' as const, value: 'yes' };
  const rules: readonly (Partial<RouteMatch> & { name: string })[] = [
    { name: 'every call' },
    { name: 'header', headers: [canary] },
    { name: 'method', path: { type: 'GrpcMethod', value: 'Get' } },
    { name: 'method and header', path: { type: 'GrpcMethod', value: 'Get' }, headers: [canary] },
    { name: 'service', ...prefix('/shop.Orders') },
    { name: 'service and header', ...prefix('/shop.Orders'), headers: [canary] },
    { name: 'both', ...exact('/shop.Orders/Get') },
    { name: 'both and header', ...exact('/shop.Orders/Get'), headers: [canary] },
  ];
  const all = rules.map(({ name, ...match }) => route(name, [{ method: 'POST', ...match }]));
  const chosen = (path: string, headers: Record<string, string> = {}, of = all) =>
    compileRoutes(of).match(view(path, { method: 'POST', headers }))?.route;
  const yes = { 'x-canary': 'yes' };
  // Whoever is best is left out in turn: the rest are in the order of the specification.
  for (const [path, headers, order] of [
    [
      '/shop.Orders/Get',
      yes,
      [
        ...['both and header', 'both', 'service and header', 'service'],
        ...['method and header', 'method', 'header', 'every call'],
      ],
    ],
    ['/shop.Orders/Get', {}, ['both', 'service', 'method', 'every call']],
    ['/shop.Orders/Put', yes, ['service and header', 'service', 'header', 'every call']],
    ['/shop.OrdersToo/Get', {}, ['method', 'every call']],
    ['/shop.OrdersToo/GetAll', yes, ['header', 'every call']],
    ['/shop.Orders/Get/Get', {}, ['service', 'every call']],
    ['/Get', {}, ['every call']],
    ['/', {}, ['every call']],
  ] as const) {
    let left = all;
    for (const name of order) {
      assert.equal(chosen(path, headers, left), `d/${name}`, path);
      left = left.filter((one) => one.name !== `d/${name}`);
    }
    assert.equal(chosen(path, headers, left), undefined, path);
  }
});

test('the most specific host name wins, and a less specific one serves what it leaves', () => {
  const table = compileRoutes([
    route('any', [prefix('/')]),
    route('wild', [prefix('/w')], ['*.b.c']),
    route('own', [prefix('/o')], ['a.b.c']),
  ]);
  assert.equal(table.match(view('/o', { host: 'a.b.c' }))?.route, 'd/own');
  assert.equal(table.match(view('/w', { host: 'a.b.c' }))?.route, 'd/wild');
  assert.equal(table.match(view('/x', { host: 'a.b.c' }))?.route, 'd/any');
  assert.equal(table.match(view('/w', { host: 'b.c' }))?.route, 'd/any');
});

test('weights share the load, and a backend of weight 0 gets none', () => {
  const rule = {
    matches: [],
    backends: [
      { service: 'd/a', weight: 90 },
      { service: 'd/b', weight: 10 },
      { service: 'd/c', weight: 0 },
    ],
  };
  const table = compileRoutes(
    [{ name: 'd/r', kind: 'HTTPRoute', parents: [], hostnames: [], rules: [rule] }],
    seeded(1),
  );
  const counts = new Map<string | undefined, number>();
  for (let i = 0; i < 10_000; i++) {
    const backend = table.match(view('/'))?.pickBackend();
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  assert.equal(counts.get('d/c'), undefined);
  assert.ok(Math.abs((counts.get('d/a') ?? 0) - 9000) < 150, String(counts.get('d/a')));
});

test('an expression that does not compile matches nothing, and long input is kept from expressions', () => {
  const table = compileRoutes([
    route('bad', [{ path: { type: 'RegularExpression', value: '(' } }]),
    route('slow', [{ path: { type: 'RegularExpression', value: '/(a+)+' } }]),
  ]);
  assert.equal(table.match(view('/x')), undefined);
  assert.equal(table.match(view(`/${'a'.repeat(5000)}!`)), undefined);
});

test('host names of services', () => {
  const names = [
    'orders',
    'orders.shop',
    'orders.shop.svc',
    'orders.shop.svc.cluster.local',
    'example.com.au',
    '127.0.0.1',
    '',
    '-a',
    'a..svc',
  ];
  assert.deepEqual(
    names.map((name) => serviceKeyOfHost(name, 'own')),
    [
      'own/orders',
      'shop/orders',
      'shop/orders',
      'shop/orders',
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ],
  );
});
