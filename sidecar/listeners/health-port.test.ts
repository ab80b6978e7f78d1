import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type RawClient, rawClient } from '../../test/fixture/client.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import type { HealthSources } from './health-pages.ts';
import { openHealthPort } from './health-port.ts';

interface HealthPort {
  readonly address: string;
  client(): Promise<RawClient>;
  /** Status, then the body. */
  ask(line: string): Promise<readonly [number, string]>;
}

async function healthPort(
  context: TestContext,
  { ports = [] as readonly number[], sources = {} as Partial<HealthSources>, wheel = new TimerWheel() } = {},
): Promise<HealthPort> {
  const all: HealthSources = {
    ready: () => ({ ready: true, reasons: [], degraded: ['control plane away'] }),
    metrics: async () => ({ text: 'a 1\n', contentType: 'text/plain; version=0.0.4; charset=utf-8' }),
    ...sources,
  };
  const probed = { host: '127.0.0.1', ports };
  const opened = await openHealthPort('127.0.0.1:0', all, probed, DEFAULT_LIMITS, wheel);
  context.after(() => opened.close());
  const client = async () => {
    const one = await rawClient(opened.address);
    context.after(() => one.close());
    return one;
  };
  return {
    address: opened.address,
    client,
    async ask(line) {
      const one = await client();
      one.send(`${line} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n`);
      const text = await one.untilEnd();
      return [Number(text.slice(9, 12)), text.slice(text.indexOf('\r\n\r\n') + 4)];
    },
  };
}

/** A port that is listened at until the test ends. */
async function application(context: TestContext): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.close();
    await once(server, 'close');
  };
  context.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, close };
}

test('health and metrics are told to whoever asks, by any name', async (context) => {
  const { ask } = await healthPort(context);
  assert.deepEqual(await ask('GET /livez'), [200, 'ok\n']);
  assert.deepEqual(await ask('GET /metrics'), [200, 'a 1\n']);
  const [status, body] = await ask('GET /readyz');
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(body), { ready: true, reasons: [], degraded: ['control plane away'] });
  assert.deepEqual(await ask('HEAD /livez'), [200, '']);
});

test('while it is not ready the reasons are told', async (context) => {
  const state = { ready: false, reasons: ['no certificate yet'], degraded: [] };
  const [status, body] = await (await healthPort(context, { sources: { ready: () => state } })).ask(
    'GET /readyz',
  );
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(body), state);
});

for (const path of [
  '/config',
  '/certs',
  '/explain',
  '/explain/abc',
  '/drain',
  '/',
  '/livez/',
  '//livez',
  '/probe/tcp',
  '/probe/tcp/',
]) {
  test(`a stranger finds nothing at ${path}: it is not there, or on the admin port only`, async (context) => {
    assert.deepEqual(await (await healthPort(context)).ask(`GET ${path}`), [
      404,
      'there are: livez readyz metrics probe/tcp/PORT\n',
    ]);
  });
}

test('a stranger changes nothing: every other method is 405', async (context) => {
  const { port } = await application(context);
  const { ask } = await healthPort(context, { ports: [port] });
  for (const line of ['POST /drain', 'POST /livez', 'PUT /readyz', 'DELETE /x', `POST /probe/tcp/${port}`]) {
    assert.equal((await ask(line))[0], 405, line);
  }
});

test('a TCP probe is answered by what the application does', async (context) => {
  const { port, close } = await application(context);
  const { ask } = await healthPort(context, { ports: [port] });
  assert.deepEqual(await ask(`GET /probe/tcp/${port}`), [200, 'connected\n']);
  await close();
  assert.deepEqual(await ask(`GET /probe/tcp/${port}`), [503, `127.0.0.1 port ${port}: ECONNREFUSED\n`]);
});

test('a stranger cannot scan with it: a port that is not listed, and any other way to write one, is 404', async (context) => {
  const { port } = await application(context);
  const other = await application(context);
  const { ask } = await healthPort(context, { ports: [port] });
  for (const text of [
    String(other.port),
    `0${port}`,
    `+${port}`,
    `${port}/`,
    `${port}.0`,
    `${port}%20`,
    `10.0.0.1:${port}`,
    `0x${port.toString(16)}`,
    '99999',
    '0',
    '-1',
    'NaN',
  ]) {
    assert.equal((await ask(`GET /probe/tcp/${text}`))[0], 404, text);
  }
});

test('an attacker who keeps very many connections open takes no place from kubelet: the oldest goes', async (context) => {
  const port = await healthPort(context);
  const held: RawClient[] = [];
  for (let i = 0; i < 256; i++) held.push(await port.client());
  assert.deepEqual(await port.ask('GET /livez'), [200, 'ok\n']);
  assert.equal(await held[0]?.untilEnd(), '');
  assert.equal(held[255]?.ended, false);
});

for (const [name, sent] of [
  ['says nothing', ''],
  ['sends the head of a request byte by byte', 'GET /li'],
  ['asks for nothing more', 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'],
] as const) {
  test(`an attacker who ${name} is cut off after 5 s`, async (context) => {
    const { wheel, leap } = leapingClock(context);
    const client = await (await healthPort(context, { wheel })).client();
    client.send(sent);
    if (sent.endsWith('\r\n\r\n')) await client.expect('ok\n');
    await turn();
    assert.equal(client.ended, false);
    leap(5_100);
    await client.untilEnd();
  });
}
