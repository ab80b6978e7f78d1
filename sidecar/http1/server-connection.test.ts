import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type RawClient, rawClient } from '../../test/fixture/client.ts';
import { type LeapingClock, leapingClock } from '../../test/fixture/leaping-clock.ts';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import type { RequestHandler } from '../http/downstream.ts';
import { Field } from '../http/field.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { Transport } from '../transport/transport.ts';
import { UNTIL_CLOSE } from './head.ts';
import { PROBLEMS } from './problems.ts';
import { ServerConnection } from './server-connection.ts';

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const LAST = 'GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

interface Served {
  readonly client: RawClient;
  readonly connection: ServerConnection;
  readonly clock: LeapingClock;
  /** What the handler was told, but flushes and the like. */
  readonly events: string[];
  /** Bodies, and bytes of a tunnel. */
  readonly body: () => string;
  /** Answers the current request. */
  answer(text?: string): void;
}

/** One connection to a server connection. `wrapped`: read by 'data' events, as TLS is. `react`: called after an event. */
async function served(
  context: TestContext,
  { wrapped = false, react = (_event: string, _served: Served): void => {} } = {},
): Promise<Served> {
  const clock = leapingClock(context);
  const events: string[] = [];
  let body = '';
  const holder: { served?: Served } = {};
  const tell = (event: string): void => {
    events.push(event);
    if (holder.served !== undefined) react(event, holder.served);
  };
  const handler: RequestHandler = {
    onRequest: (head: MessageHead) => tell(`request ${head.method} ${head.target}`),
    onRequestData(bytes, start, end) {
      body += bytes.toString('latin1', start, end);
      tell('data');
    },
    onRequestEnd: () => tell('end'),
    onRequestFlush() {},
    onRefused: (problem: MessageProblem) => tell(`refused ${problem.status}`),
    onRequestAborted: (problem: MessageProblem) => tell(`aborted: ${problem.detail}`),
    onResponseWritable: () => tell('writable'),
    onTunnelEnd: () => tell('tunnel end'),
    onDisconnected: () => tell('disconnected'),
  };
  const connection = new ServerConnection(handler, DEFAULT_LIMITS, clock.wheel);
  const opened = { yet: false };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: !wrapped }, (socket) => {
    connection.open(wrapped ? Transport.wrap(connection, socket) : Transport.adopt(connection, socket));
    opened.yet = true;
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0);
    });
  });
  const client = await rawClient(`127.0.0.1:${port}`);
  await until('the connection', () => opened.yet);
  context.after(() => {
    client.close();
    connection.transport.destroy();
    server.close();
  });
  holder.served = {
    client,
    connection,
    clock,
    events,
    body: () => body,
    answer: (text = 'ok') => connection.respondLocally(200, '', text),
  };
  return holder.served;
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

test('requests of a connection are told one after the other, with their bodies', async (context) => {
  const { client, connection, events, body, answer } = await served(context);
  client.send(GET);
  await until('the request', () => events.includes('end'));
  assert.deepEqual(events, ['request GET /a', 'end']);
  assert.equal(connection.idle, false);
  answer('one');
  await client.expect('one');
  assert.equal(connection.idle, true);
  client.send('POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel');
  await until('a part of the body', () => body() === 'hel');
  assert.equal(connection.readsBody, true);
  assert.equal(count(events.join(), 'end'), 1);
  client.send('lo');
  await until('the end', () => count(events.join(), 'end') === 2);
  assert.equal(body(), 'hello');
  answer('two');
  await client.expect('two');
  assert.equal(connection.requests, 2);
});

