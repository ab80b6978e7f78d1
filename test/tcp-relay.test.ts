import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { issueFiles } from '../control-plane/authority/issue-files.ts';
import { writeProxyHeader } from '../sidecar/tcp/proxy-header.ts';
import type { Backend } from './fixture/backend.ts';
import { rawBackend } from './fixture/backend.ts';
import { type RawClient, rawClient } from './fixture/client.ts';
import { explain, relay, temporaryDir } from './fixture/relay.ts';
import { metric, type TcpMeshOptions, tcpMesh } from './fixture/tcp-mesh.ts';
import { turn, until } from './fixture/wait.ts';

const TCP: TcpMeshOptions = { service: { protocol: 'tcp' } };

async function backend(
  context: TestContext,
  onText: Parameters<typeof rawBackend>[0] = ({ socket }, added) => void socket.write(`echo ${added}`),
): Promise<Backend> {
  const one = await rawBackend(onText);
  context.after(() => one.close());
  return one;
}

async function client(context: TestContext, address: string): Promise<RawClient> {
  const one = await rawClient(address);
  context.after(() => one.close());
  return one;
}

/** All that a connection gives until it is closed; it may be reset before it is told that it was made. */
function untilClosed(context: TestContext, address: string, text = ''): Promise<string> {
  const [host = '', port] = address.split(':');
  const socket = connect({ host, port: Number(port) });
  context.after(() => socket.destroy());
  socket.write(text);
  return new Promise((resolve) => {
    let got = '';
    socket.on('data', (bytes) => {
      got += bytes.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      got += error.code;
    });
    socket.on('close', () => resolve(got));
  });
}

test('bytes go through both sidecars by mTLS and are counted at both, with the identity of the caller', async (context) => {
  const app = await backend(context);
  const mesh = await tcpMesh(context, app.address, TCP);
  const caller = await client(context, mesh.address);
  caller.send('ping');
  await caller.expect('echo ping');
  assert.equal(app.received, 'ping', 'the application sees no header');
  const edges = [
    [mesh.outbound.admin, { reporter: 'source' }],
    [mesh.inbound.admin, { reporter: 'destination', source_principal: 'spiffe://mesh.local/ns/t/sa/web' }],
  ] as const;
  for (const [admin, labels] of edges) {
    const wanted = {
      ...labels,
      source_workload: 'web',
      destination_service_name: 'app',
      request_protocol: 'tcp',
      connection_security_policy: 'mutual_tls',
    };
    assert.equal(await metric(admin, 'istio_tcp_connections_opened_total', wanted), 1);
    assert.equal(await metric(admin, 'istio_tcp_connections_closed_total', wanted), 0);
    assert.equal(await metric(admin, 'istio_tcp_received_bytes_total', wanted), 4);
    assert.equal(await metric(admin, 'istio_tcp_sent_bytes_total', wanted), 9);
    assert.equal(await metric(admin, 'tulle_connections_active'), 1);
  }
  caller.socket.end();
  assert.equal(await caller.untilEnd(), 'echo ping');
  for (const [admin] of edges) {
    await until('the end', async () => (await metric(admin, 'istio_tcp_connections_closed_total')) === 1);
    assert.equal(await metric(admin, 'tulle_tcp_failures_total'), 0);
  }
});

test('a server that speaks first is waited for no longer than the detect timeout', async (context) => {
  const app = await backend(context, () => {});
  const greeting = new Set<object>();
  const greet = () => {
    for (const { socket } of app.connections)
      if (!greeting.has(socket)) {
        greeting.add(socket);
        socket.write('220 mail.test ESMTP\r\n');
      }
  };
  const mesh = await tcpMesh(context, app.address, { outbound: { detectMs: 30 } });
  for (let round = 1; round <= 2; round++) {
    const caller = await client(context, mesh.address);
    await until('the connection', () => app.connections.length === round);
    greet();
    await caller.expect('220 mail.test ESMTP\r\n');
    caller.send('QUIT\r\n');
    await until('the command', () => app.received.endsWith('QUIT\r\n'));
  }
  assert.equal(await metric(mesh.outbound.admin, 'tulle_detect_timeouts_total', { listener: 'outbound' }), 2);
});

test('an opaque port and a tcp service are not waited for', async (context) => {
  const app = await backend(context, () => {});
  for (const service of [{ protocol: 'tcp' }, { port: 3306 }]) {
    const mesh = await tcpMesh(context, app.address, { service, outbound: { detectMs: 600_000 } });
    const before = app.connections.length;
    await client(context, mesh.address);
    await until('the connection', () => app.connections.length === before + 1);
    assert.equal(await metric(mesh.outbound.admin, 'tulle_detected_protocols_total'), 0);
  }
});

