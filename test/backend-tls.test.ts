import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import type { BackendTls } from '../protocol/backend-tls.ts';
import type { GatewayResource, ServiceResource } from '../protocol/resources.ts';
import { testAuthority } from '../sidecar/identity/authority.fixture.ts';
import { standIn, type Told } from '../sidecar/identity/control-plane.fixture.ts';
import { startSidecar } from '../sidecar/main.ts';
import {
  authority as backendAuthority,
  certified,
  dns,
  policy,
  tlsBackend,
} from '../sidecar/upstream/backend-tls.fixture.ts';
import { rawClient } from './fixture/client.ts';
import { temporaryDir } from './fixture/relay.ts';
import { gatewayResource, routeTo, serviceResource } from './fixture/told-services.ts';
import { until } from './fixture/wait.ts';

const GET = 'GET / HTTP/1.1\r\nhost: web.test\r\n\r\n';

/** A server of HTTPS that says how often it was called on a connection, and what it was shown. */
async function backend(context: TestContext, more: object = {}) {
  const options = { ...(await certified(dns('web.test'))), ...more };
  return tlsBackend(context, options, {
    onSocket(socket) {
      let calls = 0;
      socket.on('data', () => {
        const body = `call ${++calls}`;
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      });
    },
  });
}

/** A gateway whose control plane says what the test wants. */
async function gateway(context: TestContext, gatewayOf: Partial<GatewayResource> = {}) {
  const authority = await testAuthority();
  const plane = await standIn(context, authority);
  let version = 0;
  let told: Told | undefined;
  const say = (resource: GatewayResource | ServiceResource) =>
    told?.say({ type: 'resource', resource: { ...resource, version: `${++version}` } });
  plane.onResources = (stream) => {
    told = stream;
    stream.say({ type: 'welcome', version: 1, trustDomain: 'mesh.local', server: 'stand-in' });
    say({ ...gatewayResource('shop/edge', [routeTo('r', '/', { 'shop/web': 1 })]), ...gatewayOf });
  };
  const dir = temporaryDir(context);
  const { keyPem, chainPem } = await authority.issue('shop/edge');
  const files = { cert: chainPem, key: keyPem, bundle: authority.bundlePem };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const sidecar = await startSidecar({
    gateway: '127.0.0.1:0',
    gatewayName: 'shop/edge',
    controlPlane: [plane.address],
    identity: { cert: join(dir, 'cert'), key: join(dir, 'key'), bundle: join(dir, 'bundle') },
  });
  context.after(() => sidecar.close());
  const asked = (key: string) =>
    told?.messages.some((message) => message.type === 'subscribe' && JSON.stringify(message).includes(key));
  await until('the service to be asked for', () => asked('shop/web') === true);
  return {
    address: sidecar.addresses.gateway ?? '',
    gatewayIs: (more: Partial<GatewayResource>) =>
      say({ ...gatewayResource('shop/edge', [routeTo('r', '/', { 'shop/web': 1 })]), ...more }),
    serviceIs: (address: string, tls: BackendTls) =>
      say({ ...serviceResource('shop/web', { endpoints: [address] }), tls }),
  };
}

/** One request on a connection of its own. */
async function ask(context: TestContext, address: string, expected: string): Promise<string> {
  const client = await rawClient(address);
  context.after(() => client.close());
  client.send(GET);
  return client.expect(expected);
}

test('a gateway calls a service that speaks TLS itself by TLS, on connections that it keeps', async (context) => {
  const server = await backend(context);
  const edge = await gateway(context);
  edge.serviceIs(server.address, policy('web.test'));
  assert.match(await ask(context, edge.address, 'call 1'), /^HTTP\/1\.1 200/);
  await ask(context, edge.address, 'call 2');
  assert.deepEqual(server.serverNames, ['web.test']);
});

test('a changed policy holds for the next request: no connection of the old one serves it', async (context) => {
  const server = await backend(context);
  const edge = await gateway(context);
  edge.serviceIs(server.address, policy('web.test'));
  await ask(context, edge.address, 'call 1');
  const client = await rawClient(edge.address);
  context.after(() => client.close());
  edge.serviceIs(server.address, policy('other.test'));
  await until('a refusal', async () => {
    client.send(GET);
    return (await client.expect('\r\n\r\n')).includes('503');
  });
  const refused = await ask(context, edge.address, 'upstream-tls');
  assert.match(refused, /^HTTP\/1\.1 503[\s\S]*tulle-reason: upstream-tls/);
  edge.serviceIs(server.address, policy('web.test', { invalid: 'ConfigMap shop/ca does not exist' }));
  assert.match(await ask(context, edge.address, 'upstream-tls'), /^HTTP\/1\.1 503/);
});

test('TLS that is passed through is not wrapped once more', async (context) => {
  const server = await backend(context);
  const route = {
    ...routeTo('r', '/', { 'shop/web': 1 }),
    kind: 'TLSRoute',
    hostnames: ['web.test'],
  } as const;
  const edge = await gateway(context, { routes: [route] });
  edge.serviceIs(server.address, policy('elsewhere.test'));
  const [host, port] = edge.address.split(':');
  const { bundlePem } = backendAuthority;
  const client = connect({ host, port: Number(port), servername: 'web.test', ca: bundlePem });
  context.after(() => client.destroy());
  let text = '';
  client.on('error', (error) => {
    text = error.message;
  });
  client.on('data', (bytes) => {
    text += bytes.toString();
  });
  client.write(GET);
  await until('an answer', () => text !== '');
  assert.match(text, /^HTTP\/1\.1 200/);
  assert.deepEqual(server.serverNames, ['web.test']);
});

test("the gateway's certificate is presented, and a new one at once in its place", async (context) => {
  const server = await backend(context, {
    requestCert: true,
    ca: backendAuthority.bundlePem,
    rejectUnauthorized: true,
  });
  const [first, second] = [await certified(dns('a.test')), await certified(dns('b.test'))];
  const edge = await gateway(context, {
    clientCertificate: { certificate: first.cert, key: first.key },
  });
  edge.serviceIs(server.address, policy('web.test'));
  await ask(context, edge.address, 'call 1');
  edge.gatewayIs({ clientCertificate: { certificate: second.cert, key: second.key } });
  await until('a connection with the new certificate', async () => {
    await ask(context, edge.address, 'call ');
    return server.presented.length === 2;
  });
  assert.equal(new Set(server.presented).size, 2);
});
