import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { rawClient } from '../fixture/client.ts';
import { meshProcesses } from '../fixture/mesh-pair.ts';
import { edgeMesh, type TwoWays, trafficPolicy, twoWays } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { answerOk, rawGrpcServer } from '../grpc/raw-server.ts';
import { ask, openSession } from '../http2/client.ts';
import { startHttp1, startHttp2 } from '../http2/server.ts';

/** Requests at `/hold`, or with the header `x-hold`, are answered when the test says so. */
interface Application {
  readonly address: string;
  readonly held: (() => void)[];
}

interface Protocol {
  readonly name: 'http' | 'http2' | 'grpc';
  serve(context: TestContext): Promise<Application>;
}

const PROTOCOLS: readonly Protocol[] = [
  {
    name: 'http',
    async serve(context) {
      const held: (() => void)[] = [];
      const { address } = await startHttp1(context, ({ headers }, response) => {
        if (headers['x-hold'] === undefined) response.end();
        else held.push(() => response.end());
      });
      return { address, held };
    },
  },
  {
    name: 'http2',
    async serve(context) {
      const held: (() => void)[] = [];
      const answer = (stream: ServerHttp2Stream) => stream.respond({ ':status': 200 }, { endStream: true });
      const { address } = await startHttp2(context, (stream, headers) => {
        if (headers['x-hold'] === undefined) answer(stream);
        else held.push(() => answer(stream));
      });
      return { address, held };
    },
  },
  {
    name: 'grpc',
    async serve(context) {
      const held: (() => void)[] = [];
      const address = await rawGrpcServer(context, (stream, headers) => {
        if (headers['x-hold'] === undefined) answerOk(stream);
        else held.push(() => answerOk(stream));
      });
      return { address, held };
    },
  },
];

interface Answer {
  readonly admitted: boolean;
  /** Of the response's head. */
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Asked {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The address that the caller calls from. */
  readonly from?: string;
}

/** Asks a service by one protocol through the gateway. Rejects if it is neither admitted nor refused by a limit. */
type Ask = (host: string, asked?: Asked) => Promise<Answer>;

interface Limited extends TwoWays {
  readonly callers: readonly {
    readonly protocol: Protocol['name'];
    readonly ask: Ask;
    readonly app: Application;
  }[];
}

/**
 * A gateway in a process of its own, before a service `PROTOCOL-N.t` without a sidecar for each limit and protocol. Every
 * other limit is told by a TrafficPolicy instead of an annotation.
 */
async function limited(context: TestContext, limits: readonly string[]): Promise<Limited> {
  const services: Record<string, object> = {};
  const policies: object[] = [];
  const apps: Application[] = [];
  for (const { name, serve } of PROTOCOLS) {
    const app = await serve(context);
    apps.push(app);
    for (const [index, limit] of limits.entries()) {
      const service = `${name}-${index}`;
      const annotations = index % 2 === 0 ? { 'tulle.dev/rate-limit': limit } : {};
      services[service] = { protocol: name, endpoints: [app.address], annotations };
      if (index % 2 === 1)
        policies.push(trafficPolicy(service, { kind: 'Service', name: service }, { 'rate-limit': limit }));
    }
  }
  const routes = Object.keys(services).map((name) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 't' },
    spec: {
      parentRefs: [{ kind: 'Gateway', name: 'edge' }],
      hostnames: [`${name}.t`],
      rules: [{ backendRefs: [{ name, port: 80 }] }],
    },
  }));
  const sidecar = await twoWays(context, edgeMesh(services, { policies, routes }));
  const gateway = sidecar.ways.find(({ name }) => name === 'HTTP/1.1 gateway')?.address ?? '';
  const asks = { http: byHttp1(gateway), http2: byHttp2(context, gateway), grpc: byGrpc(context, gateway) };
  return Object.assign(sidecar, {
    callers: PROTOCOLS.map(({ name }, index) => ({
      protocol: name,
      ask: asks[name],
      app: apps[index] as Application, // one for each protocol
    })),
  });
}

