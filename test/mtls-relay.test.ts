import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import { issueFiles } from '../control-plane/authority/issue-files.ts';
import { answering, type Backend, rawBackend } from './fixture/backend.ts';
import { rawClient } from './fixture/client.ts';
import { relay, temporaryDir } from './fixture/relay.ts';
import { until } from './fixture/wait.ts';

interface Pair {
  readonly backend: Backend;
  /** Outbound listeners, by the service account of the caller. */
  readonly callers: Map<string, string>;
  readonly inbound: string;
  readonly inboundAdmin: string;
}

/** An application behind an inbound sidecar, and callers each behind an outbound one. */
async function pair(
  context: TestContext,
  annotations: Record<string, string>,
  callers: readonly string[],
  endpointIdentity = 't/app',
): Promise<Pair> {
  const backend = await answering();
  context.after(() => backend.close());
  const dir = temporaryDir(context);
  const identityOf = (workload: string) => issueFiles(join(dir, 'ca'), 'mesh.local', workload);
  const service = (endpoints: object[]) => ({
    services: [{ name: 'app', namespace: 't', port: 80, endpoints, annotations }],
  });
  const inbound = await relay(context, service([]), {
    inbound: '127.0.0.1:0',
    workload: { service: 't/app', address: backend.address },
    identity: await identityOf('t/app'),
  });
  const outbound = new Map<string, string>();
  for (const caller of callers) {
    const proxy = await relay(context, service([{ address: inbound.address, identity: endpointIdentity }]), {
      outbound: '127.0.0.1:0',
      workload: { service: `t/${caller}`, address: '127.0.0.1:1' },
      identity: await identityOf(`t/${caller}`),
    });
    outbound.set(caller, proxy.address);
  }
  return { backend, callers: outbound, inbound: inbound.address, inboundAdmin: inbound.admin };
}

async function call(address: string | undefined): Promise<string> {
  const client = await rawClient(address ?? '');
  client.send('GET /x HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n');
  const text = await client.untilEnd();
  client.close();
  return text;
}

test('a caller that is allowed is served by mTLS; another is refused by name and rule; nobody else is let in', async (context) => {
  const mesh = await pair(context, { 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': 'web' }, [
    'web',
    'thief',
  ]);
  assert.match(await call(mesh.callers.get('web')), /you asked for \/x$/);
  const refused = await call(mesh.callers.get('thief'));
  assert.match(
    refused,
    /^HTTP\/1\.1 403 .*tulle-reason: not-allowed.*t\/thief may not call t\/app: tulle\.dev\/allow \\"web\\" of t\/app/s,
  );
  assert.equal(
    mesh.backend.received.split('GET /x').length - 1,
    1,
    'the refused call never reached the application',
  );
});

test('strict: a call in plain text past the sidecar is refused with its reason', async (context) => {
  const mesh = await pair(context, { 'tulle.dev/mtls': 'strict' }, []);
  assert.match(await call(mesh.inbound), /^HTTP\/1\.1 403 .*tulle-reason: mtls-required/s);
  assert.equal(mesh.backend.received, '');
});

test('permissive: plain text and mTLS are both served', async (context) => {
  const mesh = await pair(context, {}, ['web']);
  assert.match(await call(mesh.inbound), /you asked for \/x$/);
  assert.match(await call(mesh.callers.get('web')), /you asked for \/x$/);
});

test('allow without mTLS: a caller that proves nothing is refused, whatever headers it sends', async (context) => {
  const mesh = await pair(context, { 'tulle.dev/allow': 'web' }, []);
  const client = await rawClient(mesh.inbound);
  client.send(
    'GET /x HTTP/1.1\r\nHost: app\r\nX-Forwarded-Client-Cert: URI=spiffe://mesh.local/ns/t/sa/web\r\nConnection: close\r\n\r\n',
  );
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 403 .*tulle-reason: not-allowed/s);
  client.close();
});

test('an endpoint that proves another identity than expected gets no request', async (context) => {
  const mesh = await pair(context, { 'tulle.dev/retries': '0' }, ['web'], 't/somebody-else');
  const text = await call(mesh.callers.get('web'));
  assert.match(
    text,
    /^HTTP\/1\.1 503 .*tulle-reason: upstream-tls.*it proved to be t\/app, but t\/somebody-else was to be there/s,
  );
  assert.equal(mesh.backend.received, '');
});

test('AccessPolicies are not enforced yet: what they protect is refused, not left open', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const policy = {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { name: 'p', namespace: 't' },
    spec: { targetRef: { kind: 'Service', name: 'app' }, methods: ['GET'] },
  };
  const mesh = { services: [{ name: 'app', namespace: 't', port: 80 }], policies: [policy] };
  const inbound = await relay(context, mesh, {
    inbound: '127.0.0.1:0',
    workload: { service: 't/app', address: backend.address },
  });
  assert.match(await call(inbound.address), /^HTTP\/1\.1 403 .*tulle-reason: policy-not-enforced/s);
});

