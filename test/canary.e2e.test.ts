import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Backend, rawBackend, twoAnswering } from './fixture/backend.ts';
import {
  askHttp1,
  bothRoute,
  edgeMesh,
  type TwoWays,
  trafficPolicy,
  twoWays,
  type Way,
} from './fixture/two-ways.ts';
import { until } from './fixture/wait.ts';
import { answerStatus, rawGrpcServer } from './grpc/raw-server.ts';

/** Answers with its own name. */
async function named(context: TestContext, name: string): Promise<Backend> {
  const backend = await rawBackend(({ socket }, added) => {
    for (const _ of added.matchAll(/ HTTP\/1\.1\r\n/g))
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`);
  });
  context.after(() => backend.close());
  return backend;
}

type Meshed = Readonly<Record<string, object>>;

async function servers(context: TestContext): Promise<Meshed> {
  const [stable, canary] = [await named(context, 'stable'), await named(context, 'canary')];
  return {
    app: { protocol: 'http', endpoints: [stable.address] },
    canary: { protocol: 'http', endpoints: [canary.address] },
  };
}

/** A mesh that sends so many of a hundred callers to the canary. */
function weighted(services: Meshed, canary: number, sticky: string): object {
  const backendRefs = [
    { name: 'app', weight: 100 - canary },
    { name: 'canary', weight: canary },
  ];
  return edgeMesh(services, {
    routes: [bothRoute('HTTPRoute', 'app', 'app', [{ backendRefs }])],
    policies: [trafficPolicy('p', { kind: 'HTTPRoute', name: 'app' }, { sticky })],
  });
}

const USERS = Array.from({ length: 60 }, (_, index) => `user-${index}`);

async function whoGot(
  { ask }: Way,
  headersOf: (user: string) => Record<string, string>,
): Promise<Map<string, string>> {
  const got = new Map<string, string>();
  for (const user of USERS) got.set(user, (await ask('/', headersOf(user))).body);
  return got;
}

const ofUser = (user: string) => ({ 'x-user': user });

test('a caller that is known by a header stays with its backend, by whatever protocol and listener, and as the canary grows', async (context) => {
  const services = await servers(context);
  const sidecar: TwoWays = await twoWays(context, weighted(services, 50, 'header:x-user'));
  const [first = assert.fail(), ...others] = sidecar.ways;
  const before = await whoGot(first, ofUser);
  assert.deepEqual([...new Set(before.values())].sort(), ['canary', 'stable']);
  for (const way of [first, ...others]) assert.deepEqual(await whoGot(way, ofUser), before, way.name);
  const { headers } = await first.ask('/', { ...ofUser('user-0'), 'x-request-id': 'sticky-1' });
  assert.equal(headers['set-cookie'], undefined);
  sidecar.write(weighted(services, 80, 'header:x-user'));
  await until('more of the canary', async () => {
    const now = await whoGot(first, ofUser);
    for (const [user, got] of before) if (got === 'canary') assert.equal(now.get(user), 'canary', user);
    return (
      [...now.values()].filter((got) => got === 'canary').length >
      [...before.values()].filter((got) => got === 'canary').length
    );
  });
  // Without the header, chance decides; that all of 200 get one has a chance below 2^-60.
  const free = new Set<string>();
  for (let i = 0; i < 200; i++) free.add((await first.ask('/')).body);
  assert.deepEqual([...free].sort(), ['canary', 'stable']);
});

test('a cookie is given once, and keeps its caller where it was', async (context) => {
  const { ways, explain } = await twoWays(
    context,
    weighted(await servers(context), 50, 'cookie:lane set 1h'),
  );
  const got = new Set<string>();
  for (const [index, { name, ask }] of ways.entries()) {
    for (let visitor = 0; visitor < 40; visitor++) {
      const first = await ask('/');
      const [line = ''] = first.headers['set-cookie'] ?? [];
      const cookie =
        /^(lane=[\w-]{16}); Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600$/.exec(line)?.[1] ?? '';
      assert.notEqual(cookie, '', line);
      got.add(first.body);
      const again = await ask('/', { cookie: `a=b; ${cookie}; c=d` });
      assert.equal(again.body, first.body, name);
      assert.equal(again.headers['set-cookie'], undefined, name);
      // The protocol and the listener make no difference.
      const other = await ways[(index + 1) % ways.length]?.ask('/', { cookie });
      assert.equal(other?.body, first.body, name);
      if (visitor > 0 || again.headers['x-request-id'] === undefined) continue;
      const { policies } = await explain(String(again.headers['x-request-id']));
      assert.match(JSON.stringify(policies), /known again by its cookie:lane/);
    }
  }
  assert.deepEqual([...got].sort(), ['canary', 'stable']);
});

test('a caller is known by its address, or as a workload; of several keys the first that a request has counts', async (context) => {
  const services = await servers(context);
  const sidecar = await twoWays(context, weighted(services, 50, 'header:x-user, ip'));
  const gateway = sidecar.ways.find(({ name }) => name === 'HTTP/1.1 gateway')?.address ?? '';
  const addresses = Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}`);
  const bodyFrom = async (from: string, headers: Record<string, string> = {}) =>
    (await askHttp1(gateway, '/', headers, 'GET', '', from)).body;
  const byAddress = new Map<string, string>();
  for (const from of addresses) byAddress.set(from, await bodyFrom(from));
  // That all of 40 get one has a chance of 2^-39.
  assert.deepEqual([...new Set(byAddress.values())].sort(), ['canary', 'stable']);
  for (const from of addresses) assert.equal(await bodyFrom(from), byAddress.get(from), from);
  for (const user of USERS.slice(0, 10)) {
    const got = new Set<string>();
    for (const from of addresses.slice(0, 10)) got.add(await bodyFrom(from, ofUser(user)));
    assert.equal(got.size, 1, 'by its header, wherever it calls from');
  }
  sidecar.write(weighted(services, 50, 'client'));
  const inside = sidecar.ways.filter(({ name }) => name.endsWith('outbound'));
  await until('one workload to have one backend', async () => {
    const got = new Set<string>();
    for (const { ask } of inside) for (let i = 0; i < 30; i++) got.add((await ask('/')).body);
    return got.size === 1;
  });
});

