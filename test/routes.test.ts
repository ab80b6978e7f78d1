import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { answering, type Backend, rawBackend, twoAnswering } from './fixture/backend.ts';
import { rawClient } from './fixture/client.ts';
import { explain, relay } from './fixture/relay.ts';
import { until } from './fixture/wait.ts';

const API = 'gateway.networking.k8s.io/v1';

interface Routed {
  readonly address: string;
  readonly admin: string;
  /** The whole answer to one request. */
  ask(head: string, body?: string): Promise<string>;
  drain(): Promise<void>;
}

/** A data plane whose service `app` has a route of `rules`; other services by name. */
async function routed(
  context: TestContext,
  services: Readonly<Record<string, { readonly address: string; readonly annotations?: object }>>,
  rules: readonly object[],
): Promise<Routed> {
  const proxy = await relay(context, {
    services: Object.entries(services).map(([name, { address, annotations = {} }]) => ({
      name,
      namespace: 't',
      port: 80,
      protocol: 'http',
      endpoints: [address],
      annotations,
    })),
    routes: [
      {
        apiVersion: API,
        kind: 'HTTPRoute',
        metadata: { name: 'r', namespace: 't' },
        spec: { parentRefs: [{ kind: 'Service', name: 'app' }], hostnames: ['outside.test'], rules },
      },
    ],
  });
  return {
    address: proxy.address,
    admin: proxy.admin,
    drain: () => proxy.drain(),
    async ask(head, body = '') {
      const client = await rawClient(proxy.address);
      const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
      client.send(`${head.trim().replaceAll('\n', '\r\n')}\r\n${length}Connection: close\r\n\r\n${body}`);
      const answer = await client.untilEnd();
      client.close();
      return answer;
    },
  };
}

/** Answers each request with what `answers` says next, the last one again and again. */
async function telling(context: TestContext, ...answers: string[]): Promise<Backend & { times: number[] }> {
  const times: number[] = [];
  const backend = await rawBackend(({ socket }, added) => {
    for (const _ of added.matchAll(/ HTTP\/1\.1\r\n/g)) {
      socket.write(answers[Math.min(times.length, answers.length - 1)] ?? '');
      times.push(performance.now());
    }
  });
  context.after(() => backend.close());
  return Object.assign(backend, { times });
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const FAILS = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n';

async function mirrorCount(admin: string, service: string, result: string): Promise<number> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  const line = `tulle_mirror_requests_total{service="${service}",result="${result}"} `;
  return Number(
    text
      .split('\n')
      .find((one) => one.startsWith(line))
      ?.slice(line.length) ?? 0,
  );
}