test('a chunked body is told as it came', async (context) => {
  const { client, events, body, answer } = await served(context);
  const chunks = '3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n';
  client.send(`POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
  await until('the end', () => events.includes('end'));
  assert.equal(body(), chunks);
  answer();
  await client.expect('ok');
});

test('pipelined requests are told strictly in order, each after the answer to the one before', async (context) => {
  const { client, events, answer } = await served(context);
  client.send(
    `${GET}POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxGET /c HTTP/1.1\r\nHost: h\r\n\r\n`,
  );
  await until('the first request', () => events.includes('end'));
  await turn();
  assert.deepEqual(events, ['request GET /a', 'end']);
  answer('one');
  assert.deepEqual(events.slice(2), ['request POST /b', 'data', 'end']);
  answer('two');
  assert.deepEqual(events.slice(5), ['request GET /c', 'end']);
  answer('three');
  const text = await client.expect('three');
  assert.match(text, /one.*two.*three$/s);
});

for (const wrapped of [false, true]) {
  test(`an attacker who sends requests without end before the first is answered fills no memory (read by events: ${wrapped})`, async (context) => {
    const { client, connection, events, answer } = await served(context, {
      wrapped,
      react(event, one) {
        if (event === 'end' && one.events.length > 2) one.answer();
      },
    });
    const padded = `GET /p HTTP/1.1\r\nHost: h\r\nX-Pad: ${'p'.repeat(4000)}\r\n\r\n`;
    client.send(GET + padded.repeat(2000));
    await until('the first request', () => events.includes('end'));
    for (let i = 0; i < 20; i++) await turn();
    assert.ok(
      connection.transport.bytesRead <= 256 * 1024,
      `${connection.transport.bytesRead} bytes were read`,
    );
    assert.deepEqual(events, ['request GET /a', 'end']);
    answer();
    await until('all answers', () => count(client.text, 'HTTP/1.1 200') === 2001);
  });

  test(`a client that sends two requests and its FIN gets both answers (read by events: ${wrapped})`, async (context) => {
    const { client, connection, events, answer } = await served(context, { wrapped });
    client.socket.end(`${GET}GET /b HTTP/1.1\r\nHost: h\r\n\r\n`);
    await until('the first request', () => events.includes('end'));
    if (wrapped) await until('the FIN', () => connection.transport.ended);
    answer('one');
    await until('the second request', () => count(events.join(), 'end') === 2);
    await turn();
    answer('two');
    const text = await client.untilEnd();
    assert.match(text, /one.*two$/s);
    await until('the end', () => events.includes('disconnected'));
  });
}

test('a client that reads no answers gets no more of them made', async (context) => {
  const large = 'x'.repeat(256 * 1024);
  const { client, events } = await served(context, {
    react(event, one) {
      if (event === 'end') one.answer(large);
    },
  });
  client.socket.pause();
  client.send(GET.repeat(200));
  await until('a request', () => events.includes('end'));
  let before = -1;
  while (before !== events.length) {
    before = events.length;
    for (let i = 0; i < 20; i++) await turn();
  }
  assert.ok(count(events.join(), 'end') < 100, `${count(events.join(), 'end')} answers wait in memory`);
  client.socket.resume();
  await until('all answers', () => count(events.join(), 'end') === 200);
});

test('an attacker who drips a head is refused with 408 when its time is over, however often it sends', async (context) => {
  const { client, clock, events, connection } = await served(context, {
    react(event, one) {
      if (event.startsWith('refused')) one.answer('too slow');
    },
  });
  client.send('GET / HTTP/1.1\r\n');
  await until('a part of the head', () => connection.parser.begun);
  for (let seconds = 0; seconds < 9; seconds++) {
    const before = connection.transport.bytesRead;
    clock.leap(1000);
    client.send(`X-${seconds}: 1\r\n`);
    await until('the line', () => connection.transport.bytesRead > before);
  }
  assert.deepEqual(events, []);
  clock.leap(1100);
  assert.deepEqual(events, [`refused ${PROBLEMS.headSlow.status}`]);
  assert.match(await client.untilEnd(), /too slow$/);
});

test('a head has its time for each request, and the rest between requests does not count', async (context) => {
  const { client, clock, events, connection } = await served(context, {
    react(event, one) {
      if (event === 'end') one.answer();
    },
  });
  for (let round = 1; round <= 3; round++) {
    clock.leap(9_000);
    client.send(GET.slice(0, 10));
    await until('a part of the head', () => connection.parser.begun);
    clock.leap(9_000);
    client.send(GET.slice(10));
    await until('the answer', () => count(client.text, 'ok') === round);
  }
  assert.ok(!events.join().includes('refused'));
});

test('an idle connection is closed at its time, counted from its last answer', async (context) => {
  const { client, clock, events, connection } = await served(context, {
    react(event, one) {
      if (event === 'end') one.answer();
    },
  });
  clock.leap(DEFAULT_LIMITS.idleMs - 1000);
  client.send(GET);
  await client.expect('ok');
  clock.leap(DEFAULT_LIMITS.idleMs - 1000);
  assert.equal(connection.idle, true);
  await turn();
  assert.equal(client.ended, false);
  clock.leap(2000);
  await client.untilEnd();
  client.close();
  await until('the end', () => events.includes('disconnected'));
});

test('a connection that waits for its answer is not idle, however long it takes', async (context) => {
  const { client, clock, events, answer } = await served(context);
  client.send(GET);
  await until('the request', () => events.includes('end'));
  for (let i = 0; i < 5; i++) clock.leap(DEFAULT_LIMITS.idleMs);
  await turn();
  assert.equal(client.ended, false);
  answer('late');
  await client.expect('late');
});

for (const [what, request, closes] of [
  ['Connection: close', 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n', true],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', true],
  ['HTTP/1.0 with keep-alive', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', false],
  ['HTTP/1.1', GET, false],
] as const) {
  test(`after a request of ${what} the connection ${closes ? 'closes' : 'stays'}`, async (context) => {
    const { client, connection, events, answer } = await served(context);
    client.send(request);
    await until('the request', () => events.includes('end'));
    assert.equal(connection.willClose, closes);
    answer();
    await client.expect('ok');
    if (closes) {
      await client.untilEnd();
      return;
    }
    client.send(GET);
    await until('the next request', () => count(events.join(), 'end') === 2);
  });
}

test('an attacker who sends more after a request that closes is not served, and its bytes are thrown away', async (context) => {
  const { client, events } = await served(context, {
    react(event, one) {
      if (event === 'end') one.answer();
    },
  });
  client.send(`GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n${GET}`);
  await client.untilEnd();
  client.send(GET.repeat(100));
  await turn();
  client.close();
  await until('the end', () => events.includes('disconnected'));
  assert.deepEqual(events, ['request GET /', 'end', 'disconnected']);
});

test('a refused head is told once, its answer arrives whole, and nothing after it is read', async (context) => {
  const { client, events } = await served(context, {
    react(event, one) {
      if (event.startsWith('refused')) one.answer('no');
    },
  });
  client.send(`GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n${GET}${'x'.repeat(300_000)}`);
  assert.match(await client.untilEnd(), /no$/);
  assert.deepEqual(
    events.filter((event) => event !== 'disconnected'),
    ['refused 400'],
  );
});

test('a client that goes on sending a body after its answer gets the answer whole, not a reset', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n${'x'.repeat(1000)}`);
  await until('the body', () => events.includes('data'));
  answer('early');
  client.send('x'.repeat(500_000));
  assert.match(await client.untilEnd(), /early$/);
  await until('it is read', () => connection.transport.bytesRead > 500_000);
  client.close();
  await until('the end', () => events.includes('disconnected'));
});