function byHttp1(gateway: string): Ask {
  const [host, port] = gateway.split(':');
  return (authority, { path = '/', headers = {}, from = '127.0.0.1' } = {}) =>
    new Promise((resolve, reject) => {
      const at = { host, port, path, localAddress: from, agent: false };
      request({ ...at, headers: { host: authority, ...headers } }, (response) => {
        response.resume();
        response.on('end', () => resolve(answerOf(response.statusCode ?? 0, response.headers)));
      })
        .on('error', reject)
        .end();
    });
}

function byHttp2(context: TestContext, gateway: string): Ask {
  const sessionFrom = sessions(context, gateway);
  return async (authority, { path = '/', headers = {}, from = '127.0.0.1' } = {}) => {
    const answer = await ask(await sessionFrom(from), { ':authority': authority, ':path': path, ...headers });
    return answerOf(answer.status, answer.headers);
  };
}

function byGrpc(context: TestContext, gateway: string): Ask {
  const sessionFrom = sessions(context, gateway);
  return async (authority, { path = '/t.T/Get', headers = {}, from = '127.0.0.1' } = {}) => {
    const call = { ':method': 'POST', ':path': path, ':authority': authority, te: 'trailers' };
    const typed = { ...call, 'content-type': 'application/grpc', ...headers };
    const answer = await ask(await sessionFrom(from), typed, Buffer.alloc(5));
    const status = answer.trailers['grpc-status'] ?? answer.headers['grpc-status'];
    return answerOf(({ 0: 200, 8: 429 } as Record<string, number>)[String(status)] ?? 0, answer.headers);
  };
}

/** One connection for each address of a caller. */
function sessions(context: TestContext, gateway: string) {
  const [host = '', port] = gateway.split(':');
  const open = new Map<string, ReturnType<typeof openSession>>();
  return (from: string): ReturnType<typeof openSession> => {
    const createConnection = () => connect({ host, port: Number(port), localAddress: from });
    const session = open.get(from) ?? openSession(context, gateway, { createConnection });
    open.set(from, session);
    return session;
  };
}

function answerOf(status: number, fields: Readonly<Record<string, unknown>>): Answer {
  assert.ok(status === 200 || status === 429, `it is neither let in nor refused: ${JSON.stringify(fields)}`);
  assert.equal(fields['tulle-reason'], status === 429 ? 'rate-limited' : undefined);
  return { admitted: status === 200, fields };
}

/** How many of these were let in, one after the other: `+` for each, `-` for one that was refused. */
async function admitted(one: Ask, host: string, all: readonly Asked[]): Promise<string> {
  let told = '';
  for (const asked of all) told += (await one(host, asked)).admitted ? '+' : '-';
  return told;
}

test('each kind of limit lets in what it says and no more, by HTTP/1.1, HTTP/2 and gRPC', async (context) => {
  const limits = [
    '2/d burst 3',
    '3/h',
    'window 3/d',
    'estimate 3/d',
    '3/d exact',
    'window 3/h exact on-outage deny',
  ];
  const { callers } = await limited(context, limits);
  for (const { protocol, ask: one } of callers) {
    for (const [index, limit] of limits.entries()) {
      const host = `${protocol}-${index}.t`;
      const first = await one(host);
      assert.match(String(first.fields.ratelimit), /^"all";r=2;t=\d+$/, `${limit} by ${protocol}`);
      assert.equal(await admitted(one, host, [{}, {}]), '++', `${limit} by ${protocol}`);
      const refused = await one(host);
      assert.equal(refused.admitted, false, `${limit} by ${protocol}`);
      assert.match(String(refused.fields.ratelimit), /^"all";r=0;t=\d+$/, `${limit} by ${protocol}`);
      assert.match(String(refused.fields['ratelimit-policy']), /^"all";q=\d;w=\d+$/);
      const again = refused.fields[protocol === 'grpc' ? 'grpc-retry-pushback-ms' : 'retry-after'];
      assert.ok(Number(again) > 0, `${limit} by ${protocol}: ${again}`);
    }
  }
});