test('a preflight is answered by the route, and a page of an origin that is allowed may read the response', async (context) => {
  const app = await telling(
    context,
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\n\r\nok',
  );
  const cors = { allowOrigins: ['https://shop.test'], allowMethods: ['PUT'], allowCredentials: true };
  const { ask } = await routed(context, { app }, [
    { filters: [{ type: 'CORS', cors }], backendRefs: [{ name: 'app' }] },
  ]);
  const preflight = await ask(
    'OPTIONS /a HTTP/1.1\nHost: app\nOrigin: https://shop.test\nAccess-Control-Request-Method: PUT',
  );
  assert.match(preflight, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(preflight, /\r\naccess-control-allow-origin: https:\/\/shop\.test\r\n/);
  assert.match(preflight, /\r\naccess-control-allow-methods: PUT\r\n/);
  assert.match(preflight, /\r\ntulle-reason: cors-preflight\r\n/);
  assert.match(preflight, /\r\ncontent-length: 0\r\n[\s\S]*\r\n\r\n$/);
  assert.equal(app.received, '');
  const allowed = await ask('GET /a HTTP/1.1\nHost: app\nOrigin: https://shop.test');
  assert.deepEqual(allowed.match(/access-control-allow-origin: .*/gi), [
    'access-control-allow-origin: https://shop.test',
  ]);
  const stranger = await ask('GET /a HTTP/1.1\nHost: app\nOrigin: https://evil.test');
  assert.match(stranger, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(stranger, /access-control-allow-origin/i);
});

test('a page of an origin that is allowed may also read what Tulle answers itself', async (context) => {
  const cors = { allowOrigins: ['https://shop.test'] };
  const app = await answering();
  context.after(() => app.close());
  const { ask } = await routed(context, { app }, [{ filters: [{ type: 'CORS', cors }] }]);
  const answer = await ask('GET /a HTTP/1.1\nHost: app\nOrigin: https://shop.test');
  assert.match(answer, /^HTTP\/1\.1 500 [\s\S]*\r\naccess-control-allow-origin: https:\/\/shop\.test\r\n/);
});

test('a rule without a backend, or whose backends have no weight, answers 500', async (context) => {
  const app = await answering();
  context.after(() => app.close());
  const none = { path: { value: '/none' } };
  const { ask } = await routed(context, { app }, [
    { matches: [none] },
    { backendRefs: [{ name: 'app', weight: 0 }] },
  ]);
  for (const path of ['/none', '/zero'])
    assert.match(
      await ask(`GET ${path} HTTP/1.1\nHost: app`),
      /^HTTP\/1\.1 500 [\s\S]*tulle-reason: no-backend/,
    );
  assert.equal(app.received, '');
});

test('each backend gets and gives its own header changes', async (context) => {
  const [v1, v2] = await twoAnswering(context);
  const modifies = (value: string) => [
    { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'Backend', value }] } },
    { type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'served-by', value }] } },
  ];
  const { ask } = await routed(context, { app: v1, v1, v2 }, [
    {
      backendRefs: [
        { name: 'v1', weight: 1, filters: modifies('one') },
        { name: 'v2', weight: 1, filters: modifies('two') },
      ],
    },
  ]);
  const served = new Set<string>();
  for (let i = 0; i < 1000 && served.size < 2; i++)
    served.add(
      /served-by: (\w+)/.exec(await ask('GET / HTTP/1.1\nHost: app\nBackend: caller'))?.[1] ?? 'none',
    );
  assert.deepEqual([...served].sort(), ['one', 'two']);
  assert.deepEqual(new Set(v1.received.match(/Backend: \w+/g)), new Set(['Backend: one']));
  assert.deepEqual(new Set(v2.received.match(/Backend: \w+/g)), new Set(['Backend: two']));
});

test("a rule's retries take the place of the service's: its codes, so often, and not before its backoff", async (context) => {
  const app = await telling(context, FAILS, FAILS, OK);
  const few = await telling(context, FAILS);
  const { ask } = await routed(context, { app, few }, [
    {
      matches: [{ path: { value: '/few' } }],
      retry: { attempts: 1, codes: [503] },
      backendRefs: [{ name: 'few' }],
    },
    {
      matches: [{ path: { value: '/other' } }],
      retry: { attempts: 3, codes: [500] },
      backendRefs: [{ name: 'few' }],
    },
    { retry: { attempts: 2, codes: [503], backoff: '30ms' }, backendRefs: [{ name: 'app' }] },
  ]);
  assert.match(await ask('GET / HTTP/1.1\nHost: app'), /^HTTP\/1\.1 200 OK/);
  const [first = 0, second = 0, third = 0] = app.times;
  assert.ok(second - first >= 30, `${second - first} ms`);
  assert.ok(third - second >= 60, `${third - second} ms`);
  assert.match(await ask('GET /few HTTP/1.1\nHost: app'), /^HTTP\/1\.1 503/);
  assert.equal(few.times.length, 2);
  assert.match(await ask('GET /other HTTP/1.1\nHost: app'), /^HTTP\/1\.1 503/);
  assert.equal(few.times.length, 3);
});

test('a POST that may have run is not made again by a rule, with a body or without', async (context) => {
  let asked = 0;
  const breaks = await rawBackend(({ socket }) => {
    asked++;
    socket.destroy();
  });
  context.after(() => breaks.close());
  const hangs = await telling(context, '');
  const { ask } = await routed(context, { app: breaks, hangs }, [
    {
      matches: [{ path: { value: '/hangs' } }],
      timeouts: { backendRequest: '50ms' },
      retry: { attempts: 2 },
      backendRefs: [{ name: 'hangs' }],
    },
    { retry: { attempts: 2 }, backendRefs: [{ name: 'app' }] },
  ]);
  for (const body of ['', 'hello']) {
    asked = 0;
    const head = `POST / HTTP/1.1\nHost: app${body === '' ? '\nContent-Length: 0' : ''}`;
    assert.match(await ask(head, body), /^HTTP\/1\.1 502 /);
    assert.equal(asked, 1, body);
  }
  assert.match(await ask('POST /hangs HTTP/1.1\nHost: app\nContent-Length: 0'), /^HTTP\/1\.1 504 /);
  assert.equal(hangs.times.length, 1);
  asked = 0;
  assert.match(await ask('DELETE / HTTP/1.1\nHost: app'), /^HTTP\/1\.1 502 /);
  assert.equal(asked, 3);
});