test('an attacker who lingers after its last answer is cut off by time', async (context) => {
  const { client, clock, events, answer } = await served(context);
  client.send(LAST);
  await until('the request', () => events.includes('end'));
  answer('bye');
  await client.untilEnd();
  assert.ok(!events.includes('disconnected'));
  clock.leap(1_900);
  await turn();
  assert.ok(!events.includes('disconnected'));
  clock.leap(200);
  await until('the end', () => events.includes('disconnected'));
});

test('an attacker who sends without end after its last answer is cut off by bytes', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send(LAST);
  await until('the request', () => events.includes('end'));
  answer('bye');
  client.send('x'.repeat(8 * 1024 * 1024));
  await until('the end', () => events.includes('disconnected'));
  assert.ok(connection.transport.bytesRead < 2 * 1024 * 1024);
});

test('a drain closes an idle connection at once', async (context) => {
  const { client, connection } = await served(context);
  connection.drain();
  await client.untilEnd();
});

test('a drain lets a request finish and says that it is the last', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send(GET);
  await until('the request', () => events.includes('end'));
  connection.drain();
  assert.equal(connection.willClose, true);
  answer('last');
  assert.match(await client.untilEnd(), /connection: close.*last$/s);
});

test('a drain lets a head that has begun be served', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send(GET.slice(0, 12));
  await until('a part of the head', () => connection.parser.begun);
  connection.drain();
  await turn();
  assert.equal(client.ended, false);
  client.send(GET.slice(12));
  await until('the request', () => events.includes('end'));
  answer('last');
  assert.match(await client.untilEnd(), /last$/);
});

