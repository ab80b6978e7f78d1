import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RetryPolicy, TrafficSettings } from '../../protocol/traffic-policy.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import { HTTP_2, HTTP_11 } from '../http/message-head.ts';
import { type ScriptedCall, scriptedRelay } from './scripted-relay.fixture.ts';

const SEEDS = 1000;
const REQUESTS = 8;
const STEPS = 40;

type Random = () => number;

function oneOf<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T; // there is one
}

function someSettings(random: Random): Partial<TrafficSettings> {
  const retries = oneOf<RetryPolicy>(random, [
    { attempts: 0, on: [] },
    { attempts: 2, on: ['connect'] },
    { attempts: 2, on: ['connect', 'reset', '5xx'] },
    {
      attempts: 3,
      on: ['connect', 'reset', '5xx', 429],
      methods: ['GET', 'POST'],
      backoff: { baseMs: 5, capMs: 50 },
    },
  ]);
  const hedge = oneOf(random, [undefined, { quantile: 0.5 }, { quantile: 0.5, methods: ['GET', 'POST'] }]);
  return {
    retries,
    retryBudget: { ratio: 1, perSecond: 100 },
    ...(hedge && { hedge }),
    ...(random() < 0.3 && { idleTimeoutMs: 400 }),
  };
}

/** Of the body of one request: what the client has sent of it. */
interface Sending {
  readonly whole: string;
  sent: number;
  ended: boolean;
  gone: boolean;
}

type Script = ReturnType<typeof scriptedRelay>;

function serverActs(random: Random, call: ScriptedCall): void {
  if (call.state === 'waits') {
    if (random() < 0.8) call.connect();
    else call.connectFails(random() < 0.8 ? 'connect-failed' : 'pool-full');
  } else if (call.state === 'sent') {
    const dice = random();
    if (dice < 0.2) call.head(oneOf(random, [200, 503, 503, 429, 404]));
    else if (dice < 0.4) call.fail({ refused: random() < 0.5 });
    else if (dice < 0.7) call.takesMore = false;
    else if (!call.takesMore) call.writable();
  } else if (call.state === 'headed') {
    const dice = random();
    if (dice < 0.4) call.data('answer');
    else if (dice < 0.8) call.end();
    else call.fail();
  }
}

function clientActs(random: Random, script: Script, sending: Sending): void {
  const { relay, client } = script;
  if (sending.gone || client.answer?.ended || client.aborted) return;
  const dice = random();
  if (!sending.ended && !client.paused) {
    const end = Math.min(sending.whole.length, sending.sent + Math.floor(random() ** 4 * 50_000));
    script.data(sending.whole.slice(sending.sent, end));
    sending.sent = end;
    if (end === sending.whole.length) {
      sending.ended = true;
      relay.onRequestEnd(undefined);
    }
  } else if (dice < 0.01) {
    sending.gone = true;
    relay.onDisconnected();
  } else if (dice < 0.02 && sending.ended) relay.onHalfClosed();
}

/** Everybody does well from now on: the request must come to its end. */
function finish(script: Script, sending: Sending, calls: readonly ScriptedCall[]): void {
  const { client } = script;
  for (let round = 0; round < 60 && !client.answer?.ended && !client.aborted && !sending.gone; round++) {
    clientActs(() => 0.99, script, sending);
    for (const call of script.calls.slice(calls.length)) {
      if (call.state === 'waits') call.connect();
      if (!call.takesMore) call.writable();
      if (call.state === 'sent' && call.bodyEnded) call.head(200);
      if (call.state === 'headed') call.end();
    }
    script.pass(10);
  }
}

function checked(seed: number, script: Script, sending: Sending, before: number, method: string): void {
  const { client } = script;
  const calls = script.calls.slice(before);
  const told = `seed ${seed}: ${JSON.stringify({ method, client: client.answers, calls: calls.map(({ endpoint, state, how, body, bodyEnded }) => ({ endpoint, state, how, body: body.length, bodyEnded })), sending: { ...sending, whole: sending.whole.length } })}`;
  assert.ok(sending.gone || client.aborted || client.answer?.ended, `no end, ${told}`);
  assert.ok(client.answers.length <= 1, `answered twice, ${told}`);
  assert.deepEqual(script.counted(), { requests: 0, inFlight: 0 }, told);
  for (const { state, body, bodyEnded } of calls) {
    assert.equal(state, 'over', `still under way, ${told}`);
    assert.ok(sending.whole.startsWith(body), `another body, ${told}`);
    assert.ok(!bodyEnded || body.length === sending.whole.length, `cut short, ${told}`);
  }
}

function run(context: TestContext, seed: number): void {
  context.mock.restoreAll();
  const random = seeded(seed);
  const settings = someSettings(random);
  let warmed = false;
  const script = scriptedRelay(context, {
    settings,
    version: random() < 0.5 ? HTTP_11 : HTTP_2,
    timeoutMs: oneOf(random, [0, 0, 300]),
    tryTimeoutMs: oneOf(random, [0, 0, 100]),
    pooled: () => warmed && random() < 0.5,
  });
  for (let warm = 0; warm < 4; warm++) {
    script.request();
    script.last.connect();
    script.last.answer(200);
  }
  warmed = true;
  for (let request = 0; request < REQUESTS; request++) {
    script.client.answers.length = 0;
    script.client.aborted = false;
    script.client.paused = false;
    const before = script.calls.length;
    const method = oneOf(random, ['GET', 'POST', 'PUT']);
    const whole = method === 'GET' ? '' : 'x'.repeat(Math.floor(random() * 200_000 * random() ** 2) + 1);
    const sending: Sending = { whole, sent: 0, ended: whole === '', gone: false };
    script.request(method, whole === '' ? '' : whole.length);
    for (let step = 0; step < STEPS; step++) {
      const dice = random();
      const call = script.calls.slice(before).findLast(({ state }) => state !== 'over' && random() < 0.7);
      if (dice < 0.45 && call !== undefined) serverActs(random, call);
      else if (dice < 0.85) clientActs(random, script, sending);
      else script.pass(Math.floor(random() * 40));
    }
    finish(script, sending, script.calls.slice(0, before));
    checked(seed, script, sending, before, method);
    const ran = script.calls.slice(before).filter((call) => call.request !== undefined && !call.refused);
    const twice = settings.retries?.methods?.includes(method) || settings.hedge?.methods?.includes(method);
    if (method === 'POST' && !twice)
      assert.ok(ran.length <= 1, `seed ${seed}: a POST ran ${ran.length} times`);
    if (sending.gone || script.client.aborted) return; // such a connection is over
  }
}

test('whatever servers and clients do, a request comes to one end, all of its body or nothing is sent, and nothing stays counted', (context) => {
  for (let seed = 1; seed <= SEEDS; seed++) run(context, seed);
});