test('a client that goes away during a backoff ends the work, and one longer than the timeout of the rule is not begun', async (context) => {
  const app = await telling(context, FAILS);
  const { address, ask } = await routed(context, { app }, [
    {
      matches: [{ path: { value: '/timed' } }],
      timeouts: { request: '50ms' },
      retry: { attempts: 1, codes: [503], backoff: '1h' },
      backendRefs: [{ name: 'app' }],
    },
    { retry: { attempts: 1, codes: [503], backoff: '1h' }, backendRefs: [{ name: 'app' }] },
  ]);
  assert.match(await ask('GET /timed HTTP/1.1\nHost: app'), /^HTTP\/1\.1 503/);
  const client = await rawClient(address);
  client.send('GET / HTTP/1.1\r\nHost: app\r\n\r\n');
  await until('the first attempt', () => app.times.length === 2);
  client.close();
  assert.match(await ask('GET /timed HTTP/1.1\nHost: app'), /^HTTP\/1\.1 503/);
  assert.equal(app.times.length, 3);
});

test('an attempt that takes too long is tried again where the rule retries, and 0s is no limit', async (context) => {
  const slow = await rawBackend(({ socket, text }) => {
    const asked = text.split(' HTTP/1.1\r\n').length - 1;
    if (text.startsWith('GET /patient')) setTimeout(() => socket.write(OK), 100);
    else if (asked > 0 && slow.connections.length > 1) socket.write(OK);
  });
  context.after(() => slow.close());
  const { ask } = await routed(context, { app: { ...slow, annotations: { 'tulle.dev/timeout': '50ms' } } }, [
    {
      matches: [{ path: { value: '/patient' } }],
      timeouts: { request: '0s', backendRequest: '0s' },
      backendRefs: [{ name: 'app' }],
    },
    {
      timeouts: { request: '10s', backendRequest: '50ms' },
      retry: { attempts: 1 },
      backendRefs: [{ name: 'app' }],
    },
  ]);
  assert.match(
    await ask('GET /a HTTP/1.1\nHost: app'),
    /^HTTP\/1\.1 200 OK[\s\S]*tulle-retried: on try-timeout/,
  );
  assert.match(await ask('GET /patient HTTP/1.1\nHost: app'), /^HTTP\/1\.1 200 OK/);
});

test('a redirect replaces the prefix and keeps the port that was asked', async (context) => {
  const app = await answering();
  context.after(() => app.close());
  const requestRedirect = {
    path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' },
    statusCode: 307,
  };
  const { ask } = await routed(context, { app }, [
    { matches: [{ path: { value: '/old' } }], filters: [{ type: 'RequestRedirect', requestRedirect }] },
  ]);
  assert.match(
    await ask('GET /old/a?b HTTP/1.1\nHost: app:8080'),
    /^HTTP\/1\.1 307 [\s\S]*\r\nlocation: http:\/\/app:8080\/new\/a\?b\r\n/,
  );
});

const mirror = (name: string, more: object = {}) => ({
  type: 'RequestMirror',
  requestMirror: { backendRef: { name }, ...more },
});

test('mirrors get what the backend gets, with the changes of the rule, and their answers go nowhere', async (context) => {
  const [app, copy] = await twoAnswering(context);
  const failing = await telling(context, FAILS);
  const header = { set: [{ name: 'X-Set', value: 'rule' }], remove: ['x-secret'] };
  const { ask, admin } = await routed(context, { app, copy, failing }, [
    {
      filters: [
        mirror('copy'),
        { type: 'RequestHeaderModifier', requestHeaderModifier: header },
        mirror('failing'),
        mirror('copy', { percent: 0 }),
      ],
      backendRefs: [{ name: 'app' }],
    },
  ]);
  const answer = await ask('POST /a?b HTTP/1.1\nHost: app\nX-Secret: 1\nX-Request-Id: one-1', 'hello');
  assert.match(answer, /you asked for \/a\?b$/);
  await until('the copies', () => copy.received.endsWith('hello') && failing.received.endsWith('hello'));
  const lines = (text: string) =>
    text
      .split('\r\n')
      .map((line) => line.toLowerCase())
      .sort();
  assert.deepEqual(lines(copy.received), lines(app.received), 'the copy says the same');
  assert.match(copy.received, /^POST \/a\?b HTTP\/1\.1\r\nHost: app\r\n/);
  assert.doesNotMatch(copy.received, /secret/i);
  await until('the counters', async () => (await mirrorCount(admin, 't/copy', 'answered')) === 1);
  await until('the counters', async () => (await mirrorCount(admin, 't/failing', 'answered')) === 1);
  const explained = await explain(admin, 'one-1');
  assert.match(JSON.stringify(explained), /a copy goes to t\/copy/);
});