test('a client that half-closes after its request gets the answer, then the end', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.socket.end(GET);
  await until('the FIN', () => connection.transport.ended);
  assert.deepEqual(events, ['request GET /a', 'end']);
  answer('still');
  assert.match(await client.untilEnd(), /still$/);
  await until('the end', () => events.includes('disconnected'));
});

test('a client that ends inside a head gets no answer', async (context) => {
  const { client, events } = await served(context);
  client.socket.end(GET.slice(0, 10));
  assert.equal(await client.untilEnd(), '');
  await until('the end', () => events.includes('disconnected'));
  assert.deepEqual(events, ['disconnected']);
});

test('a client that ends inside a body aborts its request', async (context) => {
  const { client, events, answer } = await served(context);
  client.socket.end('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhello');
  await until('the abort', () => events.some((event) => event.startsWith('aborted')));
  assert.ok(!events.includes('end'));
  answer('cut');
  assert.match(await client.untilEnd(), /cut$/);
});

test('a malformed chunk aborts its request, and what follows is no request', async (context) => {
  const { client, events, answer } = await served(context);
  client.send(`POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n${GET}`);
  await until('the abort', () => events.includes(`aborted: ${PROBLEMS.chunk.detail}`));
  answer('bad');
  await client.untilEnd();
  assert.equal(count(events.join(), 'request'), 1);
});

test('a client that goes away is told of', async (context) => {
  const { client, events } = await served(context);
  client.send(GET);
  await until('the request', () => events.includes('end'));
  client.socket.resetAndDestroy();
  await until('the end', () => events.includes('disconnected'));
  assert.equal(count(events.join(), 'disconnected'), 1);
});

