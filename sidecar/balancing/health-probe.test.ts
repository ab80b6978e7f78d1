import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { HealthCheck } from '../../protocol/traffic-policy.ts';
import { rawBackend } from '../../test/fixture/backend.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_2, HTTP_11 } from '../http/message-head.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { plainConnector } from '../upstream/connector.ts';
import { Endpoint } from '../upstream/endpoint.ts';
import { createPoolUse } from '../upstream/pool-use.ts';
import { HealthProbe } from './health-probe.ts';
import type { HealthVerdict } from './health-verdict.ts';

const HTTP: HealthCheck = { kind: 'http', target: '/healthz?deep=1', everyMs: 60_000, timeoutMs: 20_000 };
const TCP: HealthCheck = { ...HTTP, kind: 'tcp', target: '' };
const GRPC: HealthCheck = { ...HTTP, kind: 'grpc', target: '' };

/** An endpoint to ask, and what it says. */
function asking(context: TestContext, address: string, wheel = new TimerWheel()) {
  const endpoint = new Endpoint(
    { address, weight: 1 },
    {
      connector: plainConnector(address),
      use: createPoolUse(() => false),
      limits: { connections: 2, pending: 1, requests: 1, connectMs: 20_000, idleMs: 120_000 },
      engineLimits: DEFAULT_LIMITS,
      wheel,
    },
  );
  context.after(() => endpoint.retire());
  return {
    endpoint,
    ask: (check: HealthCheck, version = HTTP_11) =>
      new Promise<HealthVerdict>((resolve) => {
        new HealthProbe({ check, service: 'shop/orders', version }, endpoint, wheel, resolve).start();
      }),
  };
}

/** Listens until the test is over; returns the address. */
async function listening(context: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function http(context: TestContext, answer: RequestListener) {
  const server = createServer(answer);
  const counted = { connections: 0 };
  server.on('connection', () => counted.connections++);
  return { counted, ...asking(context, await listening(context, server)) };
}

test('HTTP: 200 to 399 is healthy, anything else is not, and is told', async (context) => {
  let status = 200;
  const { ask } = await http(context, (_request, response) => response.writeHead(status).end());
  for (status of [200, 204, 302, 399]) assert.deepEqual(await ask(HTTP), { healthy: true, words: '' });
  for (status of [400, 404, 500, 503])
    assert.deepEqual(await ask(HTTP), { healthy: false, words: `it answered ${status}` });
});

test('HTTP: what is asked for is the path, of the service by its name', async (context) => {
  const seen: string[] = [];
  const { ask } = await http(context, ({ method, url, headers }, response) => {
    seen.push(`${method} ${url} ${headers.host} ${headers['user-agent']?.split('/')[0]}`);
    response.writeHead(503, { 'tulle-reason': 'not-allowed' }).end();
  });
  assert.equal((await ask(HTTP)).words, 'it answered 503 (tulle-reason: not-allowed)');
  assert.deepEqual(seen, ['GET /healthz?deep=1 orders.shop tulle-health-check']);
});

test('HTTP: the connection is kept for the next probe', async (context) => {
  const { ask, counted, endpoint } = await http(context, (_request, response) => response.end('fine'));
  for (let i = 0; i < 3; i++) assert.equal((await ask(HTTP)).healthy, true);
  assert.deepEqual([counted.connections, endpoint.idleCount], [1, 1]);
});

test('HTTP: a kept connection that the server closes at the wrong moment is no failure', async (context) => {
  let answers = true;
  const backend = await rawBackend(({ socket }) => {
    if (answers) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
    answers = !answers;
  });
  context.after(() => backend.close());
  const { ask } = asking(context, backend.address);
  assert.equal((await ask(HTTP)).healthy, true);
  assert.equal((await ask(HTTP)).healthy, true);
  assert.equal(backend.connections.length, 2);
});

test('HTTP: a new connection that is closed without an answer is a failure', async (context) => {
  const backend = await rawBackend(({ socket }) => socket.end());
  context.after(() => backend.close());
  const { ask } = asking(context, backend.address);
  assert.deepEqual(await ask(HTTP), { healthy: false, words: 'it closed without a whole answer' });
  assert.equal(backend.connections.length, 1);
});

test('HTTP: who answers with a body without end has answered, and its connection is closed', async (context) => {
  const backend = await rawBackend(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    const more = () => {
      if (!socket.destroyed) socket.write(`8000\r\n${'x'.repeat(0x8000)}\r\n`, () => setImmediate(more));
    };
    more();
  });
  context.after(() => backend.close());
  const { ask } = asking(context, backend.address);
  assert.deepEqual(await ask(HTTP), { healthy: true, words: '' });
  await until('the end of it', () => backend.connections.every(({ closed }) => closed));
});

