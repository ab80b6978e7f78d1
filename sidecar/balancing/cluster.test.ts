import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { Endpoint as EndpointDescription } from '../../protocol/endpoint.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { answering } from '../../test/fixture/backend.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_11 } from '../http/message-head.ts';
import type { Upstream } from '../http/upstream.ts';
import { ClientConnection } from '../http1/client-connection.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { plainConnector } from '../upstream/connector.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { Cluster } from './cluster.ts';

function at(address: string, more: Partial<EndpointDescription> = {}): EndpointDescription {
  return { address, weight: 1, ready: true, ...more };
}

function settings(more: Partial<TrafficSettings> = {}): TrafficSettings {
  return { ...DEFAULT_SETTINGS, ...more };
}

/** A cluster whose endpoints are all `address`, and whom connectors were made for. */
function clusterOf(context: TestContext, address = '127.0.0.1:1') {
  const connectors: string[] = [];
  const cluster = new Cluster('t/app', settings(), {
    connectorFor: (endpoint, carries, call) => {
      const how = endpoint.identity ?? call?.tls.serverName ?? 'plain';
      connectors.push(`${endpoint.address} ${how} ${carries}`);
      return plainConnector(address);
    },
    engineLimits: DEFAULT_LIMITS,
    wheel: new TimerWheel(),
    connectMs: 1000,
  });
  context.after(() => cluster.close());
  return { cluster, connectors };
}

/** Each endpoint has a connector for each version of HTTP. */
function both(endpoint: string): string[] {
  return [`${endpoint} http1`, `${endpoint} http2`];
}

function addresses(cluster: Cluster): string[] {
  return cluster.endpoints.map(({ address }) => address);
}

async function connected(endpoint: Endpoint | undefined): Promise<ClientConnection> {
  let connection: Upstream | undefined;
  let failed: string | undefined;
  connection = endpoint?.acquire(
    {
      onConnection: (one) => {
        connection = one;
      },
      onConnectFailed: ({ detail }) => {
        failed = detail;
      },
    },
    HTTP_11,
  );
  await until('a connection', () => connection !== undefined || failed !== undefined);
  assert.ok(connection instanceof ClientConnection, failed ?? 'no connection');
  return connection;
}

test('an endpoint that stays keeps its connections and its history; one that goes is retired', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster, connectors } = clusterOf(context, backend.address);
  cluster.update([at('a:1'), at('b:1')], settings());
  const [a, b] = cluster.endpoints;
  const connection = await connected(a);
  a?.onReusable(connection);
  assert.equal(a?.idleCount, 1);
  for (const now of [0, 10]) {
    cluster.balancer.started(a, now);
    cluster.balancer.finished(a, now + 10, 10, false);
  }
  cluster.update([at('c:1'), at('a:1', { weight: 5, zone: 'z2' })], settings());
  assert.deepEqual(addresses(cluster), ['c:1', 'a:1']);
  assert.equal(cluster.endpoints[1], a);
  assert.deepEqual([a.idleCount, a.weight, a.zone, a.retired], [1, 5, 'z2', false]);
  assert.ok(a.ewmaMs > 0);
  assert.equal(b?.retired, true);
  assert.deepEqual(connectors, [...both('a:1 plain'), ...both('b:1 plain'), ...both('c:1 plain')]);
});

test('the balancer is given a new array with every state: it keeps tables for the old one', (context) => {
  const { cluster } = clusterOf(context);
  cluster.update([at('a:1'), at('b:1')], settings());
  const before = cluster.endpoints;
  cluster.update([at('a:1', { weight: 9 }), at('b:1')], settings());
  assert.notEqual(cluster.endpoints, before);
});

test('an endpoint without weight, or not ready, is left out, and comes back', (context) => {
  const { cluster } = clusterOf(context);
  cluster.update([at('a:1'), at('b:1', { weight: 0 }), at('c:1', { ready: false })], settings());
  assert.deepEqual(addresses(cluster), ['a:1']);
  const [a] = cluster.endpoints;
  cluster.update([at('a:1', { ready: false }), at('b:1'), at('c:1')], settings());
  assert.deepEqual(addresses(cluster), ['b:1', 'c:1']);
  assert.equal(a?.retired, true);
  cluster.update([], settings());
  assert.equal(cluster.pick(undefined), undefined);
});

for (const [change, before, after] of [
  ['that has an identity from now on', undefined, 't/app'],
  ['that proves another identity from now on', 't/app', 't/other'],
  ['that has no identity any more', 't/app', undefined],
] as const) {
  test(`an endpoint ${change} is another endpoint: connections of the old are not used for it`, (context) => {
    const { cluster, connectors } = clusterOf(context);
    cluster.update([at('a:1', { identity: before })], settings());
    const [old] = cluster.endpoints;
    cluster.update([at('a:1', { identity: after })], settings());
    const [fresh] = cluster.endpoints;
    assert.notEqual(fresh, old);
    assert.deepEqual([old?.retired, fresh?.retired, fresh?.identity], [true, false, after]);
    assert.deepEqual(connectors, [...both(`a:1 ${before ?? 'plain'}`), ...both(`a:1 ${after ?? 'plain'}`)]);
  });
}