test('gRPC calls go by weight too, and stay where they were', async (context) => {
  const named = async (name: string) => ({
    protocol: 'grpc',
    endpoints: [await rawGrpcServer(context, (stream) => answerStatus(stream, 0, name))],
  });
  const services = { calls: await named('stable'), next: await named('canary') };
  const backendRefs = [
    { name: 'calls', weight: 50 },
    { name: 'next', weight: 50 },
  ];
  const { call } = await twoWays(
    context,
    edgeMesh(services, {
      routes: [bothRoute('GRPCRoute', 'calls', 'calls', [{ backendRefs }])],
      policies: [trafficPolicy('p', { kind: 'GRPCRoute', name: 'calls' }, { sticky: 'header:x-user' })],
    }),
  );
  const got = new Map<string, string>();
  for (const user of [...USERS, ...USERS])
    for (const [status, name] of await call('/a.B/C', ofUser(user))) {
      assert.equal(status, '0');
      assert.equal(got.get(user) ?? name, name, user);
      got.set(user, name);
    }
  assert.deepEqual([...new Set(got.values())].sort(), ['canary', 'stable']);
});

test('a mirror gets its share of gRPC calls, and its failures are told to nobody', async (context) => {
  let copies = 0;
  const app = await rawGrpcServer(context, (stream) => answerStatus(stream, 0, 'well'));
  const copy = await rawGrpcServer(context, (stream) => {
    copies++;
    answerStatus(stream, 13, 'the copy fails');
  });
  const requestMirror = { backendRef: { name: 'copy' }, percent: 50 };
  const filters = [{ type: 'RequestMirror', requestMirror }];
  const { call, metric } = await twoWays(
    context,
    edgeMesh(
      { calls: { protocol: 'grpc', endpoints: [app] }, copy: { protocol: 'grpc', endpoints: [copy] } },
      { routes: [bothRoute('GRPCRoute', 'calls', 'calls', [{ filters, backendRefs: [{ name: 'calls' }] }])] },
    ),
  );
  for (let i = 0; i < 100; i++)
    for (const answer of await call('/a.B/C')) assert.deepEqual(answer, ['0', 'well', '']);
  // All or none of 200 has a chance of 2^-199.
  await until('every copy to be over', async () => {
    const over = await metric('tulle_mirror_requests_total', 'service="t/copy"');
    return over > 0 && over === copies;
  });
  assert.ok(copies < 200, `${copies} copies`);
});

test('a cookie or a header leads to the canary by what HTTPRoute says itself', async (context) => {
  const services = await servers(context);
  const header = (value: string, name: string) => ({ headers: [{ type: 'RegularExpression', name, value }] });
  const { ways } = await twoWays(
    context,
    edgeMesh(services, {
      routes: [
        bothRoute('HTTPRoute', 'app', 'app', [
          {
            matches: [header('on|yes', 'x-canary'), header('(.*; ?)?canary=yes(;.*)?', 'cookie')],
            backendRefs: [{ name: 'canary' }],
          },
          { backendRefs: [{ name: 'app' }] },
        ]),
      ],
    }),
  );
  for (const { name, ask } of ways) {
    const body = async (headers: Record<string, string>) => (await ask('/', headers)).body;
    assert.equal(await body({}), 'stable', name);
    assert.equal(await body({ 'x-canary': 'yes' }), 'canary', name);
    assert.equal(await body({ 'x-canary': 'no' }), 'stable', name);
    assert.equal(await body({ cookie: 'canary=yes' }), 'canary', name);
    assert.equal(await body({ cookie: 'a=b; canary=yes; c=d' }), 'canary', name);
    assert.equal(await body({ cookie: 'a=b; canary=yesterday' }), 'stable', name);
  }
});

test('a mirror gets its share of the requests, and each caller its answer', async (context) => {
  const [app, copy] = await twoAnswering(context);
  const requestMirror = { backendRef: { name: 'copy' }, fraction: { numerator: 1, denominator: 2 } };
  const { ways, metric } = await twoWays(
    context,
    edgeMesh(
      {
        app: { protocol: 'http', endpoints: [app.address] },
        copy: { protocol: 'http', endpoints: [copy.address] },
      },
      {
        routes: [
          bothRoute('HTTPRoute', 'app', 'app', [
            { filters: [{ type: 'RequestMirror', requestMirror }], backendRefs: [{ name: 'app' }] },
          ]),
        ],
      },
    ),
  );
  for (const [index, { name, ask }] of ways.entries()) {
    for (let i = 0; i < 100; i++) {
      const path = `/${index}/${i}`;
      assert.equal((await ask(path)).body, `you asked for ${path}`, name);
    }
    // All or none of 100 has a chance of 2^-99.
    const copies = () => copy.received.split(`GET /${index}/`).length - 1;
    await until('a copy', () => copies() > 0);
    assert.ok(copies() < 100, `${name}: ${copies()} copies`);
  }
  await until('every copy', async () => {
    const answered = await metric('tulle_mirror_requests_total', 'service="t/copy",result="answered"');
    return answered === copy.received.split('GET /').length - 1;
  });
});