test('HTTP: what is no HTTP is a failure in words', async (context) => {
  const backend = await rawBackend(({ socket }) => socket.write('220 mail ESMTP\r\n'));
  context.after(() => backend.close());
  const { healthy, words } = await asking(context, backend.address).ask(HTTP);
  assert.equal(healthy, false);
  assert.match(words, /^the upstream's response: /);
});

test('who takes a connection and says nothing is given up after the timeout, and the connection with it', async (context) => {
  const clock = leapingClock(context);
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const { ask } = asking(context, backend.address, clock.wheel);
  const verdict = ask(HTTP);
  await until('the request', () => backend.received !== '');
  clock.leap(20_001);
  assert.deepEqual(await verdict, { healthy: false, words: 'no answer within 20000 ms' });
  await until('the end of it', () => backend.connections.every(({ closed }) => closed));
});

test('TCP: who takes a connection is healthy, and it is closed', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  assert.deepEqual(await asking(context, backend.address).ask(TCP), { healthy: true, words: '' });
  await until(
    'the end of it',
    () => backend.connections.length === 1 && backend.connections[0]?.closed === true,
  );
  assert.equal(backend.received, '');
});

test('who refuses the connection is not healthy, whatever was to be asked', async (context) => {
  const backend = await rawBackend(() => {});
  backend.close();
  const { ask } = asking(context, backend.address);
  for (const check of [TCP, HTTP, GRPC])
    assert.deepEqual(await ask(check), {
      healthy: false,
      words: `connect to ${backend.address}: ECONNREFUSED`,
    });
});

interface Call {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** A gRPC server that `answer`s each call, whose calls are kept. */
async function grpc(context: TestContext, answer: (stream: ServerHttp2Stream) => void) {
  const server = createHttp2Server();
  const calls: Call[] = [];
  const counted = { sessions: 0 };
  server.on('session', () => counted.sessions++);
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const parts: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => parts.push(bytes));
    stream.on('end', () => {
      calls.push({ headers, body: Buffer.concat(parts) });
      answer(stream);
    });
  });
  return { calls, counted, ...asking(context, await listening(context, server as unknown as Server)) };
}

const GRPC_HEAD = { ':status': 200, 'content-type': 'application/grpc' };

/** Answers a message with these bytes and a gRPC status. */
function answering(bytes: Uint8Array, status = 0): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    stream.respond(GRPC_HEAD, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
    stream.end(bytes);
  };
}

const SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
const NOT_SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 2]);

test('gRPC: SERVING is healthy; the call is that of grpc.health.v1, over one connection', async (context) => {
  const { ask, calls, counted } = await grpc(context, answering(SERVING));
  assert.deepEqual(await ask(GRPC), { healthy: true, words: '' });
  assert.deepEqual(await ask({ ...GRPC, target: 'my.Service' }), { healthy: true, words: '' });
  const [whole, named] = calls;
  assert.deepEqual(
    [':method', ':path', ':scheme', ':authority', 'content-type', 'te'].map((name) => whole?.headers[name]),
    ['POST', '/grpc.health.v1.Health/Check', 'http', 'orders.shop', 'application/grpc', 'trailers'],
  );
  assert.deepEqual(whole?.body, Buffer.alloc(5));
  assert.deepEqual(named?.body, Buffer.from('\0\0\0\0\x0c\x0a\x0amy.Service', 'latin1'));
  assert.equal(counted.sessions, 1);
});

