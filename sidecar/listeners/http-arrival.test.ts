import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { answeringHost } from '../../test/fixture/answering-host.ts';
import { rawClient } from '../../test/fixture/client.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { DEFAULT_HTTP2_LIMITS } from '../http2/http2-limits.ts';
import { Connections } from './connections.ts';
import { HttpArrival } from './http-arrival.ts';

/** A client of a listener that serves whatever version of HTTP comes. */
async function arrived(context: TestContext) {
  const clock = leapingClock(context);
  const connections = new Connections();
  const host = answeringHost(clock.wheel);
  const state = { accepted: false };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    new HttpArrival(
      { host, limits: DEFAULT_LIMITS, http2: DEFAULT_HTTP2_LIMITS, connections },
      socket,
      () => {},
    );
    state.accepted = true;
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0);
    });
  });
  const client = await rawClient(`127.0.0.1:${port}`);
  await until('the connection', () => state.accepted);
  context.after(() => {
    client.close();
    connections.destroy();
    server.close();
  });
  return { client, clock, connections };
}

test('HTTP/1.1 is served, though a method begins as the preface of HTTP/2 does, and byte by byte', async (context) => {
  for (const request of ['GET /x HTTP/1.1\r\nHost: h\r\n\r\n', 'PRIX /x HTTP/1.1\r\nHost: h\r\n\r\n']) {
    const { client } = await arrived(context);
    for (const byte of request) {
      client.send(byte);
      await turn();
    }
    await client.expect('path /x');
  }
});

test('an attacker who says nothing is closed at its time, and cut off soon after if it does not close', async (context) => {
  const { client, clock, connections } = await arrived(context);
  clock.leap(DEFAULT_LIMITS.idleMs - 1000);
  await turn();
  assert.equal(client.ended, false);
  clock.leap(2000);
  await client.untilEnd();
  assert.equal(client.closed, false);
  for (let i = 0; i < 5; i++) {
    clock.leap(DEFAULT_LIMITS.idleMs);
    await turn();
  }
  assert.equal(connections.count, 0, 'the socket is still held');
});

test('an attacker who begins the preface and falls silent is refused in the time of a head', async (context) => {
  const { client, clock } = await arrived(context);
  client.send('PRI * HTTP');
  await turn();
  await turn();
  for (let i = 0; i < 4; i++) {
    clock.leap(DEFAULT_LIMITS.headMs / 2 + 100);
    await turn();
  }
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 4\d\d /);
});

test('a client that half-closes before it says anything is closed', async (context) => {
  const { client, connections } = await arrived(context);
  client.socket.end();
  await client.untilEnd();
  await until('it is forgotten', () => connections.count === 0);
});

test('a drain closes who has said nothing yet, and who has begun', async (context) => {
  for (const begun of ['', 'P', 'PRI * HTTP']) {
    const { client, connections } = await arrived(context);
    client.send(begun);
    await turn();
    await turn();
    const drained = connections.drain(600_000);
    await client.untilEnd();
    client.close();
    await drained;
  }
});
