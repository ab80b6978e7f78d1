import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { bothRoute, edgeMesh, twoWays } from './fixture/two-ways.ts';
import { answerStatus, rawGrpcServer } from './grpc/raw-server.ts';
import { startHttp1, startHttp2 } from './http2/server.ts';

/** One for each rule: which of them a request got is its answer. */
const RULES: readonly (readonly [backend: string, match: object | undefined])[] = [
  ['write', { method: 'POST' }],
  ['write-beta', { method: 'POST', queryParams: [{ name: 'beta', value: 'yes' }] }],
  ['purge', { method: 'PURGE' }],
  ['beta', { queryParams: [{ name: 'beta', value: 'yes' }] }],
  ['beta-two', { queryParams: [queryOf('beta', 'yes'), queryOf('page', '2')] }],
  ['numbered', { queryParams: [{ type: 'RegularExpression', name: 'id', value: '[0-9]+' }] }],
  ['versioned', { path: { value: '/v1' }, method: 'GET', queryParams: [queryOf('beta', 'yes')] }],
  ['other', undefined],
];

function queryOf(name: string, value: string): object {
  return { name, value };
}

const ASKED: readonly (readonly [method: string, path: string, backend: string])[] = [
  ['GET', '/', 'other'],
  ['POST', '/', 'write'],
  ['PUT', '/', 'other'],
  ['PURGE', '/', 'purge'],
  ['GET', '/?beta=yes', 'beta'],
  ['GET', '/a/b?x=1&beta=yes&y=2', 'beta'],
  ['PUT', '/?beta=yes', 'beta'],
  ['GET', '/?beta=no', 'other'],
  ['GET', '/?beta', 'other'],
  ['GET', '/?beta=', 'other'],
  ['GET', '/?BETA=yes', 'other'],
  ['GET', '/?alphabeta=yes', 'other'],
  ['GET', '/?x=beta=yes', 'other'],
  ['GET', '/?beta=yesterday', 'other'],
  // Of several with one name the first counts.
  ['GET', '/?beta=no&beta=yes', 'other'],
  ['GET', '/?beta=yes&beta=no', 'beta'],
  // It is the same name and value, however it is written.
  ['GET', '/?b%65ta=%79es', 'beta'],
  ['GET', '/beta=yes', 'other'],
  ['GET', '/?beta=yes&page=2', 'beta-two'],
  ['GET', '/?page=2&beta=yes', 'beta-two'],
  ['GET', '/?page=2', 'other'],
  ['GET', '/?id=12', 'numbered'],
  ['GET', '/?id=12x', 'other'],
  ['GET', '/?id=', 'other'],
  // A method goes before query parameters, both before one of them, and a path before all.
  ['POST', '/?id=12', 'write'],
  ['POST', '/?beta=yes', 'write-beta'],
  ['GET', '/v1/a?beta=yes', 'versioned'],
  ['POST', '/v1/a?beta=yes', 'write-beta'],
];

async function serving(
  context: TestContext,
  protocol: 'http' | 'http2',
  name: string,
): Promise<readonly [string, object]> {
  const { address } =
    protocol === 'http'
      ? await startHttp1(context, (_request, response) => response.end(name))
      : await startHttp2(context, (stream) => {
          stream.respond({ ':status': 200 });
          stream.end(name);
        });
  return [name, { protocol, endpoints: [address] }];
}

for (const protocol of ['http', 'http2'] as const)
  test(`a request goes by its method and query to the rule that says most of it, to servers of ${protocol}`, async (context) => {
    const backends = await Promise.all(RULES.map(([name]) => serving(context, protocol, name)));
    const services = { app: { protocol, endpoints: [] }, ...Object.fromEntries(backends) };
    const rules = RULES.map(([name, match]) => ({
      ...(match && { matches: [match] }),
      backendRefs: [{ name }],
    }));
    const { ways } = await twoWays(
      context,
      edgeMesh(services, { routes: [bothRoute('HTTPRoute', 'app', 'app', rules)] }),
    );
    for (const { name, ask } of ways)
      for (const [method, path, backend] of ASKED)
        assert.equal((await ask(path, {}, method)).body, backend, `${method} ${path} by ${name}`);
  });

test('a request that no rule matches by its method or query gets 404', async (context) => {
  const [, app] = await serving(context, 'http', 'app');
  const rules = [
    {
      matches: [{ method: 'GET', queryParams: [queryOf('beta', 'yes')] }, { method: 'HEAD' }],
      backendRefs: [{ name: 'app' }],
    },
  ];
  const { ways } = await twoWays(
    context,
    edgeMesh({ app }, { routes: [bothRoute('HTTPRoute', 'app', 'app', rules)] }),
  );
  for (const { name, ask } of ways) {
    const told = async (method: string, path: string) => {
      const { status, headers } = await ask(path, {}, method);
      return [status, headers['tulle-reason']];
    };
    assert.deepEqual(await told('GET', '/?beta=yes'), [200, undefined], name);
    assert.deepEqual(await told('HEAD', '/'), [200, undefined], name);
    assert.deepEqual(await told('GET', '/'), [404, 'no-route'], name);
    assert.deepEqual(await told('POST', '/?beta=yes'), [404, 'no-route'], name);
  }
});

test('gRPC calls go by service, by method and by expressions of them', async (context) => {
  const matches: Readonly<Record<string, object | undefined>> = {
    both: { method: { service: 'shop.Orders', method: 'Get' } },
    service: { method: { service: 'shop.Orders' } },
    method: { method: { method: 'Watch' } },
    expression: {
      method: { type: 'RegularExpression', service: 'shop\\.(Carts|Stock)', method: 'List.*' },
    },
    rest: undefined,
  };
  const services: Record<string, object> = { calls: { protocol: 'grpc', endpoints: [] } };
  for (const name of Object.keys(matches)) {
    const address = await rawGrpcServer(context, (stream) => answerStatus(stream, 0, name));
    services[name] = { protocol: 'grpc', endpoints: [address] };
  }
  const rules = Object.entries(matches).map(([name, match]) => ({
    ...(match && { matches: [match] }),
    backendRefs: [{ name }],
  }));
  const { call } = await twoWays(
    context,
    edgeMesh(services, { routes: [bothRoute('GRPCRoute', 'calls', 'calls', rules)] }),
  );
  for (const [path, backend] of [
    ['/shop.Orders/Get', 'both'],
    ['/shop.Orders/Put', 'service'],
    ['/shop.Orders/Watch', 'service'],
    ['/shop.Orders2/Get', 'rest'],
    ['/shop.Carts/Watch', 'method'],
    ['/shop.Carts/ListAll', 'expression'],
    ['/shop.Stock/List', 'expression'],
    ['/shopXCarts/List', 'rest'],
    ['/my.shop.Carts/List', 'rest'],
    ['/shop.Carts/GetList', 'rest'],
  ] as const)
    for (const [status, name] of await call(path)) assert.deepEqual([status, name], ['0', backend], path);
});