test("the application's own TLS passes through a permissive sidecar untouched, and is kept out by a strict one", async (context) => {
  const dir = temporaryDir(context);
  const files = await issueFiles(join(dir, 'other-ca'), 'other.test', 'o/app');
  const application = createTlsServer(
    { key: readFileSync(files.key), cert: readFileSync(files.cert), ALPNProtocols: ['own'] },
    (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    },
  );
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  context.after(() => application.close());
  const bound = application.address();
  const address = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  for (const mode of ['permissive', 'strict']) {
    const mesh = {
      services: [{ name: 'app', namespace: 't', port: 80, annotations: { 'tulle.dev/mtls': mode } }],
    };
    const proxy = await relay(context, mesh, {
      inbound: '127.0.0.1:0',
      workload: { service: 't/app', address },
      identity: await issueFiles(join(dir, 'ca'), 'mesh.local', 't/app'),
    });
    await call(proxy.address); // the policy is known from now on
    const [host = '', port] = proxy.address.split(':');
    const echoed = await new Promise<string>((resolve) => {
      const client = tlsConnect(
        { host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['own'] },
        () => client.write('ping'),
      );
      client.once('data', (bytes) => {
        resolve(bytes.toString());
        client.destroy();
      });
      client.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      client.once('close', () => resolve('closed'));
    });
    assert.equal(echoed === 'ping', mode === 'permissive', echoed);
  }
});

test('strangers at the edge are told the code only; they cannot choose the request id', async (context) => {
  const backend = await rawBackend(({ socket }) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
  );
  context.after(() => backend.close());
  const mesh = {
    services: [{ name: 'app', namespace: 't', port: 80, endpoints: [backend.address] }],
    gateway: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: { name: 'edge', namespace: 't' },
        spec: { listeners: [{ name: 'h', port: 80, protocol: 'HTTP' }] },
      },
    ],
    routes: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name: 'r', namespace: 't' },
        spec: {
          parentRefs: [{ kind: 'Gateway', name: 'edge' }],
          hostnames: ['shop.test'],
          rules: [{ backendRefs: [{ name: 'app' }] }],
        },
      },
    ],
  };
  const gateway = await relay(context, mesh, { gateway: '127.0.0.1:0' });
  const client = await rawClient(gateway.address);
  client.send(
    'GET / HTTP/1.1\r\nHost: shop.test\r\nX-Request-Id: forged\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\r\n',
  );
  await client.expect('\r\n\r\nok');
  assert.ok(!backend.received.includes('forged'));
  assert.match(backend.received, /x-forwarded-for: 10\.0\.0\.1, 127\.0\.0\.1\r\nx-forwarded-proto: http\r\n/);
  const from = client.text.length;
  client.send('GET /secret HTTP/1.1\r\nHost: internal.app\r\n\r\n');
  await client.expect('"requestId"', from);
  assert.match(client.text.slice(from), /^HTTP\/1\.1 404 .*tulle-reason: no-route/s);
  assert.ok(!client.text.slice(from).includes('detail'));
  client.close();
});

test('a certificate that has ended is believed by nobody: the caller is told so in words, the application sees nothing', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const dir = join(temporaryDir(context), 'ca');
  const service = (endpoints: object[]) => ({
    services: [
      { name: 'app', namespace: 't', port: 80, endpoints, annotations: { 'tulle.dev/retries': '0' } },
    ],
  });
  const ended = await issueFiles(dir, 'mesh.local', 't/app', 1_000);
  const inbound = await relay(context, service([]), {
    inbound: '127.0.0.1:0',
    workload: { service: 't/app', address: backend.address },
    identity: ended,
  });
  const web = await relay(context, service([{ address: inbound.address, identity: 't/app' }]), {
    outbound: '127.0.0.1:0',
    workload: { service: 't/web', address: '127.0.0.1:1' },
    identity: await issueFiles(dir, 'mesh.local', 't/web'),
  });
  const { validToDate } = new X509Certificate(readFileSync(ended.cert));
  await until('the end of the certificate', () => Date.now() > validToDate.getTime());
  assert.match(
    await call(web.address),
    /^HTTP\/1\.1 503 .*tulle-reason: upstream-tls.*certificate has expired/s,
  );
  assert.equal(backend.received, '');
  assert.match(await (await fetch(`http://${inbound.admin}/readyz`)).text(), /its certificate ended at/);
});
