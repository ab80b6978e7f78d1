import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rawClient } from '../fixture/client.ts';
import { until } from '../fixture/wait.ts';
import { answers, caller, countingServer } from './http1-servers.ts';
import { sidecarFor } from './sidecar-process.ts';

const LIMIT = { timeout: 120_000 };

test('a request goes to no endpoint again that failed it, while there is another', LIMIT, async (context) => {
  const failing = await Promise.all([1, 2, 3].map(() => countingServer(context, answers(503))));
  const good = await countingServer(context, answers(200));
  for (const balance of ['p2c-ewma', 'round-robin', 'random']) {
    const sidecar = await sidecarFor(
      context,
      [...failing, good].map(({ address }) => address),
      { retries: '3 on 503', balance, 'retry-budget': '100% + 100/s' },
    );
    const call = caller(context, sidecar.outbound);
    for (let i = 0; i < 12; i++) assert.equal((await call(`${balance}-${i}`)).status, 200, balance);
    const { attempts } = await sidecar.explained(`${balance}-11`);
    assert.equal(new Set(attempts.map(({ endpoint }) => endpoint)).size, attempts.length, balance);
  }
});

test(
  'by default nothing that may have run is made again: no status, no reset, no POST',
  LIMIT,
  async (context) => {
    const failing = await countingServer(context, (incoming, response) => {
      if (incoming.url === '/') response.destroy();
    });
    const sidecar = await sidecarFor(context, [failing.address]);
    const call = caller(context, sidecar.outbound);
    assert.equal((await call('post', { method: 'POST', body: 'pay out' })).status, 502);
    assert.equal((await call('get')).status, 502);
    assert.equal(failing.times.length, 2);
    const { policies } = await sidecar.explained('get');
    assert.deepEqual(
      policies.map(({ decision, detail }) => `${decision}: ${detail}`),
      ['not retried: reset is not retried by the policy (on connect)'],
    );
  },
);

test(
  'a POST that was answered 503 is made again only if the policy names the method, and then with its whole body',
  LIMIT,
  async (context) => {
    const failing = await countingServer(context, answers(503));
    const body = 'x'.repeat(60_000);
    for (const [retries, tries] of [
      ['2 on 503', 1],
      ['2 on 503 for GET', 1],
      ['2 on 503 for GET,POST backoff 1ms..5ms', 3],
    ] as const) {
      const sidecar = await sidecarFor(context, [failing.address], { retries });
      const call = caller(context, sidecar.outbound);
      const before = failing.times.length;
      const got = await call('post', { method: 'POST', body });
      assert.equal(got.status, 503);
      assert.equal(failing.times.length - before, tries, retries);
      assert.ok(
        failing.bodies.every((one) => one === body),
        'each attempt has all of it',
      );
      assert.equal(got.headers['tulle-no-retry'], tries === 3 ? 'exhausted' : undefined);
    }
  },
);

test('a body of more than 64 KiB is not delayed, and not sent twice', LIMIT, async (context) => {
  const failing = await countingServer(context, answers(503));
  const sidecar = await sidecarFor(context, [failing.address], { retries: '2 on 503 for POST' });
  const call = caller(context, sidecar.outbound);
  assert.equal((await call('large', { method: 'POST', body: 'x'.repeat(200_000) })).status, 503);
  assert.equal(failing.times.length, 1);
  const { policies } = await sidecar.explained('large');
  assert.match(policies[0]?.detail ?? '', /^on 503: the body was more than can be sent again/);
});

test(
  'Retry-After is waited for, and a failure that asks for more time than is left is passed on at once',
  LIMIT,
  async (context) => {
    const server = await countingServer(context, (_incoming, response, count) => {
      if (count % 2 === 1) response.writeHead(503, { 'retry-after': '1' }).end();
      else response.end('fine');
    });
    const patient = await sidecarFor(context, [server.address], { retries: '2 on 503' });
    const call = caller(context, patient.outbound);
    const got = await call('waits');
    assert.deepEqual([got.status, got.body], [200, 'fine']);
    const [first = 0, second = 0] = server.times;
    assert.ok(second - first >= 1000, `${second - first} ms`);
    const { policies } = await patient.explained('waits');
    assert.deepEqual(
      policies.map(({ decision }) => decision),
      ['retried', 'waits'],
    );
    const hasty = await sidecarFor(context, [server.address], { retries: '2 on 503', timeout: '900ms' });
    const passed = await caller(context, hasty.outbound)('passed');
    assert.deepEqual([passed.status, passed.headers['retry-after']], [503, '1']);
    assert.equal(server.times.length, 3);
    const told = await hasty.explained('passed');
    assert.match(told.policies[0]?.detail ?? '', /^on 503: to wait 1\d\d\d ms is longer than is left/);
    assert.match(await hasty.metrics(), /tulle_retries_withheld_total\{[^}]*why="deadline"[^}]*\} 1/);
  },
);

test(
  'a server that fails everything gets no more than 20 % and 10 a second above what callers send, whatever the policy asks',
  LIMIT,
  async (context) => {
    const failing = await countingServer(context, answers(503));
    const sidecar = await sidecarFor(context, [failing.address], { retries: '10 on 503 backoff 1ms..1ms' });
    const call = caller(context, sidecar.outbound);
    const began = performance.now();
    let sent = 0;
    const some = async (): Promise<void> => {
      while (sent < 1500) assert.equal((await call(`r${sent++}`)).status, 503);
    };
    await Promise.all(Array.from({ length: 16 }, some));
    const seconds = (performance.now() - began) / 1000;
    // The budget is counted over ten seconds: so long before, nothing was used of it.
    const most = sent * 1.2 + 10 * (seconds + 10);
    assert.ok(failing.times.length <= most, `${failing.times.length} for ${sent}, at most ${most}`);
    assert.ok(failing.times.length >= sent * 1.1, `${failing.times.length} retries were made at all`);
    assert.match(await sidecar.metrics(), /tulle_retries_withheld_total\{[^}]*why="budget"[^}]*\} \d{2}/);
  },
);

test(
  'a client that goes away during the wait before a retry ends it: nothing more is sent',
  LIMIT,
  async (context) => {
    const failing = await countingServer(context, answers(503));
    const sidecar = await sidecarFor(context, [failing.address], { retries: '3 on 503 backoff 24h..24h' });
    const client = await rawClient(sidecar.outbound);
    client.send('GET / HTTP/1.1\r\nHost: app\r\nx-request-id: gone\r\n\r\n');
    await until('the first attempt', () => failing.times.length === 1);
    client.close();
    const { reason, attempts } = await sidecar.explained('gone');
    assert.deepEqual([reason, attempts.length], ['client-closed', 1]);
  },
);