const PATHS = ['/a.A/A', '/a.A/A', '/a.A/A', '/b.B/B', '/c.C/C', '/d.D/D'].map((path) => ({ path }));

test('callers are told apart by what a limit says; of several all are needed; dry-run only counts', async (context) => {
  const token = (sub: string): Asked => {
    const claims = Buffer.from(JSON.stringify({ sub, org: { id: sub } })).toString('base64url');
    return { headers: { authorization: `Bearer e30.${claims}.c2ln` } };
  };
  const field = (name: string, value: string): Asked => ({ headers: { [name]: value } });
  const from = (last: number): Asked => ({ from: `127.0.0.${last}` });
  const forged = [2, 3, 4].map((last) => field('x-forwarded-for', `127.0.0.${last}`));
  const twice = (one: Asked, other: Asked) => [one, one, other, other, one];
  const cases: readonly (readonly [limit: string, asked: readonly Asked[], told: string])[] = [
    ['1/d by ip', twice(from(2), from(3)), '+-+--'],
    // Strangers have no identity: their address tells them apart.
    ['1/d by client', twice(from(2), from(3)), '+-+--'],
    ['1/d by ip', forged, '+--'],
    ['1/d by client', forged, '+--'],
    ['1/d by path', twice({ path: '/a.A/A?x=1' }, { path: '/b.B/B' }), '+-+--'],
    ['1/d by header:x-user', twice(field('x-user', 'a'), field('x-user', 'b')), '+-+--'],
    ['1/d by claim:sub', twice(token('a'), token('b')), '+-+--'],
    ['1/d by claim:org.id', twice(token('a'), token('b')), '+-+--'],
    ['1/d by api-key', twice(field('x-api-key', 'a'), field('x-api-key', 'b')), '+-+--'],
    ['1/d by ip,path', twice({ path: '/a.A/A' }, { path: '/a.A/A', ...from(2) }), '+-+--'],
    ['window 1/d by header:x-user', [{}, {}, field('x-user', 'a'), {}], '+-+-'],
    ['3/d; window 1/d by path; concurrent 5', PATHS, '+--++-'],
    ['1/d dry-run', [{}, {}, {}], '+++'],
    // One that only counts takes nothing from one that does not.
    ['window 1/d by path dry-run; 3/d', [{}, {}, {}, {}], '+++-'],
  ];
  const { callers, metric } = await limited(
    context,
    cases.map(([limit]) => limit),
  );
  for (const { protocol, ask: one } of callers)
    for (const [index, [limit, asked, told]] of cases.entries())
      assert.equal(await admitted(one, `${protocol}-${index}.t`, asked), told, `${limit} by ${protocol}`);
  for (const { protocol } of callers) {
    const quota = `quota="t/${protocol}-12#token-bucket:86400000:"`;
    const counted = (result: string) =>
      metric('tulle_rate_limit_requests_total', `${quota},result="${result}"`);
    assert.deepEqual([await counted('admitted'), await counted('would_refuse')], [1, 2], protocol);
  }
});

