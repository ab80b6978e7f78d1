import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { capturedHello } from '../../test/fixture/captured-hello.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import type { Expected } from './detect.ts';
import { type FirstBytes, FirstBytesReader } from './first-bytes.ts';

const LIMITS = { detectMs: 1000, headMs: 10_000, idleMs: 600_000 };
const DONE: TransportReader = { onBytes() {}, onEnd() {}, onDrain() {}, onClosed() {} };

/** A client whose first bytes are read at the other end, in a time that leaps. */
async function reading(context: TestContext, expected: Expected) {
  const clock = leapingClock(context);
  const state = { known: [] as string[], hello: undefined as FirstBytes['hello'], lost: 0, closed: false };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const reader = new FirstBytesReader(
      clock.wheel,
      LIMITS,
      expected,
      (first) => {
        state.known.push(`${first.protocol} ${first.bytes.toString('latin1')}`);
        state.hello = first.hello;
        transport.reader = DONE;
      },
      () => state.lost++,
    );
    const transport = Transport.adopt(reader, socket);
    context.after(() => transport.destroy());
    reader.open(transport);
    accepted();
  });
  let accepted = (): void => {};
  const ready = new Promise<void>((resolve) => {
    accepted = resolve;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  const client: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  client.on('error', () => {});
  client.on('close', () => {
    state.closed = true;
  });
  client.on('end', () => {
    state.closed = true;
  });
  client.resume();
  context.after(() => {
    client.destroy();
    server.close();
  });
  await ready;
  return { clock, client, state };
}

test('bytes that come one at a time are handed on whole, once', async (context) => {
  const { client, state } = await reading(context, 'any');
  for (const byte of 'EHLO a\r\n') {
    client.write(byte);
    await turn();
  }
  await until('an answer', () => state.known.length === 1);
  assert.deepEqual(state.known, ['opaque EHLO a\r\n']);
  client.write('more');
  await turn();
  assert.equal(state.known.length, 1);
});

test('a hello is handed on with what it asks for', async (context) => {
  const { client, state } = await reading(context, 'any');
  const hello = await capturedHello({ servername: 'db.shop', ALPNProtocols: ['x'] });
  client.write(hello.subarray(0, 100));
  await turn();
  assert.deepEqual(state.known, []);
  client.write(hello.subarray(100));
  await until('an answer', () => state.known.length === 1);
  assert.equal(state.known[0], `tls ${hello.toString('latin1')}`);
  assert.deepEqual(state.hello, { serverName: 'db.shop', alpn: ['x'] });
});

test('a client that says nothing, or too little, is silent after the detect timeout', async (context) => {
  for (const [expected, text] of [
    ['any', ''],
    ['any', 'EHLO'],
    ['opaque', ''],
  ] as const) {
    const { clock, client, state } = await reading(context, expected);
    client.write(text);
    await turn();
    clock.leap(900);
    assert.deepEqual(state.known, []);
    clock.leap(200);
    assert.deepEqual(state.known, [`silent ${text}`]);
  }
});

test('on an HTTP port a silent client is no server that speaks first: it is closed when it was idle too long', async (context) => {
  const { clock, state } = await reading(context, 'http');
  clock.leap(LIMITS.idleMs - 1000);
  assert.deepEqual([state.known, state.closed], [[], false]);
  clock.leap(1100);
  await until('the end', () => state.closed);
  assert.deepEqual(state.known, []);
  await until('it is given up', () => state.lost === 1);
});

test('on an HTTP port half a preface is left to the engine when its time is over', async (context) => {
  const { clock, client, state } = await reading(context, 'http');
  client.write('PRI * HT');
  await turn();
  await turn();
  clock.leap(LIMITS.headMs + 100);
  assert.deepEqual(state.known, ['http1 PRI * HT']);
});

for (const length of [1, 100]) {
  test(`an attacker who begins a hello with ${length} bytes and waits is closed, and nothing is passed on`, async (context) => {
    const { clock, client, state } = await reading(context, 'opaque');
    client.write((await capturedHello({})).subarray(0, length));
    for (let turns = 0; turns < 5; turns++) await turn();
    clock.leap(LIMITS.detectMs + 100);
    assert.deepEqual(state.known, []);
    clock.leap(LIMITS.headMs);
    await until('the end', () => state.closed);
    assert.deepEqual(state.known, []);
  });
}

test('a client that half-closes has said all: what came is opaque, nothing on an opaque port too', async (context) => {
  const some = await reading(context, 'any');
  some.client.end('EHL');
  await until('an answer', () => some.state.known.length === 1);
  assert.deepEqual(some.state.known, ['opaque EHL']);
  const nothing = await reading(context, 'opaque');
  nothing.client.end();
  await until('an answer', () => nothing.state.known.length === 1);
  const probe = await reading(context, 'any');
  probe.client.end();
  await until('the end', () => probe.state.closed);
  assert.deepEqual(probe.state.known, []);
});
