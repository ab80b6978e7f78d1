import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route, RouteMatch } from '../../protocol/route.ts';
import { seeded } from '../../test/fixture/seeded.ts';
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
    const backend = table.match(view('/'))?.pickBackend()?.service;
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  assert.equal(counts.get('d/c'), undefined);
  assert.ok(Math.abs((counts.get('d/a') ?? 0) - 9000) < 150, String(counts.get('d/a')));
});

test('an expression that does not compile matches nothing, and long input is kept from expressions', () => {
  const table = compileRoutes([
    route('bad', [{ path: { type: 'RegularExpression', value: '(' } }]),
    route('slow', [{ path: { type: 'RegularExpression', value: '/(a+)+' } }]),
    route('forever', [{ path: { type: 'RegularExpression', value: '/(a{1,100}){1,100}b' } }]),
  ]);
  assert.equal(table.match(view(`/${'a'.repeat(4000)}!`)), undefined);
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

test('of equal matches the route that is told first wins, whatever its name, and then the first rule', () => {
  const old = route('z-oldest', [prefix('/a'), prefix('/a')]);
  const [first] = old.rules;
  const table = compileRoutes([
    old,
    route('a-newer', [prefix('/a')]),
    route('b-more', [{ ...prefix('/a'), method: 'GET' }]),
  ]);
  assert.equal(table.match(view('/a', { method: 'PUT' }))?.source, first);
  assert.equal(table.match(view('/a'))?.route, 'd/b-more');
});

test('an expression comes before the prefix that is every path', () => {
  const expression = { path: { type: 'RegularExpression' as const, value: '/(?:shop\\..+)/(?:Get.*)' } };
  const table = compileRoutes([
    route('every', [{ method: 'POST' }]),
    route('some', [{ ...expression, method: 'POST' }]),
  ]);
  assert.equal(table.match(view('/shop.Orders/GetAll', { method: 'POST' }))?.route, 'd/some');
  assert.equal(table.match(view('/shop.Orders/Put', { method: 'POST' }))?.route, 'd/every');
});

test('a path element is whole: a longer prefix with other conditions leaves what it does not take to shorter ones', () => {
  const table = compileRoutes([
    route('short', [prefix('/match/')]),
    route('long', [{ ...prefix('/match/long'), headers: [{ name: 'v', type: 'Exact', value: '2' }] }]),
    route('exact', [exact('/match')]),
  ]);
  const chosen = (path: string, headers = {}) => table.match(view(path, { headers }))?.route;
  assert.equal(chosen('/match'), 'd/exact');
  assert.equal(chosen('/match/'), 'd/short');
  assert.equal(chosen('/match/long/er'), 'd/short');
  assert.equal(chosen('/match/long/er', { v: '2' }), 'd/long');
  assert.equal(chosen('/match/longer', { v: '2' }), 'd/short');
  assert.equal(chosen('/matches'), undefined);
});

test('an attacker whose path has thousands of segments, or whose host thousands of labels, has few of them looked up', (context) => {
  const table = compileRoutes([
    route('below', [prefix('/api/v1')], ['*.example.test']),
    route('all', [prefix('/')]),
  ]);
  for (const [host, path, name] of [
    ['x.example.test', '/api'.repeat(8_000), 'all'],
    ['x.example.test', `/api/v1${'/'.repeat(32_000)}`, 'below'],
    ['x.example.test', '/'.repeat(32_000), 'all'],
    ['a', '/a'.repeat(16_000), 'all'],
    [`${'a.'.repeat(30_000)}example.test`, '/api/v1', 'all'],
  ] as const) {
    const looks = context.mock.method(Map.prototype, 'get').mock;
    const found = table.match({ ...view(path), host });
    const count = looks.callCount();
    looks.restore();
    assert.equal(found?.route.split('/')[1], name, path.slice(0, 20));
    assert.ok(count < 50, `${count} looks`);
  }
});

test('an attacker whose query has thousands of parameters has it read once, however many rules look at it', (context) => {
  let read = 0;
  const whole = URLSearchParams;
  context.after(() => {
    globalThis.URLSearchParams = whole;
  });
  globalThis.URLSearchParams = class extends whole {
    constructor(init?: ConstructorParameters<typeof whole>[0]) {
      super(init);
      read++;
    }
  };
  const asks = (value: string) => ({ query: [{ name: 'v', type: 'Exact' as const, value }] });
  const table = compileRoutes([1, 2, 3, 4].map((one) => route(`r${one}`, [asks(String(one))])));
  const found = ['4', '2', '5'].map((v) => table.match(view('/', { query: `${'a&'.repeat(9000)}v=${v}` })));
  assert.deepEqual(
    found.map((one) => one?.route),
    ['d/r4', 'd/r2', undefined],
  );
  assert.equal(read, 3);
});