test('what a client says first decides: HTTP is routed as HTTP, the rest passes unread, also a byte at a time', async (context) => {
  const app = await backend(context, ({ socket }, added) => {
    if (added.includes('HTTP/1.1')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    else socket.write(`got ${added}`);
  });
  const mesh = await tcpMesh(context, app.address, { outbound: { detectMs: 600_000 } });
  for (const slow of [false, true]) {
    for (const [text, answer] of [
      ['GET / HTTP/1.1\r\nHost: whatever\r\n\r\n', 'HTTP/1.1 200 OK'],
      ['PING\r\n', 'got'],
      ['*1\r\n$4\r\nPING\r\n', 'got'],
    ] as const) {
      const caller = await client(context, mesh.address);
      for (const piece of slow ? text : [text]) {
        caller.send(piece);
        await turn();
      }
      await caller.expect(answer);
    }
  }
  assert.match(app.received, /x-request-id: /, 'HTTP went through the engine');
  for (const { text } of app.connections)
    assert.ok(['PING\r\n', '*1\r\n$4\r\nPING\r\n'].includes(text) || text.startsWith('GET '), text);
  const detected = (protocol: string) =>
    metric(mesh.outbound.admin, 'tulle_detected_protocols_total', { listener: 'outbound', protocol });
  assert.deepEqual([await detected('http1'), await detected('opaque')], [2, 4]);
});

test('half-close is kept both ways through both sidecars', async (context) => {
  const app = await backend(context, () => {});
  const mesh = await tcpMesh(context, app.address, TCP);
  const caller = await client(context, mesh.address);
  caller.socket.end('question');
  await until('the FIN at the application', () => app.connections[0]?.ended === true);
  assert.equal(app.received, 'question');
  assert.equal(await caller.untilEnd(), '');
});

test('a server that half-closes first still gets what the client says', async (context) => {
  let text = '';
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.end('bye');
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      text += bytes.toString();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const bound = server.address();
  const mesh = await tcpMesh(
    context,
    `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`,
    TCP,
  );
  const caller = await client(context, mesh.address);
  assert.equal(await caller.untilEnd(), 'bye');
  caller.socket.end('late words');
  await until('the late words', () => text === 'late words');
});

test('a reset goes through both sidecars as one, both ways: a part is not taken for the whole', async (context) => {
  const app = await backend(context);
  const mesh = await tcpMesh(context, app.address, TCP);
  for (const side of ['client', 'server']) {
    const caller = await client(context, mesh.address);
    const errors: string[] = [];
    caller.socket.on('error', (error: NodeJS.ErrnoException) => errors.push(`client ${error.code}`));
    caller.send('x');
    await caller.expect('echo x');
    const server = app.connections.at(-1)?.socket ?? assert.fail();
    server.on('error', (error: NodeJS.ErrnoException) => errors.push(`server ${error.code}`));
    (side === 'client' ? caller.socket : server).resetAndDestroy();
    await until('the reset at the other end', () => errors.length > 0);
    assert.deepEqual(errors, [`${side === 'client' ? 'server' : 'client'} ECONNRESET`]);
  }
});

test('much goes through both sidecars unchanged, both ways at once', async (context) => {
  const hash = createHash('sha256');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const bound = server.address();
  const mesh = await tcpMesh(
    context,
    `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`,
    TCP,
  );
  const [host = '', port] = mesh.address.split(':');
  const caller = connect({ host, port: Number(port) });
  context.after(() => caller.destroy());
  let got = 0;
  caller.on('data', (bytes) => {
    hash.update(bytes);
    got += bytes.length;
  });
  const all = randomBytes(24 * 1024 * 1024);
  caller.end(all);
  await until('all of it', () => got >= all.length || caller.destroyed);
  assert.equal(hash.digest('hex'), createHash('sha256').update(all).digest('hex'));
});

test('allow: a caller that it names gets in, another is reset, and both sides know why', async (context) => {
  const app = await backend(context);
  const mesh = await tcpMesh(context, app.address, {
    ...TCP,
    annotations: { 'tulle.dev/allow': 'web' },
    callers: ['web', 'thief'],
  });
  const caller = await client(context, mesh.callers.get('web') ?? '');
  caller.send('x');
  await caller.expect('echo x');
  assert.equal(await untilClosed(context, mesh.callers.get('thief') ?? '', 'secret'), 'ECONNRESET');
  assert.equal(app.received, 'x');
  assert.equal(
    await metric(mesh.inbound.admin, 'tulle_tcp_failures_total', {
      reason: 'not-allowed',
      source_workload: 'thief',
    }),
    1,
  );
  const [told] = (await (await fetch(`http://${mesh.inbound.admin}/explain`)).json()) as { id: string }[];
  const { reason, detail, method, peer } = await explain(mesh.inbound.admin, told?.id ?? '');
  assert.deepEqual(
    [reason, method, peer, detail],
    ['not-allowed', 'TCP', 't/thief', 't/thief may not call t/app: tulle.dev/allow "web" of t/app'],
  );
});

test('strict: an attacker in plain text does not reach the application, a sidecar does', async (context) => {
  const app = await backend(context);
  const mesh = await tcpMesh(context, app.address, { ...TCP, annotations: { 'tulle.dev/mtls': 'strict' } });
  for (const text of ['PING\r\n', '\u0000\u0001', '\u0016\u0003\u0001\u0000\u0004\u0002\u0000\u0000\u0000']) {
    assert.equal(await untilClosed(context, mesh.inbound.address, text), 'ECONNRESET');
  }
  assert.equal(app.connections.length, 0);
  assert.equal(await metric(mesh.inbound.admin, 'tulle_tcp_failures_total', { reason: 'mtls-required' }), 3);
  const caller = await client(context, mesh.address);
  caller.send('x');
  await caller.expect('echo x');
});

test('permissive: plain clients of an opaque service get in, those too that wait for the server', async (context) => {
  const app = await backend(context, () => {});
  const mesh = await tcpMesh(context, app.address, { ...TCP, inbound: { detectMs: 30 } });
  const speaks = await client(context, mesh.inbound.address);
  speaks.send('HELLO');
  await until('the word', () => app.received === 'HELLO');
  await client(context, mesh.inbound.address);
  await until('the silent one', () => app.connections.length === 2);
  app.connections[1]?.socket.write('greeting');
});

test('a connect that fails is tried at another endpoint with the first bytes; one that nobody takes is reset and told', async (context) => {
  const app = await backend(context);
  const mesh = await tcpMesh(context, app.address, {
    ...TCP,
    annotations: { 'tulle.dev/balance': 'round-robin' },
    endpoints: ['127.0.0.1:1'],
  });
  for (let round = 0; round < 4; round++) {
    const caller = await client(context, mesh.address);
    caller.send(`x${round}`);
    await caller.expect(`echo x${round}`);
  }
  const nobody = await relay(
    context,
    { services: [{ name: 'app', namespace: 't', port: 7000, protocol: 'tcp', endpoints: ['127.0.0.1:1'] }] },
    { outboundServices: [{ service: 't/app', address: '127.0.0.1:0' }] },
  );
  const lost = nobody.addresses.outboundServices?.['t/app'] ?? '';
  assert.equal(await untilClosed(context, lost), 'ECONNRESET');
  assert.equal(await metric(nobody.admin, 'tulle_tcp_failures_total', { reason: 'connect-failed' }), 1);
  const [told] = (await (await fetch(`http://${nobody.admin}/explain`)).json()) as { attempts: object[] }[];
  assert.equal(told?.attempts.length, 3);
});

test('no connection is tried again where it failed, while there is an endpoint that was not tried', async (context) => {
  const app = await backend(context);
  const dead = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3'];
  const annotations = {
    'tulle.dev/balance': 'random',
    'tulle.dev/retries': '3 on connect',
    'tulle.dev/circuit-breaker': 'off',
  };
  const { address } = await tcpMesh(context, app.address, {
    ...TCP,
    annotations,
    endpoints: dead,
  });
  for (let round = 0; round < 12; round++) {
    const caller = await client(context, address);
    caller.send(`x${round}`);
    await caller.expect(`echo x${round}`);
  }
});

test('the limit of connections holds for opaque ones, and a place that comes free is used', async (context) => {
  const app = await backend(context);
  const mesh = await tcpMesh(context, app.address, {
    ...TCP,
    annotations: { 'tulle.dev/limits': 'connections 1' },
  });
  const first = await client(context, mesh.address);
  first.send('x');
  await first.expect('echo x');
  assert.equal(await untilClosed(context, mesh.address), 'ECONNRESET');
  assert.equal(await metric(mesh.outbound.admin, 'tulle_tcp_failures_total', { reason: 'pool-full' }), 1);
  first.socket.end();
  await first.untilEnd();
  await until('a place', async () => (await metric(mesh.outbound.admin, 'tulle_connections_active')) === 0);
  const third = await client(context, mesh.address);
  third.send('y');
  await third.expect('echo y');
});

/** Speaks mesh mTLS with the certificate of `t/web`, and says `first` as an opaque stream. Returns all that comes back. */
async function meshStream(
  context: TestContext,
  identity: { cert: string; key: string; bundle: string },
  address: string,
  first: Buffer | string,
): Promise<string> {
  const [host = '', port] = address.split(':');
  const socket = tlsConnect({
    host,
    port: Number(port),
    key: readFileSync(identity.key),
    cert: readFileSync(identity.cert),
    ca: readFileSync(identity.bundle),
    ALPNProtocols: ['tulle/1+tcp'],
    checkServerIdentity: () => undefined,
  });
  context.after(() => socket.destroy());
  socket.on('secureConnect', () => socket.write(first));
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

test('an attacker of the mesh whose stream is for another service, or for none, does not reach the application', async (context) => {
  const app = await backend(context);
  const dir = temporaryDir(context);
  const identityOf = (workload: string) => issueFiles(join(dir, 'ca'), 'mesh.local', workload);
  const inbound = await relay(
    context,
    { services: [{ name: 'app', namespace: 't', port: 7000, protocol: 'tcp' }] },
    {
      inbound: '127.0.0.1:0',
      workload: { service: 't/app', address: app.address },
      identity: await identityOf('t/app'),
    },
  );
  const web = await identityOf('t/web');
  const header = (service: string) =>
    writeProxyHeader({ service, port: 7000, source: undefined, destination: undefined });
  const say = (first: Buffer | string) => meshStream(context, web, inbound.address, first);
  assert.equal(await say(Buffer.concat([header('t/app'), Buffer.from('x')])), 'echo x');
  assert.equal(await say(Buffer.concat([header('t/other'), Buffer.from('y')])), '');
  assert.equal(await say('GET / HTTP/1.1\r\nHost: app\r\n\r\n'), '');
  assert.equal(app.received, 'x');
  assert.equal(await metric(inbound.admin, 'tulle_tcp_failures_total', { reason: 'wrong-service' }), 1);
});

/** A Gateway that passes TLS for `*.shop.test` on to `application`. */
function tlsEdge(application: string): object {
  const apiVersion = 'gateway.networking.k8s.io/v1';
  const namespace = 't';
  return {
    services: [{ name: 'db', namespace, port: 5432, endpoints: [application] }],
    gateway: [
      {
        apiVersion,
        kind: 'Gateway',
        metadata: { name: 'edge', namespace },
        spec: { listeners: [{ name: 'tls', port: 443, protocol: 'TLS' }] },
      },
    ],
    routes: [
      {
        apiVersion,
        kind: 'TLSRoute',
        metadata: { name: 'db', namespace },
        spec: {
          parentRefs: [{ name: 'edge' }],
          hostnames: ['*.shop.test'],
          rules: [{ backendRefs: [{ name: 'db' }] }],
        },
      },
    ],
  };
}

test('TLS of an application passes through unread: by the service of its listener, by its server name, and at a gateway by a TLSRoute', async (context) => {
  const dir = temporaryDir(context);
  const files = await issueFiles(join(dir, 'own'), 'other.test', 'o/app');
  const application = createTlsServer(
    { key: readFileSync(files.key), cert: readFileSync(files.cert) },
    (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    },
  );
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  context.after(() => application.close());
  const bound = application.address();
  const address = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  const mesh = await tcpMesh(context, address, { outbound: { outbound: '127.0.0.1:0', detectMs: 600_000 } });
  const say = (to: string, servername?: string): Promise<string> => {
    const [host = '', port] = to.split(':');
    const socket = tlsConnect({
      host,
      port: Number(port),
      rejectUnauthorized: false,
      ...(servername !== undefined && { servername }),
    });
    context.after(() => socket.destroy());
    socket.on('secureConnect', () => socket.write('ping'));
    return new Promise((resolve) => {
      socket.on('data', (bytes) => resolve(bytes.toString()));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      socket.on('close', () => resolve('closed'));
    });
  };
  const general = mesh.outbound.addresses.outbound ?? '';
  const edge = await relay(context, tlsEdge(address), { gateway: '127.0.0.1:0' });
  assert.equal(await say(edge.address, 'db.shop.test'), 'ping');
  assert.equal(await say(edge.address, 'shop.test'), 'ECONNRESET');
  assert.equal(await metric(edge.admin, 'tulle_tcp_failures_total', { reason: 'sni-unknown' }), 1);
  assert.equal(await say(mesh.address, 'whatever.test'), 'ping');
  assert.equal(await say(general, 'APP.t.svc.cluster.local'), 'ping');
  assert.equal(await say(general, 'www.example.com'), 'ECONNRESET');
  assert.equal(await say(general), 'ECONNRESET');
  const { admin } = mesh.outbound;
  assert.equal(await metric(admin, 'tulle_tcp_failures_total', { reason: 'sni-unknown' }), 2);
  assert.equal(await metric(admin, 'tulle_detected_protocols_total', { protocol: 'tls' }), 4);
  const toApp = { destination_service_name: 'app', connection_security_policy: 'mutual_tls' };
  assert.equal(await metric(admin, 'istio_tcp_connections_opened_total', toApp), 2);
  assert.equal(await metric(mesh.inbound.admin, 'istio_tcp_connections_opened_total', toApp), 2);
});