test('a body that nobody takes is not read on until it is', async (context) => {
  const { client, connection, events, body, answer } = await served(context, {
    react(event, one) {
      if (event === 'data') one.connection.pauseRequest();
    },
  });
  const length = 4 * 1024 * 1024;
  client.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n${'b'.repeat(length)}`);
  await until('the first bytes', () => events.includes('data'));
  for (let i = 0; i < 20; i++) await turn();
  assert.ok(body().length <= 64 * 1024, `${body().length} bytes`);
  while (!events.includes('end')) {
    const before = body().length;
    connection.resumeRequest();
    await until('more', () => body().length > before);
  }
  assert.equal(body().length, length);
  answer();
  await client.expect('ok');
});

test('a body whose last bytes were not taken in time does not hold up the next request', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab');
  await until('the end', () => events.includes('end'));
  connection.pauseRequest();
  answer('one');
  client.send(GET);
  await until('the next request', () => count(events.join(), 'end') === 2);
  answer('two');
  await client.expect('two');
});

test('after a switch of protocols bytes pass as they come, those that came early too, and so does the FIN', async (context) => {
  const { client, connection, events, body } = await served(context);
  client.send(`${GET}early`);
  await until('the request', () => events.includes('end'));
  connection.responseHead('HTTP/1.1 101 Switching Protocols\r\n\r\n');
  connection.tunnel();
  await client.expect('101');
  await until('what came early', () => body() === 'early');
  client.send('GET / no request');
  await until('what came later', () => body() === 'earlyGET / no request');
  client.socket.end();
  await until('the FIN', () => events.includes('tunnel end'));
  connection.transport.end();
  await client.untilEnd();
});

test('a response that is cut short reaches the client as a reset, so that it is not taken for whole', async (context) => {
  const { client, connection, events } = await served(context);
  const errors: (string | undefined)[] = [];
  client.socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code));
  client.send(GET);
  await until('the request', () => events.includes('end'));
  connection.responseHead('HTTP/1.1 200 OK\r\n\r\n');
  connection.responseData(undefined, Buffer.from('half'), 0, 4);
  await client.expect('half');
  connection.abort();
  await client.untilEnd();
  assert.deepEqual(errors, ['ECONNRESET']);
});

test('the head goes out with the first bytes of the body, or by itself when it is flushed', async (context) => {
  const { client, connection, events } = await served(context);
  client.send(GET);
  await until('the request', () => events.includes('end'));
  const before = connection.transport.socket.bytesWritten;
  connection.responseHead('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n');
  assert.equal(connection.transport.socket.bytesWritten, before);
  assert.equal(connection.flush(), true);
  assert.ok(connection.transport.socket.bytesWritten > before);
  connection.flush();
  connection.responseData(undefined, Buffer.from('xoky'), 1, 3);
  connection.responseEnd();
  assert.equal(await client.expect('ok'), 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
});

test('an interim head goes out before the answer', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send('POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
  await until('the request', () => events.length === 1);
  connection.informational(headOf('response', 'HTTP/1.1 100 Continue\r\n\r\n'));
  await client.expect('100 Continue\r\n\r\n');
  client.send('ab');
  await until('the end', () => events.includes('end'));
  answer();
  assert.match(await client.expect('ok'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
});

test('an interim head is left out for a client of HTTP/1.0, which knows none', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send('GET / HTTP/1.0\r\n\r\n');
  await until('the request', () => events.includes('end'));
  connection.informational(headOf('response', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'));
  answer();
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 OK/);
});

const FIELDS = 'content-type: text/plain\r\n';

test('a response of its own has status, phrase and fields, and the length of its body', async (context) => {
  const { client, connection, events } = await served(context);
  client.send(GET);
  await until('the request', () => events.includes('end'));
  connection.respondLocally(503, FIELDS, 'no such');
  assert.equal(
    await client.expect('no such'),
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}content-length: 7\r\n\r\nno such`,
  );
});

test('a response of its own to HEAD tells the length and has no body', async (context) => {
  const { client, connection, events, answer } = await served(context);
  client.send('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the request', () => events.includes('end'));
  connection.respondLocally(503, '', 'no such');
  client.send(GET);
  await until('the next request', () => count(events.join(), 'end') === 2);
  answer('next');
  assert.equal(
    await client.expect('next'),
    'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 7\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext',
  );
});