test('an address that is listed twice is one endpoint', (context) => {
  const { cluster } = clusterOf(context);
  cluster.update([at('a:1'), at('a:1', { weight: 3 })], settings());
  assert.deepEqual(addresses(cluster), ['a:1']);
  assert.equal(cluster.endpoints[0]?.weight, 3);
});

test('another strategy takes over with what is in flight; the same one goes on as it was', (context) => {
  const { cluster } = clusterOf(context);
  const described = [at('a:1'), at('b:1')];
  cluster.update(described, settings());
  const { balancer } = cluster;
  cluster.update(described, settings());
  assert.equal(cluster.balancer, balancer);
  const [a] = cluster.endpoints;
  assert.ok(a);
  balancer.started(a, 0);
  cluster.update(described, settings({ balance: { strategy: 'least-request' } }));
  assert.notEqual(cluster.balancer, balancer);
  assert.equal(cluster.endpoints[0], a);
  for (let i = 0; i < 50; i++) assert.notEqual(cluster.pick(undefined), a, 'it is busy');
  cluster.balancer.finished(a, 1, 1, false);
  assert.equal(a.inFlight, 0);
});

test('another than the one that just failed is picked, where there is one', (context) => {
  const { cluster } = clusterOf(context);
  cluster.update([at('a:1'), at('b:1')], settings());
  const [a, b] = cluster.endpoints;
  for (let i = 0; i < 50; i++) assert.equal(cluster.pick(undefined, a), b);
  cluster.update([at('a:1')], settings());
  assert.equal(cluster.pick(undefined, a), a);
});

test('limits are those of the newest settings, for endpoints that stay too', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster } = clusterOf(context, backend.address);
  const limits = (connections: number, pending: number) =>
    settings({ limits: { connections, pending, requests: 7 } });
  cluster.update([at('a:1')], limits(5, 0));
  assert.deepEqual(
    [cluster.limits.connections, cluster.limits.requests, cluster.limits.connectMs],
    [5, 7, 1000],
  );
  const [a] = cluster.endpoints;
  await assert.rejects(connected(a), /^AssertionError.*0 requests wait for a connection already/);
  cluster.update([at('a:1')], limits(5, 1));
  assert.equal(cluster.endpoints[0], a);
  await connected(a);
});

test('endpoints share the limit of connections: an idle connection of one makes room for another', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster } = clusterOf(context, backend.address);
  const one = settings({ limits: { connections: 1, pending: 10, requests: 10 } });
  cluster.update([at('a:1'), at('b:1')], one);
  const [a, b] = cluster.endpoints;
  a?.onReusable(await connected(a));
  assert.equal(a?.idleCount, 1);
  await connected(b);
  assert.deepEqual([a.connections, b?.connections, cluster.use.connections], [0, 1, 1]);
});

test('new credentials are used by endpoints that speak mTLS, and cost others nothing', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster, connectors } = clusterOf(context, backend.address);
  cluster.update([at('a:1', { identity: 't/app' }), at('b:1')], settings());
  const [a, b] = cluster.endpoints;
  a?.onReusable(await connected(a));
  b?.onReusable(await connected(b));
  connectors.length = 0;
  cluster.renewConnectors();
  assert.deepEqual(connectors, both('a:1 t/app'));
  assert.deepEqual([a?.idleCount, b?.idleCount], [0, 1]);
});

test('connections that were verified by an old policy serve no new request, even those in use when it changed', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster, connectors } = clusterOf(context, backend.address);
  const call = (serverName: string) => ({
    tls: { policy: 't/tls', serverName, authorities: ['PEM'], names: [] },
  });
  const pair = [at('a:1'), at('b:1', { identity: 't/app' })];
  cluster.update(pair, settings(), 'http', call('old.test'));
  const [a, b] = cluster.endpoints;
  const [idle, used] = [await connected(a), await connected(a)];
  a?.onReusable(idle);
  connectors.length = 0;
  cluster.update([...pair, at('c:1')], settings(), 'http', call('old.test'));
  assert.deepEqual(connectors, both('c:1 old.test'));
  assert.equal(cluster.endpoints[0], a);
  connectors.length = 0;
  cluster.update(pair, settings(), 'http', call('new.test'));
  assert.deepEqual(connectors, both('a:1 new.test'));
  assert.notEqual(cluster.endpoints[0], a);
  assert.equal(cluster.endpoints[1], b, 'a mesh peer is called as before');
  await until('the end of the idle one', () => idle.transport.closed);
  assert.equal(used.transport.closed, false, 'its request finishes');
  a?.onReusable(used);
  await until('the end of the one in use', () => a?.connections === 0);
  assert.equal(a?.idleCount, 0);
  connectors.length = 0;
  cluster.update(pair, settings(), 'http');
  assert.deepEqual(connectors, both('a:1 plain'));
});

test('a closed cluster has no endpoint, and keeps no connection', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const { cluster } = clusterOf(context, backend.address);
  cluster.update([at('a:1')], settings());
  const [a] = cluster.endpoints;
  a?.onReusable(await connected(a));
  cluster.close();
  assert.equal(cluster.pick(undefined), undefined);
  await until('the end at the server', () => backend.connections.every(({ ended }) => ended));
  await until('it is forgotten', () => cluster.use.connections === 0);
});
