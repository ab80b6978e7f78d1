import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { issueFiles } from '../../control-plane/authority/issue-files.ts';
import { mintJoinToken } from '../../control-plane/authority/join-token.ts';
import { rawBackend } from '../fixture/backend.ts';
import { rawClient } from '../fixture/client.ts';
import { delayingProxy } from '../fixture/delaying-proxy.ts';
import { meshProcesses } from '../fixture/mesh-pair.ts';
import { appMesh, temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle } from '../fixture/tulle.ts';
import { askHttp1 } from '../fixture/two-ways.ts';
import { until } from '../fixture/wait.ts';
import { answerOk, rawGrpcServer } from '../grpc/raw-server.ts';
import { ask, begin, openSession } from '../http2/client.ts';
import { startHttp1, startHttp2 } from '../http2/server.ts';
import { type SidecarProcess, sidecarOn } from './sidecar-process.ts';

const LIMIT = { timeout: 60_000 };
const PROTOCOLS = ['http', 'http2', 'grpc'] as const;
type Protocol = (typeof PROTOCOLS)[number];

type Headers = Readonly<Record<string, unknown>>;

/** An application that answers at `/now`, never at `/never`, and at `/drip` in the end, as long as bytes go to and fro. */
interface Application {
  readonly address: string;
  /** Heads of the requests that came, by id. */
  readonly seen: Map<string, Headers>;
  /** Ids of those whose stream or connection ended without an answer. */
  readonly left: Set<string>;
}

const DRIPS = 8;
const DRIP_MS = 400;

async function application(context: TestContext, protocol: Protocol): Promise<Application> {
  const seen = new Map<string, Headers>();
  const left = new Set<string>();
  if (protocol === 'http') {
    const { address } = await startHttp1(context, (asked, response) => {
      const id = String(asked.headers['x-request-id']);
      seen.set(id, asked.headers);
      response.on('close', () => response.writableFinished || left.add(id));
      if (asked.url === '/now') response.end();
      if (asked.url === '/drip')
        drip(
          (text) => response.write(text),
          () => response.end(),
        );
    });
    return { address, seen, left };
  }
  const serve: Parameters<typeof startHttp2>[1] = (stream, headers) => {
    const id = String(headers['x-request-id']);
    seen.set(id, headers);
    stream.resume();
    stream.on('close', () => stream.rstCode !== 0 && left.add(id));
    const path = headers[':path'];
    if (path === '/now' && protocol === 'grpc') answerOk(stream);
    else if (path === '/now') stream.respond({ ':status': 200 }, { endStream: true });
    else if (path === '/drip' && protocol === 'grpc') {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      // Empty messages.
      drip(
        () => stream.write(Buffer.alloc(5)),
        () => stream.end(),
      );
    } else if (path === '/drip') {
      stream.respond({ ':status': 200 });
      drip(
        (text) => stream.write(text),
        () => stream.end(),
      );
    }
  };
  const address =
    protocol === 'grpc' ? await rawGrpcServer(context, serve) : (await startHttp2(context, serve)).address;
  return { address, seen, left };
}

function drip(write: (text: string) => void, end: () => void): void {
  let left = DRIPS;
  const timer = setInterval(() => {
    write('x');
    if (--left > 0) return;
    clearInterval(timer);
    end();
  }, DRIP_MS);
}

interface Answer {
  readonly status: number;
  readonly reason: unknown;
  /** What the client got of a body. */
  readonly bytes: number;
}

/** Asks `host` at a path; the status is that of HTTP, of gRPC its own. */
type Ask = (host: string, path: string, headers?: Record<string, string>) => Promise<Answer>;