test('a refused head is answered with a body, though the request before it was a HEAD', async (context) => {
  const { client, events } = await served(context, {
    react(event, one) {
      if (event === 'end') one.answer();
      if (event.startsWith('refused')) one.answer('refused');
    },
  });
  client.send('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
  await until('the answer', () => client.text.includes('\r\n\r\n'));
  client.send(' / HTTP/1.1\r\n\r\n');
  assert.match(await client.untilEnd(), /content-length: 7\r\nconnection: close\r\n\r\nrefused$/);
  assert.ok(events.includes('refused 400'));
});

test('the last response of its own on a connection says so: of HTTP/1.0, of a drain, and before a body is read', async (context) => {
  for (const request of [
    LAST,
    'GET / HTTP/1.0\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n',
  ]) {
    const { client, connection, events } = await served(context);
    client.send(request);
    await until('the request', () => events.length > 0);
    connection.respondLocally(503, '', 'bye');
    assert.match(await client.untilEnd(), /\r\nconnection: close\r\n\r\nbye$/);
  }
});

/** What a client sees that sent `request` and is answered by `head`, data and end. */
async function relayed(
  context: TestContext,
  request: string,
  head: MessageHead,
  { pieces = [] as string[], trailers = undefined as Field[] | undefined, added = '' } = {},
) {
  const one = await served(context);
  one.client.send(request);
  await until('the request', () => one.events.includes('end'));
  one.connection.respond(head, added);
  for (const piece of pieces) one.connection.responseData(undefined, Buffer.from(piece), 0, piece.length);
  one.connection.responseEnd(trailers);
  return one;
}

const TEN = 'GET / HTTP/1.0\r\n\r\n';
const TEN_KEPT = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n';

test('a response keeps its reason phrase and lines, without those of its connection, and gets the lines added', async (context) => {
  const head = headOf(
    'response',
    'HTTP/1.1 200 Fine\r\nX-A:  1\r\nConnection: x-b\r\nX-B: 1\r\nContent-Length: 2\r\n\r\n',
  );
  const { client } = await relayed(context, GET, head, { pieces: ['ok'], added: 'x-c: 1\r\n' });
  assert.equal(
    await client.expect('ok'),
    'HTTP/1.1 200 Fine\r\nX-A:  1\r\nContent-Length: 2\r\nx-c: 1\r\n\r\nok',
  );
});

test('a body until the close is put into chunks, so that its end is seen, and the connection stays', async (context) => {
  const head = headOf('response', 'HTTP/1.1 200 OK\r\n\r\n');
  const { client, connection } = await relayed(context, GET, head, {
    pieces: ['first', '0123456789abcdef0'],
  });
  assert.equal(
    await client.expect('0\r\n\r\n'),
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n11\r\n0123456789abcdef0\r\n0\r\n\r\n',
  );
  assert.equal(connection.idle, true);
});

for (const [what, text] of [
  ['until the close', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
] as const) {
  test(`for HTTP/1.0 a body ${what} ends with the connection`, async (context) => {
    const { client } = await relayed(context, TEN_KEPT, headOf('response', text), { pieces: ['body'] });
    assert.equal(await client.untilEnd(), 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody');
  });
}

test('an HTTP/1.0 client that asked to be kept is told that it is, where the length is known', async (context) => {
  const head = headOf('response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  const { client, connection } = await relayed(context, TEN_KEPT, head);
  await client.expect('connection: keep-alive\r\n\r\n');
  assert.equal(connection.idle, true);
  const other = await relayed(context, TEN, head);
  assert.match(await other.client.untilEnd(), /connection: close\r\n\r\n$/);
});

test('a response of HTTP/2 gets a status line, and chunks and trailers where its length is not known', async (context) => {
  const head = streamHead({ status: 200, lines: [['x-a', '1']], bodyLength: UNKNOWN_LENGTH });
  const { client, connection } = await relayed(context, GET, head, {
    pieces: ['body'],
    trailers: [new Field('grpc-status', '0')],
  });
  assert.equal(
    await client.expect('grpc-status: 0\r\n\r\n'),
    'HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\ngrpc-status: 0\r\n\r\n',
  );
  assert.equal(connection.idle, true);
});

test('a response of HTTP/2 without body and length has an end that an HTTP/1.1 client sees', async (context) => {
  const { client } = await relayed(context, GET, streamHead({ status: 200 }));
  const text = await client.expect('\r\n\r\n');
  const { framing } = headOf('response', text.slice(0, text.indexOf('\r\n\r\n') + 4));
  assert.notEqual(framing, UNTIL_CLOSE, text);
});

test('an empty piece of a body in chunks does not end it', async (context) => {
  const head = streamHead({ status: 200, bodyLength: UNKNOWN_LENGTH });
  const { client } = await relayed(context, GET, head, { pieces: ['a', '', 'b'] });
  assert.match(await client.expect('0\r\n\r\n'), /\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n$/);
});

for (const [status, method] of [
  [204, 'GET'],
  [304, 'GET'],
  [200, 'HEAD'],
] as const) {
  test(`a response of HTTP/2 with ${status} to ${method} has no chunks, and the next request is served`, async (context) => {
    const head = streamHead({ status, bodyLength: method === 'HEAD' ? UNKNOWN_LENGTH : 0 });
    const request = `${method} /a HTTP/1.1\r\nHost: h\r\n\r\n`;
    const { client, connection, events, answer } = await relayed(context, request, head);
    assert.equal(connection.idle, true);
    client.send(GET);
    await until('the next request', () => count(events.join(), 'end') === 2);
    answer('next');
    assert.match(await client.expect('next'), /^HTTP\/1\.1 \d+ [A-Za-z ]+\r\n\r\nHTTP\/1\.1 200 OK/);
  });
}
