import assert from 'node:assert/strict';
import { connect as connectPlain, createServer } from 'node:net';
import { before, type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { SpokenProtocol } from '../../protocol/spoken-protocol.ts';
import { answeringHost, seenOf } from '../../test/fixture/answering-host.ts';
import { rawBackend } from '../../test/fixture/backend.ts';
import { capturedHello } from '../../test/fixture/captured-hello.ts';
import { type RawClient, rawClient } from '../../test/fixture/client.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { Cluster } from '../balancing/cluster.ts';
import { connectionAdmission } from '../filters/admit-connection.ts';
import { composeChain } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { DEFAULT_LIMITS, type Limits } from '../http/limits.ts';
import { DEFAULT_HTTP2_LIMITS } from '../http2/http2-limits.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import { MESH_ALPN } from '../identity/mesh-alpn.ts';
import { SILENT } from '../log.ts';
import type { Plan } from '../routing/plan.ts';
import type { DetectLimits } from '../tcp/first-bytes.ts';
import { Recorder } from '../telemetry/recorder.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { plainConnector, splitAddress } from '../upstream/connector.ts';
import { accept } from './accept.ts';
import { Connections } from './connections.ts';
import { InboundListener } from './inbound-listener.ts';
import * as mtls from './mtls-parts.ts';

const authority = await testAuthority();
const app = await authority.identity('t/app');
const web = await authority.identity('t/web');

/** First flights of node:tls as they come on the wire, in latin1. */
let meshHello = '';
let otherHello = '';

before(async () => {
  meshHello = await hello(MESH_ALPN);
  otherHello = await hello('h2', 'http/1.1');
});

async function hello(...alpn: string[]): Promise<string> {
  return (await capturedHello({ ALPNProtocols: alpn })).toString('latin1');
}

function sourceOf(current: () => Identity | undefined): IdentitySource {
  return { current, onChange: () => () => {}, lastError: () => undefined, close() {} };
}

/** Knows how many sockets have not arrived yet. */
class WatchedConnections extends Connections {
  readonly notArrived = new Set<object>();

  override addArriving(socket: { destroy(): void }): () => void {
    const arrived = super.addArriving(socket);
    this.notArrived.add(socket);
    return () => {
      this.notArrived.delete(socket);
      arrived();
    };
  }
}

/** A listener before an application that answers `pong`. */
async function inbound(
  context: TestContext,
  {
    identity = app as Identity | undefined | (() => Identity | undefined),
    strict = false,
    limits = {} as Partial<Limits & DetectLimits>,
    spoken = 'detect' as SpokenProtocol,
    wheel = new TimerWheel(),
  } = {},
) {
  const application = await rawBackend(({ socket }) => socket.write('pong'));
  const connections = new WatchedConnections();
  const host = answeringHost(wheel);
  const warnings: string[] = [];
  const settings = { ...DEFAULT_SETTINGS, mtls: strict ? ('strict' as const) : ('permissive' as const) };
  const cluster = new Cluster('t/app', settings, {
    connectorFor: ({ address }) => plainConnector(address),
    engineLimits: DEFAULT_LIMITS,
    wheel: host.wheel,
    connectMs: 5000,
  });
  cluster.update([{ address: application.address, weight: 1, ready: true }], settings);
  const plan: Plan = {
    route: '',
    why: 'a test',
    service: 't/app',
    settings,
    retryBudget: new RetryBudget(),
    chain: composeChain([]),
    timeoutMs: 0,
    tryTimeoutMs: 0,
    backend: () => cluster,
  };
  const recorder = new Recorder('t/app', undefined);
  const hints: string[] = [];
  const log = {
    ...SILENT,
    info: (_details: object, message: string) => void hints.push(message),
    warn: (details: object, message: string) => void warnings.push(`${message} ${JSON.stringify(details)}`),
  };
  const workload = {
    key: 't/app',
    strict,
    spoken,
    plan: () => plan,
    isFor: (service: string) => service === 't/app',
    http: { host, limits: { ...DEFAULT_LIMITS, ...limits }, http2: DEFAULT_HTTP2_LIMITS, connections },
    opaque: {
      kind: 'inbound' as const,
      wheel: host.wheel,
      idleMs: 0,
      connections,
      recorder,
      detections: recorder.detections,
      log,
      admit: connectionAdmission([{ key: 't/app', namespace: 't', settings, access: [] }]),
      portOf: () => 80,
    },
  };
  const listener = new InboundListener({
    connections,
    log,
    wheel: host.wheel,
    limits: { ...DEFAULT_LIMITS, detectMs: 1000, ...limits },
    identity: identity && sourceOf(typeof identity === 'function' ? identity : () => identity),
    mtls: identity && mtls,
  });
  const acceptor = await accept('127.0.0.1:0', (socket) => listener.onSocket(socket, workload));
  context.after(() => {
    acceptor.stop();
    listener.close();
    connections.destroy();
    cluster.close();
    application.close();
  });
  return {
    address: acceptor.address,
    application,
    connections,
    host,
    warnings,
    hints,
    async client() {
      const client = await rawClient(acceptor.address);
      context.after(() => client.close());
      return client;
    },
  };
}

/** Sends each byte on its own. */
async function trickle(client: RawClient, text: string): Promise<void> {
  for (const byte of text) {
    client.send(byte);
    await turn();
  }
}

/** Passes a connection to `address` on, what the caller says a byte at a time for its first flight. */
async function tricklingTo(context: TestContext, address: string): Promise<string> {
  const server = createServer((socket) => {
    const onward = connectPlain({ ...splitAddress(address), noDelay: true });
    context.after(() => {
      socket.destroy();
      onward.destroy();
    });
    socket.on('error', () => {});
    onward.on('error', () => {});
    onward.pipe(socket);
    void (async () => {
      let sent = 0;
      for await (const bytes of socket as AsyncIterable<Buffer>) {
        let at = 0;
        for (; at < bytes.length && sent < meshHello.length; at++, sent++) {
          onward.write(bytes.subarray(at, at + 1));
          await turn();
        }
        onward.write(bytes.subarray(at));
      }
    })().catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => void server.close());
  const bound = server.address();
  return `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
}

/** All that comes back on mesh mTLS for a request for /x, until the end. */
function meshCall(context: TestContext, address: string, identity: Identity | undefined): Promise<string> {
  const socket = connect({
    ...splitAddress(address),
    ...(identity && { key: identity.keyPem, cert: identity.chainPem }),
    ca: authority.bundlePem,
    ALPNProtocols: [MESH_ALPN],
    checkServerIdentity: () => undefined,
  });
  context.after(() => socket.destroy());
  return new Promise((resolve) => {
    let text = '';
    socket.on('secureConnect', () =>
      socket.write('GET /x HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n'),
    );
    socket.on('data', (bytes) => {
      text += bytes.toString();
    });
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(text));
  });
}

const REQUEST = 'GET /x HTTP/1.1\r\nHost: app\r\n\r\n';

test('plain HTTP is served, also when it comes a byte at a time; the caller has an address and no identity', async (context) => {
  const { client, host, application, connections } = await inbound(context);
  const caller = await client();
  await trickle(caller, REQUEST);
  await caller.expect(seenOf({ path: '/x', mtls: false, peer: '' }));
  assert.equal(connections.notArrived.size, 0, 'nothing of it is kept but the connection');
  caller.send(REQUEST);
  await until('the second request', () => host.addresses.length === 2);
  assert.deepEqual(
    host.addresses,
    [1, 2].map(() => `127.0.0.1:${caller.socket.localPort}`),
  );
  assert.equal(application.connections.length, 0);
});

test('mesh mTLS is served with the identity that the caller proved', async (context) => {
  const { address, warnings, connections } = await inbound(context);
  const text = await meshCall(context, address, web);
  assert.ok(text.includes(seenOf({ path: '/x', mtls: true, peer: 't/web' })), text);
  assert.deepEqual(warnings, []);
  await until('nothing of it is kept', () => connections.count + connections.notArrived.size === 0);
});

test('mesh mTLS whose first flight comes a byte at a time is served', async (context) => {
  const { address } = await inbound(context);
  const text = await meshCall(context, await tricklingTo(context, address), web);
  assert.ok(text.includes(seenOf({ path: '/x', mtls: true, peer: 't/web' })), text);
});

test("the application's own TLS passes through unchanged, also when it comes a byte at a time", async (context) => {
  const { client, application, connections } = await inbound(context);
  const caller = await client();
  await trickle(caller, otherHello);
  await caller.expect('pong');
  caller.send('more');
  await until('all of it', () => application.received === `${otherHello}more`);
  assert.equal(connections.count, 1);
  caller.socket.end();
  await caller.untilEnd();
  assert.equal(application.connections[0]?.ended, true);
  await until('nothing of it is kept', () => connections.count + connections.notArrived.size === 0);
});

test('strict: an attacker who comes with TLS of its own does not reach the application', async (context) => {
  const { client, application, warnings } = await inbound(context, { strict: true });
  const caller = await client();
  caller.send(`${otherHello}more`);
  assert.equal(await caller.untilEnd(), '');
  assert.equal(application.connections.length, 0);
  assert.match(warnings.join('\n'), /^an opaque connection was refused .*mtls-required/);
});

test('strict: an attacker whose bytes only begin as TLS does not reach the application', async (context) => {
  const { client, application } = await inbound(context, { strict: true });
  for (const bytes of [
    '\x16\x03\x01\xff\xff',
    '\x16\x02\x00\x00\x05',
    '\x16\x03\x01\x00\x04\x02\x00\x00\x00',
  ]) {
    const caller = await client();
    caller.send(bytes);
    assert.equal(await caller.untilEnd(), '');
  }
  assert.equal(application.connections.length, 0);
});

test('an application that is away ends the connection of its caller', async (context) => {
  const { client, application, connections } = await inbound(context);
  application.close();
  const caller = await client();
  caller.send(otherHello);
  await caller.untilEnd();
  caller.close();
  await until('nothing of it is kept', () => connections.count + connections.notArrived.size === 0);
});

for (const [who, identity] of [
  ['without a certificate', async () => undefined],
  ['with a certificate of another authority', async () => (await testAuthority()).identity('t/web')],
] as const) {
  test(`an attacker ${who} gets no mesh mTLS`, async (context) => {
    const { address, warnings, connections, host } = await inbound(context);
    assert.equal(await meshCall(context, address, await identity()), '');
    await until('the warning', () => warnings.length === 1);
    assert.match(warnings.join('\n'), /^a mesh handshake failed /);
    assert.deepEqual([host.addresses, connections.count], [[], 0]);
  });
}

for (const [who, uri] of [
  ['of another trust domain', 'spiffe://evil.local/ns/t/sa/web'],
  ['of nobody', 'https://evil.test/'],
] as const) {
  test(`an attacker with a certificate ${who} is refused, though the authority signed it`, async (context) => {
    const { address, warnings, host } = await inbound(context);
    const { keyPem, chainPem } = await authority.issue('t/web', { names: [{ type: 'url', value: uri }] });
    assert.equal(await meshCall(context, address, { ...web, keyPem, chainPem }), '');
    await until('the warning', () => warnings.length === 1);
    assert.match(warnings.join('\n'), /^a mesh peer was refused /);
    assert.deepEqual(host.addresses, []);
  });
}

test('a mesh peer is not served before this proxy has a certificate, and is once it has one', async (context) => {
  let current: Identity | undefined;
  const { address, client, warnings, application } = await inbound(context, { identity: () => current });
  const early = await client();
  early.send(meshHello);
  assert.equal(await early.untilEnd(), '');
  assert.match(warnings.join('\n'), /^a mesh peer called, but this proxy has no certificate yet/);
  current = app;
  assert.match(await meshCall(context, address, web), /peer t\/web/);
  assert.equal(application.connections.length, 0, 'it is never passed on unread');
});

test('a mesh peer that calls a proxy without identity is not passed on to the application', async (context) => {
  const { client, application } = await inbound(context, { identity: () => undefined });
  const caller = await client();
  caller.send(meshHello);
  assert.equal(await caller.untilEnd(), '');
  assert.equal(application.connections.length, 0);
});

test('a client that says nothing is cut off when it has been idle too long', async (context) => {
  const { client } = await inbound(context, { spoken: 'http', limits: { idleMs: 30 } });
  assert.equal(await (await client()).untilEnd(), '');
});

test('an attacker who begins a hello and falls silent is cut off', async (context) => {
  const { client, application } = await inbound(context, { limits: { headMs: 30 } });
  const caller = await client();
  caller.send(meshHello.slice(0, 100));
  assert.equal(await caller.untilEnd(), '');
  assert.equal(application.connections.length, 0);
});

test('an attacker who never ends its hello, but sends a byte now and then, is cut off', async (context) => {
  const clock = leapingClock(context);
  const { client, application } = await inbound(context, { wheel: clock.wheel });
  const caller = await client();
  caller.send(meshHello.slice(0, 10));
  await turn();
  for (let at = 10; at < 18 && !caller.ended; at++) {
    clock.leap(2_000);
    caller.send(meshHello.charAt(at));
    await turn();
  }
  assert.equal(await caller.untilEnd(), '');
  assert.equal(application.connections.length, 0);
});

test('an attacker who sends a mesh hello and then nothing is cut off', async (context) => {
  const { client, warnings } = await inbound(context, { limits: { headMs: 50 } });
  const caller = await client();
  caller.send(meshHello);
  await until('the end', () => caller.ended);
  assert.match(warnings.join('\n'), /^a mesh handshake failed/);
});

test('a plain connection that is slow between its requests is not cut off by the limit of a hello', async (context) => {
  const clock = leapingClock(context);
  const { client } = await inbound(context, { wheel: clock.wheel });
  const caller = await client();
  caller.send(REQUEST);
  const { length } = await caller.expect('path /x');
  clock.leap(60_000);
  caller.send(REQUEST);
  await caller.expect('path /x', length);
});

for (const [when, text] of [
  ['before its first byte', () => ''],
  ['in the middle of its hello', () => otherHello.slice(0, 50)],
] as const) {
  test(`a client that half-closes ${when} is closed`, async (context) => {
    const { client, application } = await inbound(context);
    const caller = await client();
    caller.send(text());
    caller.socket.end();
    assert.equal(await caller.untilEnd(), '');
    assert.equal(application.connections.length, 0);
  });
}

test('a client that half-closes after its request gets its answer', async (context) => {
  const { client } = await inbound(context);
  const caller = await client();
  caller.socket.end(REQUEST);
  assert.match(await caller.untilEnd(), /path \/x/);
});

test('a client that resets its connection before it says anything does no harm', async (context) => {
  const { client } = await inbound(context);
  const gone = await client();
  gone.socket.resetAndDestroy();
  const caller = await client();
  caller.send(REQUEST);
  await caller.expect('path /x');
});

test('a drain waits neither for those who have said nothing yet nor for half a hello', async (context) => {
  const { client, connections } = await inbound(context);
  const silent = await client();
  const half = await client();
  half.send(otherHello.slice(0, 50));
  const plain = await client();
  plain.send(REQUEST);
  await plain.expect('path /x');
  assert.equal(connections.count, 1);
  plain.close();
  await until('it is gone', () => connections.count === 0);
  await connections.drain(600_000);
  for (const one of [silent, half]) assert.equal(await one.untilEnd(), '');
});

test('who waits for the server to speak reaches the application, and the log says once how to spare the wait', async (context) => {
  const { client, application, hints } = await inbound(context, { limits: { detectMs: 20 } });
  for (let count = 1; count <= 3; count++) {
    await client();
    await until('the connection', () => application.connections.length === count);
  }
  assert.equal(hints.length, 1);
  assert.match(hints[0] ?? '', /t\/app.*appProtocol: tcp.*tulle\.dev\/opaque-ports: "80"/);
});

test('strict: who waits for the server to speak does not reach the application', async (context) => {
  const { client, application, hints } = await inbound(context, {
    strict: true,
    spoken: 'opaque',
    limits: { detectMs: 20, headMs: 60 },
  });
  const caller = await client();
  await until('the end', () => caller.closed);
  assert.deepEqual([application.connections.length, hints], [0, []]);
});

test('an opaque service: HTTP passes unread, also where its engine would refuse it', async (context) => {
  const { client, application, host } = await inbound(context, { spoken: 'opaque' });
  const caller = await client();
  caller.send('GET / HTTP/9\r\n\r\n');
  await caller.expect('pong');
  assert.deepEqual([application.received, host.addresses], ['GET / HTTP/9\r\n\r\n', []]);
});
