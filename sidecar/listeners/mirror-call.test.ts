import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import { answering, type Backend, rawBackend } from '../../test/fixture/backend.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { until } from '../../test/fixture/wait.ts';
import { Cluster } from '../balancing/cluster.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_11 } from '../http/message-head.ts';
import { ownRequest } from '../http/own-request.ts';
import type { Mirror } from '../routing/mirrors.ts';
import { plainConnector } from '../upstream/connector.ts';
import { MirrorCall } from './mirror-call.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A mirror at `backend`, and what becomes of calls to it. */
function mirrored(context: TestContext, backend: Pick<Backend, 'address'>) {
  const { wheel, leap } = leapingClock(context);
  const cluster = new Cluster('t/copy', DEFAULT_SETTINGS, {
    connectorFor: ({ address }) => plainConnector(address),
    engineLimits: DEFAULT_LIMITS,
    wheel,
    connectMs: 5000,
  });
  context.after(() => cluster.close());
  cluster.update([{ address: backend.address, weight: 1, ready: true }], DEFAULT_SETTINGS);
  const results: string[] = [];
  const retryBudget = new RetryBudget();
  retryBudget.limit(1, 0);
  const call = (
    from: () => ReturnType<Mirror['backend']> = () => cluster,
    body: Buffer[] = [],
    method = 'PUT',
  ): void => {
    const mirror = { service: 't/copy', share: 1, backend: from, retryBudget: () => retryBudget };
    const copy = { request: ownRequest(method, '/a', 'host: app\r\n'), body, version: () => HTTP_11 };
    new MirrorCall(mirror, copy, wheel, (result) => results.push(result)).start();
  };
  return { cluster, call, results, leap, retryBudget };
}

async function backendOf(context: TestContext, making: Promise<Backend>): Promise<Backend> {
  const backend = await making;
  context.after(() => backend.close());
  return backend;
}

test('a copy is sent whole, and its connection serves the next one', async (context) => {
  const backend = await backendOf(context, answering());
  const { cluster, call, results } = mirrored(context, backend);
  call(undefined, [Buffer.from('one'), Buffer.from('two')]);
  await until('the first', () => results.length === 1);
  call();
  await until('the second', () => results.length === 2);
  assert.deepEqual(results, ['answered', 'answered']);
  assert.match(backend.received, /^PUT \/a HTTP\/1\.1\r\nhost: app\r\n\r\nonetwo/);
  assert.equal(backend.connections.length, 1);
  assert.deepEqual([cluster.use.requests, cluster.endpoints[0]?.inFlight], [0, 0]);
});

test('a server that never answers is let go after 30 s', async (context) => {
  const backend = await backendOf(
    context,
    rawBackend(() => {}),
  );
  const { cluster, call, results, leap } = mirrored(context, backend);
  call();
  await until('the request', () => backend.received !== '');
  leap(29_000);
  assert.deepEqual(results, []);
  assert.equal(cluster.use.requests, 1);
  leap(2_000);
  assert.deepEqual(results, ['timed-out']);
  assert.equal(cluster.use.requests, 0);
  await until('the end of the connection', () => backend.connections[0]?.closed === true);
});

test('a copy on a connection that the server closed meanwhile is sent once more, on another', async (context) => {
  const backend = await backendOf(
    context,
    rawBackend(({ socket, text }) => {
      if (text.split('PUT').length > 2) socket.destroy();
      else socket.write(OK);
    }),
  );
  const { call, results } = mirrored(context, backend);
  call();
  await until('the first', () => results.length === 1);
  call();
  await until('the second', () => results.length === 2);
  assert.deepEqual(results, ['answered', 'answered']);
  assert.equal(backend.connections.length, 2);
});

test('a copy of a POST is sent once: the server may have done its work before it closed', async (context) => {
  const backend = await backendOf(
    context,
    rawBackend(({ socket, text }) => {
      if (text.split('POST').length > 2) socket.destroy();
      else socket.write(OK);
    }),
  );
  const { call, results } = mirrored(context, backend);
  for (const count of [1, 2]) {
    call(undefined, [], 'POST');
    await until('the end', () => results.length === count);
  }
  assert.deepEqual(results, ['answered', 'failed']);
  assert.equal(backend.received.split('POST').length - 1, 2);
});

test('a server that breaks every connection gets a copy once', async (context) => {
  const backend = await backendOf(
    context,
    rawBackend(({ socket }) => socket.destroy()),
  );
  const { cluster, call, results } = mirrored(context, backend);
  call();
  await until('the end', () => results.length === 1);
  assert.deepEqual(results, ['failed']);
  assert.equal(backend.connections.length, 1);
  assert.equal(cluster.use.requests, 0);
});

test('a copy waits for the first word about its service, and there is none where nothing can be sent to', async (context) => {
  const backend = await backendOf(context, answering());
  const { cluster, call, results } = mirrored(context, backend);
  const waiters: (() => void)[] = [];
  const pending = {
    wait: (proceed: () => void) => {
      waiters.push(proceed);
      return () => {};
    },
  };
  call(() => (waiters.length === 0 ? pending : cluster));
  assert.equal(backend.received, '');
  waiters[0]?.();
  await until('the copy', () => results.length === 1);
  call(() => pending);
  waiters[1]?.();
  call(() => ({ status: 503, code: 'no-service', detail: '' }));
  cluster.use.requests = cluster.limits.requests;
  call();
  cluster.use.requests = 0;
  cluster.update([], DEFAULT_SETTINGS);
  call();
  assert.deepEqual(results, ['answered', ...Array(4).fill('unavailable')]);
});

test('what keeps a copy from being sent here is not blamed on the endpoint, nor that it closed what was kept open', async (context) => {
  const backend = await backendOf(
    context,
    rawBackend(({ socket, text }) => {
      if (text.split('POST').length > 2) socket.destroy();
      else socket.write(OK);
    }),
  );
  const { cluster, call, results } = mirrored(context, backend);
  cluster.use.pending = cluster.limits.pending;
  for (let i = 0; i < 8; i++) call();
  cluster.use.pending = 0;
  for (const count of [9, 10]) {
    call(undefined, [], 'POST');
    await until('the end', () => results.length === count);
  }
  assert.deepEqual(results, [...Array(8).fill('failed'), 'answered', 'failed']);
  assert.equal(cluster.endpoints[0]?.circuit, undefined);
});

test('copies are made again within the budget of their service, and are no way around it', async (context) => {
  const backend = await backendOf(
    context,
    rawBackend(({ socket, text }) => {
      if (text.split('PUT').length > 2) socket.destroy();
      else socket.write(OK);
    }),
  );
  const { call, results, retryBudget } = mirrored(context, backend);
  retryBudget.limit(0, 0);
  for (const count of [1, 2]) {
    call();
    await until('the end', () => results.length === count);
  }
  assert.deepEqual(results, ['answered', 'failed']);
});
