import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { rawBackend } from './fixture/backend.ts';
import { bothRoute, edgeMesh, trafficPolicy, twoWays } from './fixture/two-ways.ts';
import { answerStatus, rawGrpcServer } from './grpc/raw-server.ts';
import { startHttp2 } from './http2/server.ts';

const REWRITES = `path /v1/(\\d+)/(.*) -> /v2/$2/of/$1
path /files-(.*) -> /files/$1
header x-user: (.*)@.* -> $1
response-header x-powered-by: ([a-z]+)/.* -> $1`;

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Powered-By: server/1.2.3\r\n\r\nok';

test('paths and headers are rewritten on the way to the server and back', async (context) => {
  const app = await rawBackend(({ socket }, added) => {
    for (const _ of added.matchAll(/ HTTP\/1\.1\r\n/g)) socket.write(OK);
  });
  context.after(() => app.close());
  const { ways } = await twoWays(
    context,
    edgeMesh(
      { app: { protocol: 'http', endpoints: [app.address] } },
      {
        routes: [bothRoute('HTTPRoute', 'app', 'app', [{ backendRefs: [{ name: 'app' }] }])],
        policies: [trafficPolicy('p', { kind: 'HTTPRoute', name: 'app' }, { rewrite: REWRITES })],
      },
    ),
  );
  for (const { name, ask } of ways) {
    const last = () => app.received.slice(app.received.lastIndexOf('GET '));
    const { headers } = await ask('/v1/12/lines?a=b', { 'x-user': 'ann@shop.test' });
    assert.match(last(), /^GET \/v2\/lines\/of\/12\?a=b HTTP\/1\.1\r\n/, name);
    assert.match(last(), /\r\nx-user: ann\r\n/i, name);
    assert.equal(headers['x-powered-by'], 'server', name);
    await ask('/v1/x/lines', { 'x-user': 'ann' });
    assert.match(last(), /^GET \/v1\/x\/lines [\s\S]*\r\nx-user: ann\r\n/i, name);
    await ask('/files-../admin');
    assert.match(last(), /^GET \/files-..\/admin HTTP/, `${name}: an attacker hides dots in a group`);
  }
});

test('paths and headers are rewritten for servers of HTTP/2, whatever the callers speak', async (context) => {
  const seen: IncomingHttpHeaders[] = [];
  const { address } = await startHttp2(context, (stream, headers) => {
    seen.push(headers);
    stream.respond({ ':status': 200, 'x-powered-by': 'server/1.2.3' });
    stream.end('ok');
  });
  const { ways } = await twoWays(
    context,
    edgeMesh(
      { app: { protocol: 'http2', endpoints: [address] } },
      {
        routes: [bothRoute('HTTPRoute', 'app', 'app', [{ backendRefs: [{ name: 'app' }] }])],
        policies: [trafficPolicy('p', { kind: 'HTTPRoute', name: 'app' }, { rewrite: REWRITES })],
      },
    ),
  );
  for (const { name, ask } of ways) {
    const { headers, body } = await ask('/v1/12/lines?a=b', { 'x-user': 'ann@shop.test' }, 'POST', 'a body');
    assert.deepEqual([headers['x-powered-by'], body], ['server', 'ok'], name);
    const last = seen.at(-1);
    assert.deepEqual([last?.[':path'], last?.['x-user']], ['/v2/lines/of/12?a=b', 'ann'], name);
    await ask('/v1/x/lines', { 'x-user': 'ann' });
    assert.deepEqual([seen.at(-1)?.[':path'], seen.at(-1)?.['x-user']], ['/v1/x/lines', 'ann'], name);
    await ask('/files-../admin');
    assert.equal(seen.at(-1)?.[':path'], '/files-../admin', `${name}: an attacker hides dots in a group`);
  }
});

