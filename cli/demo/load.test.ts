import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/fixture/wait.ts';
import { Load } from './load.ts';

/** Address of a server that ends with the test. */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('requests go out and their answers are counted, to the last', async (t) => {
  let received = 0;
  const address = await serve(t, (request, response) => {
    received++;
    assert.equal(`${request.method} ${request.url}`, 'GET /');
    response.end('fine');
  });
  const load = new Load(address, 500);
  load.start();
  await until('20 answers', () => load.succeeded >= 20);
  await load.stop();
  assert.equal(load.sent, received);
  assert.equal(load.succeeded, received);
  assert.equal(load.failed, 0);
  assert.deepEqual([...load.failures], []);
});

test('answers that are still to come are waited for', async (t) => {
  const held: (() => void)[] = [];
  const address = await serve(t, (_request, response) => held.push(() => response.end('late')));
  const load = new Load(address, 500);
  load.start();
  await until('requests', () => held.length >= 5);
  const stopped = load.stop();
  await until('all answers', () => {
    for (const answer of held.splice(0)) answer();
    return load.succeeded === load.sent;
  });
  await stopped;
  assert.ok(load.sent >= 5);
  assert.equal(load.failed, 0);
});

test('other statuses than 200 are failures by their status', async (t) => {
  let number = 0;
  const address = await serve(t, (_request, response) => {
    number++;
    response.statusCode = number % 2 === 0 ? 503 : 404;
    response.end();
  });
  const load = new Load(address, 500);
  load.start();
  await until('10 answers', () => load.failed >= 10);
  await load.stop();
  assert.equal(load.succeeded, 0);
  assert.equal(load.failed, load.sent);
  assert.deepEqual([...load.failures.keys()].sort(), ['404', '503']);
  assert.equal((load.failures.get('404') ?? 0) + (load.failures.get('503') ?? 0), load.failed);
});

test('connections that are refused or cut are failures by their code', async (t) => {
  const cut = await serve(t, (request) => request.socket.destroy());
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const refusing = `127.0.0.1:${(closed.address() as AddressInfo).port}`;
  await new Promise((resolve) => closed.close(resolve));
  for (const [address, code] of [
    [cut, 'UND_ERR_SOCKET'],
    [refusing, 'ECONNREFUSED'],
  ] as const) {
    const load = new Load(address, 500);
    load.start();
    await until(code, () => (load.failures.get(code) ?? 0) >= 3);
    await load.stop();
    assert.equal(load.succeeded, 0);
  }
});

test('when nothing is answered, the load is bounded and what is not sent is told', async (t) => {
  let answering = false;
  const held: (() => void)[] = [];
  const address = await serve(t, (_request, response) => {
    if (answering) response.end();
    else held.push(() => response.end());
  });
  const load = new Load(address, 20);
  const start = performance.now();
  load.start();
  // 5 seconds at once, in which 100 requests were due.
  const now = t.mock.method(performance, 'now', () => start + 5000);
  await untilTurn(() => load.sent >= 99);
  now.mock.restore();
  const notSent = load.failures.get('not sent: too many in flight') ?? 0;
  assert.equal(load.sent - notSent, 64);
  answering = true;
  for (const answer of held.splice(0)) answer();
  await load.stop();
  await until('all answers', () => load.succeeded + load.failed === load.sent);
});

/** Waits by turns of the event loop: the clock stands still. */
async function untilTurn(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