test('gRPC: any other status of the service is not healthy, and is told', async (context) => {
  let bytes: Uint8Array = NOT_SERVING;
  let status = 0;
  const { ask } = await grpc(context, (stream) => answering(bytes, status)(stream));
  assert.deepEqual(await ask(GRPC), { healthy: false, words: 'it is NOT_SERVING' });
  bytes = Buffer.alloc(5);
  assert.deepEqual(await ask(GRPC), { healthy: false, words: 'it is UNKNOWN' });
  for (bytes of [Buffer.alloc(0), Buffer.from('SERVING'), Buffer.alloc(5000)])
    assert.deepEqual(await ask(GRPC), { healthy: false, words: 'its answer is no HealthCheckResponse' });
  bytes = SERVING;
  status = 14;
  assert.deepEqual(await ask(GRPC), { healthy: false, words: 'it answered gRPC status 14' });
});

test('gRPC: a server that has no health service is healthy, and it is said', async (context) => {
  let head: Record<string, string | number> = { ...GRPC_HEAD, 'grpc-status': 12 };
  const { ask } = await grpc(context, (stream) => stream.respond(head, { endStream: true }));
  const odd = {
    healthy: true,
    words: 'it has no health service (grpc.health.v1.Health is not implemented)',
  };
  assert.deepEqual(await ask(GRPC), odd);
  head = { ':status': 404 };
  assert.deepEqual(await ask(GRPC), odd);
});

test('gRPC: a failure without a message is told; a sidecar that knows no such service is none of a server without health service', async (context) => {
  let head: Record<string, string | number> = {};
  const { ask } = await grpc(context, (stream) => stream.respond(head, { endStream: true }));
  for (const [answer, words] of [
    [{ 'grpc-status': 5, 'grpc-message': 'unknown service' }, 'it answered gRPC status 5, unknown service'],
    [
      { 'grpc-status': 12, 'tulle-reason': 'no-service' },
      'it answered gRPC status 12 (tulle-reason: no-service)',
    ],
    [{}, 'it answered 200 without a gRPC status'],
    [{ ':status': 503 }, 'it answered 503 without a gRPC status'],
  ] as const) {
    head = { ...GRPC_HEAD, ...answer };
    assert.deepEqual(await ask(GRPC), { healthy: false, words });
  }
});

test('gRPC: a server that resets the stream is not healthy', async (context) => {
  const { ask } = await grpc(context, (stream) => stream.close(2));
  assert.deepEqual(await ask(GRPC), { healthy: false, words: 'it reset the stream (code 2)' });
});

test('gRPC: a server that answers without end is given up', async (context) => {
  const { ask } = await grpc(context, (stream) => {
    stream.respond(GRPC_HEAD);
    const more = () => {
      if (!stream.closed) stream.write(Buffer.alloc(0x8000), () => setImmediate(more));
    };
    more();
  });
  assert.equal((await ask(GRPC)).healthy, false);
});

test('HTTP is asked for in HTTP/2 where the service speaks it', async (context) => {
  const { ask, calls } = await grpc(context, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('fine');
  });
  assert.deepEqual(await ask(HTTP, HTTP_2), { healthy: true, words: '' });
  assert.deepEqual([calls[0]?.headers[':method'], calls[0]?.headers[':path']], ['GET', '/healthz?deep=1']);
});

test('a probe that is cancelled says nothing, and leaves no connection open', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const wheel = new TimerWheel();
  const { endpoint } = asking(context, backend.address, wheel);
  const verdicts: HealthVerdict[] = [];
  const probes = [HTTP, TCP].map(
    (check) =>
      new HealthProbe({ check, service: 'shop/orders', version: HTTP_11 }, endpoint, wheel, (verdict) =>
        verdicts.push(verdict),
      ),
  );
  const [asked, connecting] = probes;
  asked?.start();
  await until('the request', () => backend.received !== '');
  asked?.cancel();
  connecting?.start();
  connecting?.cancel();
  endpoint.retire();
  await until('the end of both', () => endpoint.connections === 0);
  assert.deepEqual(verdicts, []);
});