test('gRPC calls are rewritten to another service and method, with their headers', async (context) => {
  const seen: IncomingHttpHeaders[] = [];
  const grpc = await rawGrpcServer(context, (stream, headers) => {
    seen.push(headers);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'x-powered-by': 'server/1.2.3' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': String(headers[':path']) }),
    );
    stream.end(Buffer.alloc(5));
  });
  const rewrite = `path /shop\\.v1\\.(\\w+)/(.*) -> /shop.v2.$1/$2
header x-user: (.*)@.* -> $1
response-header x-powered-by: ([a-z]+)/.* -> $1`;
  const { call, ways } = await twoWays(
    context,
    edgeMesh(
      { calls: { protocol: 'grpc', endpoints: [grpc] } },
      {
        routes: [bothRoute('GRPCRoute', 'calls', 'calls', [{ backendRefs: [{ name: 'calls' }] }])],
        policies: [trafficPolicy('p', { kind: 'GRPCRoute', name: 'calls' }, { rewrite })],
      },
    ),
  );
  for (const [path, server] of [
    ['/shop.v1.Orders/Get', '/shop.v2.Orders/Get'],
    ['/shop.v1.Orders/Get.More', '/shop.v2.Orders/Get.More'],
    ['/shop.v2.Orders/Get', '/shop.v2.Orders/Get'],
    ['/shopXv1.Orders/Get', '/shopXv1.Orders/Get'],
  ] as const)
    for (const answer of await call(path, { 'x-user': 'ann@shop.test' })) {
      assert.deepEqual(answer, ['0', server, ''], path);
      assert.equal(seen.at(-1)?.['x-user'], 'ann', path);
    }
  for (const { name, ask } of ways.filter((way) => way.name.startsWith('HTTP/2'))) {
    const headers = { ':authority': 'calls.t', 'content-type': 'application/grpc', te: 'trailers' };
    const answer = await ask('/shop.v1.Orders/Get', headers, 'POST', '\0\0\0\0\0');
    assert.equal(answer.headers['x-powered-by'], 'server', name);
  }
});

test('redirects, changes of headers and rewrites of routes, by whatever protocol and listener', async (context) => {
  const app = await rawBackend(({ socket }, added) => {
    for (const _ of added.matchAll(/ HTTP\/1\.1\r\n/g)) socket.write(OK);
  });
  context.after(() => app.close());
  const backendRefs = [{ name: 'app' }];
  const at = (path: string, filters: readonly object[]) => ({
    matches: [{ path: { type: 'PathPrefix', value: path } }],
    filters,
    ...(path !== '/old' && { backendRefs }),
  });
  const prefix = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' };
  const redirect = { scheme: 'https', hostname: 'other.t', path: prefix, statusCode: 301 };
  const change = {
    set: [{ name: 'x-a', value: 'set' }],
    add: [{ name: 'x-b', value: 'more' }],
    remove: ['x-c'],
  };
  const answered = { set: [{ name: 'x-powered-by', value: 'tulle' }], add: [{ name: 'x-d', value: 'd' }] };
  const { ways } = await twoWays(
    context,
    edgeMesh(
      { app: { protocol: 'http', endpoints: [app.address] } },
      {
        routes: [
          bothRoute('HTTPRoute', 'app', 'app', [
            at('/old', [{ type: 'RequestRedirect', requestRedirect: redirect }]),
            at('/changed', [
              { type: 'RequestHeaderModifier', requestHeaderModifier: change },
              { type: 'ResponseHeaderModifier', responseHeaderModifier: answered },
            ]),
            at('/moved', [{ type: 'URLRewrite', urlRewrite: { hostname: 'inner.t', path: prefix } }]),
          ]),
        ],
      },
    ),
  );
  for (const { name, ask } of ways) {
    const last = () => app.received.slice(app.received.lastIndexOf('GET ')).toLowerCase();
    const before = app.received;
    const moved = await ask('/old/a?b=c');
    assert.deepEqual([moved.status, moved.headers.location], [301, 'https://other.t/new/a?b=c'], name);
    assert.equal(app.received, before, name);
    const changed = await ask('/changed', { 'x-a': 'given', 'x-b': 'one', 'x-c': 'gone' });
    assert.match(last(), /\r\nx-a: set\r\n/, name);
    assert.match(last(), /\r\nx-b: one[\s\S]*more\r\n/, name);
    assert.doesNotMatch(last(), /x-c|given/, name);
    assert.deepEqual([changed.headers['x-powered-by'], changed.headers['x-d']], ['tulle', 'd'], name);
    await ask('/moved/a?b=c');
    assert.match(last(), /^get \/new\/a\?b=c http\/1\.1\r\n/, name);
    assert.match(last(), /\r\nhost: inner\.t\r\n/, name);
  }
});