test('a chunked body is copied without its chunks', async (context) => {
  const [app, copy] = await twoAnswering(context);
  const { address } = await routed(context, { app, copy }, [
    { filters: [mirror('copy')], backendRefs: [{ name: 'app' }] },
  ]);
  const client = await rawClient(address);
  const head = 'PUT /c HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n';
  client.send(`${head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`);
  await until('the copy', () => copy.received.includes('abcde'));
  assert.match(copy.received, /\r\ncontent-length: 5\r\n\r\nabcde$/);
  client.close();
  assert.doesNotMatch(copy.received, /transfer-encoding/i);
});

test('a mirror that refuses, hangs or is unknown neither delays nor fails a request', async (context) => {
  const app = await answering();
  const hanging = await rawBackend(() => {});
  const refusing = await rawBackend(({ socket }) => socket.destroy());
  context.after(() => {
    for (const backend of [app, hanging, refusing]) backend.close();
  });
  const { ask, admin } = await routed(
    context,
    { app, hanging, refusing, empty: { address: '127.0.0.1:1' } },
    [
      {
        filters: [mirror('hanging'), mirror('refusing'), mirror('empty')],
        backendRefs: [{ name: 'app' }],
      },
    ],
  );
  for (let i = 0; i < 3; i++) assert.match(await ask('GET /a HTTP/1.1\nHost: app'), /^HTTP\/1\.1 200 OK/);
  await until('the copies', () => hanging.received.split('GET /a').length === 4);
  for (const name of ['refusing', 'empty'])
    await until(name, async () => (await mirrorCount(admin, `t/${name}`, 'failed')) === 3);
});

test('a body of more than 256 KiB is not copied, and a counter says so', async (context) => {
  const [app, copy] = await twoAnswering(context);
  const { ask, admin } = await routed(context, { app, copy }, [
    { filters: [mirror('copy')], backendRefs: [{ name: 'app' }] },
  ]);
  const most = 'x'.repeat(256 * 1024);
  assert.match(await ask('PUT /most HTTP/1.1\nHost: app', most), /^HTTP\/1\.1 200 OK/);
  await until('the copy', () => copy.received.endsWith(most));
  assert.match(await ask('PUT /more HTTP/1.1\nHost: app', `${most}x`), /^HTTP\/1\.1 200 OK/);
  assert.equal(await mirrorCount(admin, 't/copy', 'too-large'), 1);
  assert.doesNotMatch(copy.received, /PUT \/more/);
});

test('a request that its client does not finish is not copied', async (context) => {
  const [app, copy] = await twoAnswering(context);
  const { address, admin } = await routed(context, { app, copy }, [
    { filters: [mirror('copy')], backendRefs: [{ name: 'app' }] },
  ]);
  const client = await rawClient(address);
  client.send('PUT /half HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\nhalf');
  await until('the half', () => app.received.endsWith('half'));
  client.close();
  await until('the counter', async () => (await mirrorCount(admin, 't/copy', 'incomplete')) === 1);
  assert.equal(copy.received, '');
});

test('a drain waits for the copies that are on their way', async (context) => {
  const app = await answering();
  context.after(() => app.close());
  const copy = await rawBackend(() => {});
  context.after(() => copy.close());
  const { ask, drain } = await routed(context, { app, copy }, [
    { filters: [mirror('copy')], backendRefs: [{ name: 'app' }] },
  ]);
  await ask('GET / HTTP/1.1\nHost: app');
  await until('the copy', () => copy.received !== '');
  let drained = false;
  const draining = drain().then(() => {
    drained = true;
  });
  // Looks as often as a drain that does not wait would take to end.
  for (let look = 0; look < 10; look++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([drained, copy.connections[0]?.closed], [false, false]);
  copy.connections[0]?.socket.write(OK);
  await draining;
});