test('dry-run refuses nobody, whatever the limit: what it would refuse is counted and explained', async (context) => {
  const limits = [
    '1/d',
    '1/d exact',
    'window 1/d',
    'estimate 1/d by path',
    'concurrent 1',
    '1/d on-outage deny',
  ];
  const { callers, metric, admin } = await limited(
    context,
    limits.map((limit) => `${limit} dry-run`),
  );
  for (const { protocol, ask: one, app } of callers) {
    for (const [index, limit] of limits.entries()) {
      const [host, what] = [`${protocol}-${index}.t`, `${limit} by ${protocol}`];
      // It is under way while the next come.
      const first = one(host, { headers: { 'x-hold': '1' } });
      await until('it at the application', () => app.held.length === 1);
      for (let more = 0; more < 2; more++) {
        const { admitted: in_, fields } = await one(host);
        assert.ok(in_, what);
        for (const name of ['ratelimit', 'ratelimit-policy', 'retry-after'])
          assert.equal(fields[name], undefined, what);
      }
      // A gateway gives each request an id of its own, and tells it only where it refuses.
      await until(`an explanation of ${what}`, async () => {
        const explained = await (await fetch(`http://${admin}/explain`)).text();
        return explained.includes(`of t/${protocol}-${index} is used up (dry-run)`);
      });
      app.held.shift()?.();
      assert.ok((await first).admitted, what);
    }
  }
  const judged = (result: string) => metric('tulle_rate_limit_requests_total', `result="${result}"`);
  const services = callers.length * limits.length;
  assert.deepEqual(
    [await judged('admitted'), await judged('would_refuse'), await judged('refused')],
    [services, 2 * services, 0],
  );
});

test('as many requests at once as a limit of concurrency says; a place is free when its request is over', async (context) => {
  const { callers } = await limited(context, ['concurrent 2', 'concurrent 1 by header:x-user']);
  for (const { protocol, ask: one, app } of callers) {
    const host = `${protocol}-0.t`;
    const hold = { headers: { 'x-hold': '1' } };
    const pending = [one(host, hold), one(host, hold)];
    await until('both at the application', () => app.held.length === 2);
    const refused = await one(host);
    assert.equal(refused.admitted, false, protocol);
    assert.equal(refused.fields['ratelimit-policy'], '"all";q=2;qu="concurrent-requests"');
    app.held.shift()?.();
    await Promise.race(pending);
    assert.equal((await one(host)).admitted, true, protocol);
    app.held.shift()?.();
    for (const { admitted: in_ } of await Promise.all(pending)) assert.ok(in_, protocol);
    const mine = one(`${protocol}-1.t`, { headers: { 'x-hold': '1', 'x-user': 'a' } });
    await until('it at the application', () => app.held.length === 1);
    const users = ['a', 'b'].map((user) => ({ headers: { 'x-user': user } }));
    assert.equal(await admitted(one, `${protocol}-1.t`, users), '-+', protocol);
    app.held.shift()?.();
    assert.ok((await mine).admitted);
  }
});

test('between sidecars the identity that was proved has a quota of its own, strangers another', async (context) => {
  const { address } = await startHttp1(context, (_request, response) => response.end());
  const annotations = { 'tulle.dev/rate-limit': '2/d by client' };
  const { outbound, inbound } = await meshProcesses(context, {
    name: 'app',
    application: address,
    annotations,
  });
  for (const at of [outbound, inbound]) {
    assert.equal(await admitted(byHttp1(at), 'app.shop', [{}, {}, {}]), '++-', 'by HTTP/1.1');
    assert.equal(
      await admitted(byHttp2(context, at), 'app.shop', [{}]),
      '-',
      'it is the same quota by HTTP/2',
    );
  }
});

test('an opaque connection counts as one request, is reset when there is none, and frees its place', async (context) => {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => void server.close());
  const { port } = server.address() as AddressInfo; // it listens by TCP
  const application = `127.0.0.1:${port}`;
  const annotations = { 'tulle.dev/rate-limit': 'concurrent 2 by client' };
  const called = { name: 'app', application, annotations };
  const { service } = await meshProcesses(context, called, { byAddress: true });
  const talk = async () => {
    const client = await rawClient(service);
    context.after(() => client.close());
    client.send('\x01hello');
    await until('an echo or the end', () => client.text !== '' || client.ended);
    return client;
  };
  const [first, second, third] = [await talk(), await talk(), await talk()];
  assert.deepEqual([first.text, second.text, third.text], ['\x01hello', '\x01hello', '']);
  first.close();
  await until('a free place', async () => {
    const next = await talk();
    next.close();
    return next.text === '\x01hello';
  });
});
