import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { rawBackend } from '../fixture/backend.ts';
import { appMesh } from '../fixture/relay.ts';
import { until } from '../fixture/wait.ts';
import { unary, withClient } from '../grpc/calls.ts';
import { answerOk, rawGrpcServer } from '../grpc/raw-server.ts';
import { TEST_SERVICE } from '../grpc/services.ts';
import { ask, openSession } from '../http2/client.ts';
import { startHttp2 } from '../http2/server.ts';
import { answers, caller, countingServer } from './http1-servers.ts';
import { type SidecarProcess, sidecarFor, sidecarOn } from './sidecar-process.ts';

const LIMIT = { timeout: 120_000 };
const HEDGED = { hedge: 'after p90', 'retry-budget': '100% + 100/s', balance: 'round-robin' };
/** Enough for a quantile of 90 % to be known, and more. */
const WARM = 40;

/** An HTTP/1.1 server that is slow for ever, once told to be; its connections and those that were closed. */
async function stallingServer(context: TestContext) {
  const state = { stalls: false };
  const server = await rawBackend(({ socket, text }, added) => {
    if (added.includes('\r\n\r\n') && !(state.stalls && text !== ''))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow');
  });
  context.after(() => server.close());
  return Object.assign(state, { address: server.address, connections: server.connections });
}

async function metric(sidecar: SidecarProcess, line: RegExp): Promise<number> {
  return Number(line.exec(await sidecar.metrics())?.[1] ?? 0);
}

test(
  'a GET whose endpoint is slower than most of late is asked of another, and the loser is let go at once',
  LIMIT,
  async (context) => {
    const slow = await stallingServer(context);
    const good = await countingServer(context, answers(200));
    const sidecar = await sidecarFor(context, [slow.address, good.address], HEDGED);
    const call = caller(context, sidecar.outbound);
    for (let i = 0; i < WARM; i++) assert.equal((await call(`warm-${i}`)).status, 200);
    slow.stalls = true;
    for (let i = 0; i < 6; i++) assert.equal((await call(`hedged-${i}`)).body, 'status 200');
    const won = [];
    for (let i = 0; i < 6; i++) {
      const explained = await sidecar.explained(`hedged-${i}`);
      if (explained.attempts.length > 1) won.push(explained);
    }
    assert.ok(won.length >= 2, `${won.length} went to the slow one first`);
    for (const { attempts, policies } of won) {
      assert.deepEqual(
        attempts.map(({ endpoint, result, hedge }) => [endpoint, result, hedge ?? false]),
        [
          [slow.address, 'cancelled', false],
          [good.address, '200', true],
        ],
      );
      assert.deepEqual(
        policies.map(({ policy, decision }) => `${policy} ${decision}`),
        ['hedge sent', 'hedge won'],
      );
    }
    await until(
      'the end of abandoned connections',
      () => slow.connections.filter(({ closed }) => closed).length >= won.length,
    );
    assert.ok((await metric(sidecar, /tulle_hedges_total\{[^}]*result="won"[^}]*\} (\d+)/)) >= won.length);
    assert.equal(await metric(sidecar, /tulle_retries_total\{[^}]*\} (\d+)/), 0);
  },
);

test('a POST is hedged only where the policy says that it may run twice', LIMIT, async (context) => {
  for (const [hedge, expected] of [
    ['after p90', 'slow'],
    ['after p90 for POST', 'fast'],
  ] as const) {
    const bodies: string[] = [];
    let stalls = false;
    const held: (() => void)[] = [];
    const slow = await countingServer(context, (_incoming, response) => {
      if (stalls) held.push(() => response.end('slow'));
      else response.end('warm');
    });
    const fast = await countingServer(context, (_incoming, response) => {
      response.end(stalls ? 'fast' : 'warm');
    });
    const sidecar = await sidecarFor(context, [slow.address, fast.address], { ...HEDGED, hedge });
    const call = caller(context, sidecar.outbound);
    for (let i = 0; i < WARM; i++) await call(`w${i}`, { method: 'POST', body: 'warm' });
    stalls = true;
    const first = call('a', { method: 'POST', body: 'pay' });
    const second = call('b', { method: 'POST', body: 'pay' });
    await until('the one that is slow', () => held.length >= 1);
    if (expected === 'slow') {
      await until('the other answer', () => fast.bodies.filter((body) => body === 'pay').length === 1);
      for (const release of held) release();
    }
    for (const { body } of await Promise.all([first, second])) bodies.push(body);
    assert.equal(bodies.filter((body) => body === 'slow').length, expected === 'slow' ? 1 : 0, hedge);
    const paid = [...slow.bodies, ...fast.bodies].filter((body) => body === 'pay').length;
    if (expected === 'slow') assert.equal(paid, 2);
    else assert.ok(paid >= 3, `${paid}`);
  }
});