async function askBy(context: TestContext, protocol: Protocol, outbound: string): Promise<Ask> {
  if (protocol === 'http')
    return async (host, path, more = {}) => {
      const { status, headers, body } = await askHttp1(outbound, path, { host, ...more });
      return { status, reason: headers['tulle-reason'], bytes: body.length };
    };
  const session = await openSession(context, outbound);
  return async (host, path, more = {}) => {
    const asked = { ':authority': host, ':path': path, ...more };
    const call = { ...asked, ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const answer =
      protocol === 'grpc' ? await ask(session, call, Buffer.alloc(5)) : await ask(session, asked);
    const told = { ...answer.headers, ...answer.trailers };
    const status = protocol === 'grpc' ? Number(told['grpc-status']) : answer.status;
    return { status, reason: told['tulle-reason'], bytes: answer.body.length };
  };
}

interface Timed {
  readonly protocol: Protocol;
  readonly app: Application;
  readonly sidecar: SidecarProcess;
  readonly ask: Ask;
}

/** A sidecar for each protocol, with a service `sN` for each of these annotations, without their prefix. */
async function timed(
  context: TestContext,
  policies: readonly Readonly<Record<string, string>>[],
): Promise<readonly Timed[]> {
  return Promise.all(
    PROTOCOLS.map(async (protocol) => {
      const app = await application(context, protocol);
      const services = policies.map((policy, index) => ({
        ...{ name: `s${index}`, namespace: 't', port: 80, protocol, endpoints: [app.address] },
        annotations: Object.fromEntries(
          Object.entries(policy).map(([name, value]) => [`tulle.dev/${name}`, value]),
        ),
      }));
      const sidecar = await sidecarOn(context, { services });
      return { protocol, app, sidecar, ask: await askBy(context, protocol, sidecar.outbound) };
    }),
  );
}

const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

test(
  'what takes longer than timeout, try-timeout or idle-timeout ends with its reason, and at the server too',
  LIMIT,
  async (context) => {
    const policies = [
      { timeout: '300ms' },
      { 'try-timeout': '300ms' },
      { 'idle-timeout': '300ms' },
      { timeout: '300ms', 'try-timeout': '1h', 'idle-timeout': '1h', retries: '2 on 5xx,deadline-exceeded' },
    ];
    const reasons = ['request-timeout', 'try-timeout', 'idle-timeout', 'request-timeout'];
    const all = await timed(context, policies);
    await Promise.all(
      all.flatMap(({ protocol, app, ask: one }) =>
        reasons.map(async (reason, index) => {
          const id = `${protocol}-${index}`;
          const answer = await one(`s${index}`, '/never', { 'x-request-id': id });
          const ofGrpc = reason === 'idle-timeout' ? UNAVAILABLE : DEADLINE_EXCEEDED;
          assert.deepEqual([answer.status, answer.reason], [protocol === 'grpc' ? ofGrpc : 504, reason], id);
          await until(`the end of ${id} at the server`, () => app.left.has(id));
        }),
      ),
    );
  },
);

test('what moves is not idle, however long it takes, and has no other limit', LIMIT, async (context) => {
  // Longer than the longest rest that a busy machine makes between two drips, and shorter than all of them.
  const all = await timed(context, [
    { 'idle-timeout': `${(DRIPS - 1) * DRIP_MS}ms`, 'try-timeout': '30s' },
    {},
  ]);
  await Promise.all(
    all.flatMap(({ protocol, ask: one }) =>
      ['s0', 's1'].map(async (host) => {
        const { status, bytes } = await one(host, '/drip');
        const expected = protocol === 'grpc' ? [0, 5 * DRIPS] : [200, DRIPS];
        assert.deepEqual([status, bytes], expected, `${host} by ${protocol}`);
      }),
    ),
  );
});

test(
  'an attempt begins when its endpoint is chosen: who waits for configuration has its whole time',
  LIMIT,
  async (context) => {
    const dir = temporaryDir(context);
    const [file, state, tokenFile] = [join(dir, 'mesh.yaml'), join(dir, 'state'), join(dir, 'token')];
    const { address: app } = await application(context, 'http');
    const names = Array.from({ length: 10 }, (_, index) => `s${index}`);
    const services = names.map((name) => ({
      name,
      namespace: 't',
      port: 80,
      protocol: 'http',
      endpoints: [app],
    }));
    writeMesh(file, { services: [...services, { name: 'web', namespace: 't', port: 80 }] });
    const { ready } = await startTulle(
      context,
      ...['control-plane', '--mesh', file, '--state', state, '--listen', '127.0.0.1:0'],
    );
    const { address = '', bundle = '' } = ready;
    const proxy = await delayingProxy(Number(address.split(':').at(-1)));
    context.after(() => proxy.close());
    writeFileSync(tokenFile, await mintJoinToken(state, 't/web', 600_000), { mode: 0o600 });
    const sidecar = await startTulle(
      context,
      ...[
        'sidecar',
        '--control-plane',
        `127.0.0.1:${proxy.port}`,
        '--bundle',
        bundle,
        '--token-file',
        tokenFile,
      ],
      ...['--workload', 't/web=127.0.0.1:1', '--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
    );
    const { outbound = '', admin = '' } = sidecar.ready;
    proxy.delayMs = 100;
    // Who waits for too long is answered 503: the machine is slow, and another service is as good.
    for (const name of names) {
      const { status } = await askHttp1(outbound, '/now', { host: name, 'x-request-id': name });
      if (status !== 200) continue;
      const told = await fetch(`http://${admin}/explain/${name}`);
      const { attempts } = (await told.json()) as { attempts: { startMs: number; durationMs: number }[] };
      assert.ok((attempts[0]?.startMs ?? 0) >= 199, JSON.stringify(attempts));
      return;
    }
    assert.fail('no service was known in time');
  },
);

test('a connection, TLS included, takes no longer than connect-timeout', LIMIT, async (context) => {
  const silent = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  context.after(() => void silent.close());
  const bound = silent.address();
  const address = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  const { cert, key, bundle } = await issueFiles(join(temporaryDir(context), 'ca'), 'mesh.local', 't/web');
  const annotations = { 'tulle.dev/connect-timeout': '200ms', 'tulle.dev/retries': '1 on connect' };
  const services = PROTOCOLS.map((protocol) => ({
    ...{ name: protocol, namespace: 't', port: 80, protocol, annotations },
    endpoints: [{ address, identity: `t/${protocol}` }],
  }));
  const { outbound, explained } = await sidecarOn(
    context,
    { services },
    ...['--identity', `${cert},${key},${bundle}`],
  );
  await Promise.all(
    PROTOCOLS.map(async (protocol) => {
      const one = await askBy(context, protocol, outbound);
      const { status, reason } = await one(protocol, '/now', { 'x-request-id': protocol });
      const expected = [protocol === 'grpc' ? UNAVAILABLE : 503, 'connect-timeout'];
      assert.deepEqual([status, reason], expected, protocol);
      const { attempts } = await explained(protocol);
      assert.deepEqual(
        attempts.map(({ result }) => result),
        ['connect-timeout', 'connect-timeout'],
        protocol,
      );
    }),
  );
});

const SPENT_MS = 50;

/** Two sidecars before an application. */
async function pair(context: TestContext, protocol: Protocol, annotations: Record<string, string> = {}) {
  const app = await application(context, protocol);
  const called = { name: 'app', application: app.address, protocol, annotations };
  const mesh = await meshProcesses(context, called);
  return { app, mesh, ask: await askBy(context, protocol, mesh.outbound) };
}

/** What an application was told to be left of the time, in ms. */
function leftMs(protocol: Protocol, headers: Headers | undefined): number {
  if (protocol !== 'grpc') return Number(headers?.['tulle-timeout-ms']);
  const [, count, unit] = /^(\d+)([HMSmun])$/.exec(String(headers?.['grpc-timeout'])) ?? [];
  return Number(count) * { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 1e-6 }[unit as 'm'];
}

for (const protocol of PROTOCOLS)
  test(
    `${protocol}: the deadline goes on, shorter at each hop; what is too late is not sent; who goes away ends the work`,
    LIMIT,
    async (context) => {
      const {
        app,
        mesh,
        ask: one,
      } = await pair(context, protocol, {
        'tulle.dev/timeout': '50s',
        // By the caller's sidecar, so that there is time spent.
        'tulle.dev/fault': `delay ${SPENT_MS}ms 100% if header x-slow`,
      });
      const slow = { 'x-slow': 'yes' };
      const asking = (ms: number): Record<string, string> =>
        protocol === 'grpc' ? { 'grpc-timeout': `${ms}m` } : { 'tulle-timeout-ms': String(ms) };
      for (const [id, headers, most] of [
        ['own', {}, 50_000],
        ['nearer', asking(40_000), 40_000],
        ['farther', asking(90_000), 50_000],
      ] as const) {
        await one('app.shop', '/now', { 'x-request-id': id, ...slow, ...headers });
        const left = leftMs(protocol, app.seen.get(id));
        // Of gRPC it is rounded up.
        assert.ok(left > 0 && left <= most - SPENT_MS + 1, `${id}: ${left} of ${most}`);
      }
      const late = await one('app.shop', '/now', { 'x-request-id': 'late', ...slow, ...asking(1) });
      assert.equal(late.status, protocol === 'grpc' ? DEADLINE_EXCEEDED : 504);
      if (protocol !== 'grpc') {
        const over = await one('app.shop', '/now', { 'x-request-id': 'late', ...asking(0) });
        assert.deepEqual([over.status, over.reason], [504, 'deadline-exceeded']);
      }
      assert.equal(app.seen.has('late'), false);
      // A stranger's deadline is not believed: an endpoint would be blamed for what it had no time for.
      if (protocol !== 'grpc') {
        const stranger = await askBy(context, protocol, mesh.inbound);
        await stranger('app.shop', '/now', { 'x-request-id': 'stranger', ...asking(0) });
        assert.equal(app.seen.get('stranger')?.['tulle-timeout-ms'], undefined);
      }
      await goAway(context, protocol, mesh.outbound, () => app.seen.has('gone'));
      await until('the end of its work at the application', () => app.left.has('gone'));
    },
  );

/** Asks what is never answered, and goes away when it has arrived. */
async function goAway(
  context: TestContext,
  protocol: Protocol,
  outbound: string,
  arrived: () => boolean,
): Promise<void> {
  const headers = { 'x-request-id': 'gone' };
  if (protocol === 'http') {
    const [host, port] = outbound.split(':');
    const asked = request({ host, port, path: '/never', headers: { host: 'app.shop', ...headers } });
    asked.on('error', () => {});
    asked.end();
    await until('its arrival', arrived);
    asked.destroy();
    return;
  }
  const session = await openSession(context, outbound);
  const typed = protocol === 'grpc' ? { 'content-type': 'application/grpc', te: 'trailers' } : {};
  const stream = begin(session, { ':method': 'POST', ':path': '/never', ...typed, ...headers });
  stream.on('error', () => {});
  stream.end(Buffer.alloc(5));
  await until('its arrival', arrived);
  stream.close(8);
  await once(stream, 'close');
}

for (const [setting, reason, after] of [
  ['timeout', 'request-timeout', 'did not finish within timeout 200 ms'],
  ['try-timeout', 'try-timeout', 'did not answer within try-timeout 200 ms'],
] as const)
  test(
    `${setting}: who waits for a connection until it is over is told that others have them all, and no endpoint is blamed`,
    LIMIT,
    async (context) => {
      const addresses = await Promise.all([upgradingServer(context), upgradingServer(context)]);
      const sidecar = await sidecarOn(
        context,
        appMesh(addresses, {
          [`tulle.dev/${setting}`]: '200ms',
          'tulle.dev/limits': 'connections 1',
          'tulle.dev/circuit-breaker': 'failures 1, max-ejected 50%',
          'tulle.dev/retries': '0',
        }),
      );
      const tunnel = await rawClient(sidecar.outbound);
      tunnel.send('GET / HTTP/1.1\r\nHost: app\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
      await tunnel.expect('101 Switching');
      for (let i = 0; i < 3; i++) {
        const { status } = await askHttp1(sidecar.outbound, '/', { host: 'app', 'x-request-id': `w${i}` });
        assert.equal(status, 504);
        const explained = await sidecar.explained(`w${i}`);
        assert.equal(explained.reason, reason);
        const words = `${after}: others had all connections to t/app (limits: connections 1)`;
        assert.ok(explained.detail.endsWith(words), explained.detail);
      }
      assert.doesNotMatch(await sidecar.metrics(), /^tulle_ejections_total\{.*\} [1-9]/m);
      tunnel.close();
    },
  );

/** A server that switches to WebSocket whoever asks, and says nothing more. */
async function upgradingServer(context: TestContext): Promise<string> {
  const server = await rawBackend(({ socket }) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  context.after(() => server.close());
  return server.address;
}