test('the rule itself goes before a policy about it, that before one about the route or the Gateway, and the service comes last', async (context) => {
  const app = await rawBackend(() => {});
  context.after(() => app.close());
  const timed = {
    protocol: 'http',
    endpoints: [app.address],
    annotations: { 'tulle.dev/timeout': '61ms', 'tulle.dev/retries': '0' },
  };
  const backendRefs = [{ name: 'app' }];
  const at = (name: string, more: object = {}) => ({
    name,
    matches: [{ path: { value: `/${name}` } }],
    backendRefs,
    ...more,
  });
  const about = (sectionName?: string) => ({
    kind: 'HTTPRoute',
    name: 'app',
    ...(sectionName !== undefined && { sectionName }),
  });
  const { ways, explain } = await twoWays(
    context,
    edgeMesh(
      { app: timed, free: timed },
      {
        routes: [
          bothRoute('HTTPRoute', 'app', 'app', [
            at('own', { timeouts: { request: '63ms', backendRequest: '0s' } }),
            at('rule'),
            at('tried'),
            at('route'),
          ]),
          bothRoute('HTTPRoute', 'free', 'free', [{ backendRefs }]),
        ],
        policies: [
          trafficPolicy('route', about(), { timeout: '64ms', 'try-timeout': 'none' }),
          trafficPolicy('own', about('own'), { timeout: '65ms' }),
          trafficPolicy('rule', about('rule'), { timeout: '66ms' }),
          trafficPolicy('tried', about('tried'), { timeout: 'none', 'try-timeout': '67ms' }),
          trafficPolicy('edge', { kind: 'Gateway', name: 'edge' }, { timeout: '68ms', 'try-timeout': '1h' }),
        ],
      },
    ),
  );
  for (const { name, ask } of ways) {
    const words = async (path: string, headers = {}) => {
      const answer = await ask(path, headers);
      const { detail } = await explain(String(answer.headers['x-request-id']));
      return /within .*/.exec(String(detail))?.[0];
    };
    assert.equal(await words('/own'), 'within timeout 63 ms', name);
    assert.equal(await words('/rule'), 'within timeout 66 ms', name);
    assert.equal(await words('/route'), 'within timeout 64 ms', name);
    assert.equal(await words('/tried'), 'within try-timeout 67 ms', name);
    const free = await words(
      '/',
      name.startsWith('HTTP/2') ? { ':authority': 'free.t' } : { host: 'free.t' },
    );
    assert.equal(free, `within timeout ${name.endsWith('gateway') ? 68 : 61} ms`, name);
  }
});

test('retries of a policy about a route take the place of those of the service, for gRPC too', async (context) => {
  let asked = 0;
  const grpc = await rawGrpcServer(context, (stream) => {
    asked++;
    answerStatus(stream, 14, 'away');
  });
  const { call } = await twoWays(
    context,
    edgeMesh(
      { calls: { protocol: 'grpc', endpoints: [grpc], annotations: { 'tulle.dev/retries': '0' } } },
      {
        routes: [
          bothRoute('GRPCRoute', 'calls', 'calls', [
            {
              name: 'again',
              matches: [{ method: { service: 'a.B', method: 'Again' } }],
              backendRefs: [{ name: 'calls' }],
            },
            { backendRefs: [{ name: 'calls' }] },
          ]),
        ],
        policies: [
          trafficPolicy(
            'p',
            { kind: 'GRPCRoute', name: 'calls', sectionName: 'again' },
            { retries: '2 on unavailable' },
          ),
        ],
      },
    ),
  );
  for (const [status] of await call('/a.B/Once')) assert.equal(status, '14');
  assert.equal(asked, 2, 'once by each listener');
  asked = 0;
  for (const [status] of await call('/a.B/Again')) assert.equal(status, '14');
  assert.equal(asked, 6);
});