test(
  'hedges are in the budget: when it is used up, the slow answer is waited for',
  LIMIT,
  async (context) => {
    let stalls = false;
    const held: (() => void)[] = [];
    const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
      if (incoming.headers['x-probe'] !== undefined) setTimeout(() => response.end('warm'), 150);
      else if (stalls) held.push(() => response.end('late'));
      else response.end('warm');
    };
    const [one, two] = [await countingServer(context, answer), await countingServer(context, answer)];
    const sidecar = await sidecarFor(context, [one.address, two.address], {
      ...HEDGED,
      'retry-budget': '0%',
    });
    const call = caller(context, sidecar.outbound);
    for (let i = 0; i < WARM; i++) await call(`w${i}`);
    stalls = true;
    const late = call('late');
    await until('the request at one of them', () => held.length === 1);
    // Longer than any hedge would wait: a second request that comes in this time is seen below.
    const probe = await call('probe', { headers: { 'x-probe': '1' } });
    assert.equal(probe.body, 'warm');
    held[0]?.();
    assert.equal((await late).body, 'late');
    const { attempts } = await sidecar.explained('late');
    assert.equal(attempts.length, 1);
    assert.ok((await metric(sidecar, /tulle_hedges_total\{[^}]*result="refused"[^}]*\} (\d+)/)) >= 1);
  },
);

test('HTTP/2: the loser is reset by CANCEL, and its connection goes on', LIMIT, async (context) => {
  let stalls = false;
  const cancelled: number[] = [];
  const answer = (stream: ServerHttp2Stream, name: string, slow: boolean): void => {
    stream.resume();
    if (stalls && slow) stream.on('close', () => cancelled.push(stream.rstCode));
    else {
      stream.respond({ ':status': 200 });
      stream.end(name);
    }
  };
  const slow = await startHttp2(context, (stream) => answer(stream, 'slow', true));
  const good = await startHttp2(context, (stream) => answer(stream, 'good', false));
  const annotations = Object.fromEntries(
    Object.entries(HEDGED).map(([name, value]) => [`tulle.dev/${name}`, value]),
  );
  const app = { name: 'app', namespace: 'shop', port: 80, protocol: 'http2', annotations };
  const sidecar = await sidecarOn(context, {
    services: [{ ...app, endpoints: [slow.address, good.address] }],
  });
  const session = await openSession(context, sidecar.outbound);
  for (let i = 0; i < WARM; i++) assert.equal((await ask(session)).status, 200);
  stalls = true;
  for (let i = 0; i < 6; i++) assert.equal((await ask(session)).body.toString(), 'good');
  await until('the losers to be cancelled', () => cancelled.length >= 2);
  assert.ok(
    cancelled.every((code) => code === 8),
    String(cancelled),
  );
  assert.equal(slow.sessions.length, 1);
});

test(
  'a unary gRPC call is hedged where the policy names POST, the method of all calls',
  LIMIT,
  async (context) => {
    let stalls = false;
    let stalled = 0;
    const slow = await rawGrpcServer(context, (stream) => {
      if (stalls) stalled++;
      else answerOk(stream);
    });
    const good = await rawGrpcServer(context, (stream) => answerOk(stream));
    const annotations = { ...HEDGED, hedge: 'after p90 for POST' };
    const mesh = appMesh(
      [slow, good],
      Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`tulle.dev/${name}`, value])),
    );
    const sidecar = await sidecarOn(context, mesh);
    await withClient({ address: sidecar.outbound, authority: 'app' }, async (client) => {
      const ok = async () => assert.equal((await unary(client, TEST_SERVICE.EmptyCall, {})).code, status.OK);
      // Latencies are known for half a minute: on a machine that has much to do, they are to be fresh.
      for (let round = 0; round < 3; round++) {
        stalls = false;
        for (let i = 0; i < WARM; i++) await ok();
        stalls = true;
        await ok();
        await ok();
      }
    });
    assert.ok(stalled >= 2, `${stalled} calls came to the slow one`);
  },
);
