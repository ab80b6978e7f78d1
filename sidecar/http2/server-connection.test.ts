import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { turn, until } from '../../test/fixture/wait.ts';
import { Field } from '../http/field.ts';
import { HTTP_11, type MessageHead } from '../http/message-head.ts';
import { NO_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import {
  ACK,
  DATA,
  END_STREAM,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame.ts';
import { frame, number, RawPeer, REQUEST } from './raw-peer.fixture.ts';
import { answering, responseHead, type Served, type ServedRequest, served } from './served.fixture.ts';

const POST: readonly [string, string][] = [[':method', 'POST'], ...REQUEST.slice(1)];

function client(context: TestContext, { port }: Served): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  context.after(() => session.destroy());
  return session;
}

interface Answer {
  status: number;
  body: Buffer;
  headers: Record<string, unknown>;
  trailers: Record<string, unknown>;
  code: number;
}

function ask(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: Buffer,
  trailers?: Record<string, string>,
): Promise<Answer> {
  const stream = session.request(headers, {
    endStream: body === undefined,
    waitForTrailers: trailers !== undefined,
  });
  const answer: Answer = { status: 0, body: Buffer.alloc(0), headers: {}, trailers: {}, code: 0 };
  const parts: Buffer[] = [];
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  if (body !== undefined) stream.end(body);
  stream.on('response', (came) => {
    answer.status = Number(came[':status']);
    answer.headers = came;
  });
  stream.on('trailers', (came) => {
    answer.trailers = came;
  });
  stream.on('data', (bytes: Buffer) => parts.push(bytes));
  stream.on('error', () => {});
  return new Promise((resolve) =>
    stream.on('close', () => {
      answer.code = stream.rstCode ?? 0;
      answer.body = Buffer.concat(parts);
      resolve(answer);
    }),
  );
}

/** Sends the body back as it comes, and its trailers. */
function echo(event: string, request: ServedRequest): void {
  const { stream } = request;
  if (event === 'request') stream.respond(responseHead(200), '');
  if (event === 'data') {
    if (!stream.responseData(undefined, request.body, 0, request.body.length)) stream.pauseRequest();
    request.body = Buffer.alloc(0);
  }
  if (event === 'writable') stream.resumeRequest();
  if (event === 'end') stream.responseEnd(request.trailers);
}

test('a request of node:http2 and its answer', async (context) => {
  const server = await served(context, { react: answering('hello') });
  const answer = await ask(client(context, server), { ':path': '/a?b', cookie: 'c=d' });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['x-answer'], 'yes');
  assert.equal(String(answer.body), 'hello');
  const head = server.requests[0]?.head;
  assert.equal(head?.method, 'GET');
  assert.equal(head?.target, '/a?b');
  assert.equal(head?.authority, `127.0.0.1:${server.port}`);
  assert.equal(head?.bodyLength, 0);
  assert.equal(head?.get('cookie'), 'c=d');
});

test('megabytes go both ways byte for byte, with trailers, whatever the windows', async (context) => {
  const body = Buffer.alloc(3_000_000, 'the body that comes back.');
  for (const streamWindowBytes of [4_096, 256 * 1024]) {
    const server = await served(context, { react: echo, http2: { streamWindowBytes } });
    const session = client(context, server);
    const answers = await Promise.all(
      [1, 2, 3].map(() => ask(session, { ':method': 'POST' }, body, { 'x-sum': '7' })),
    );
    for (const answer of answers) {
      assert.ok(answer.body.equals(body));
      assert.equal(answer.trailers['x-sum'], '7');
    }
    context.mock.restoreAll();
  }
});

test('one byte at a time reads as all at once', async (context) => {
  const server = await served(context, { react: answering('ok') });
  const peer = await server.silent();
  const padded = frame(DATA, END_STREAM | 0x8, 1, [3, 0x61, 0x62, 0, 0, 0]);
  const bytes = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 9]),
    frame(0xee, 0xff, 7, [1, 2, 3]),
    peer.head(1, POST, 0),
    padded,
  ]);
  const connection = server.connections[0];
  assert.ok(connection);
  for (let at = 0; at < bytes.length; at++) connection.onBytes(bytes, at, at + 1);
  await peer.expect(DATA, 1);
  assert.equal(String(server.requests[0]?.body), 'ab');
});

test('an answer that is there at once is two frames, one without a body is one', async (context) => {
  const server = await served(context, {
    react(event, { stream, head }) {
      if (event !== 'end') return;
      const bodiless = head?.target === '/none';
      stream.respond(responseHead(bodiless ? 204 : 200), '');
      if (!bodiless) stream.responseData(undefined, Buffer.from('x'), 0, 1);
      stream.responseEnd(undefined);
    },
  });
  const peer = await server.raw();
  const none = REQUEST.map(([name, value]) => [name, name === ':path' ? '/none' : value] as const);
  peer.send(peer.head(1, REQUEST, END_STREAM), peer.head(3, none, END_STREAM));
  assert.equal((await peer.expect(HEADERS, 3)).flags & END_STREAM, END_STREAM);
  assert.equal((await peer.expect(HEADERS, 1)).flags & END_STREAM, 0);
  assert.equal((await peer.expect(DATA, 1)).flags & END_STREAM, END_STREAM);
});

test('an HTTP/1.1 head goes out in lower case, without what HTTP/2 forbids', async (context) => {
  const lines: [string, string][] = [
    ['Content-Type', 'text/plain'],
    ['Connection', 'close'],
    ['Keep-Alive', 'timeout=5'],
    ['Transfer-Encoding', 'chunked'],
    ['X-Hidden', 'no'],
    ['X-Request-Id', 'abc'],
  ];
  const head: MessageHead = {
    version: HTTP_11,
    method: '',
    target: '',
    status: 203,
    authority: '',
    requestId: '',
    bodyLength: 0,
    heldBytes: 0,
    upgrade: '',
    count: lines.length,
    name: (index) => lines[index]?.[0] ?? '',
    value: (index) => lines[index]?.[1] ?? '',
    keeps: (index) => lines[index]?.[0] !== 'X-Hidden',
    get: () => undefined,
    find: () => -1,
    remove() {},
  };
  const server = await served(context, {
    react(event, { stream }) {
      if (event !== 'end') return;
      stream.respond(head, 'Tulle-Retried: on 503\r\n');
      stream.responseEnd(undefined);
    },
  });
  const peer = await server.raw();
  peer.send(peer.head(1, REQUEST, END_STREAM));
  assert.deepEqual(peer.fields(await peer.expect(HEADERS, 1)), [
    ':status: 203',
    'content-type: text/plain',
    'x-request-id: abc',
    'tulle-retried: on 503',
  ]);
});

test('a head larger than a frame is split, and read whole by node:http2', async (context) => {
  const long = 'v'.repeat(20_000);
  const server = await served(context, {
    react(event, { stream }) {
      if (event !== 'end') return;
      stream.respond(
        responseHead(200, [
          ['x-1', long],
          ['x-2', long],
        ]),
        '',
      );
      stream.responseEnd(undefined);
    },
  });
  const answer = await ask(client(context, server), {});
  assert.equal(answer.headers['x-1'], long);
  assert.equal(answer.headers['x-2'], long);
});

test('heads that are too large or have too many lines are answered 431, and the connection goes on', async (context) => {
  const server = await served(context, { react: answering('ok'), limits: { headers: 10, headBytes: 4000 } });
  const session = client(context, server);
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`x-${index}`, 'v']));
  assert.equal((await ask(session, many)).headers['tulle-reason'], 'too-many-headers');
  assert.equal(
    (await ask(session, { 'x-long': 'v'.repeat(5000) })).headers['tulle-reason'],
    'head-too-large',
  );
  assert.equal((await ask(session, {})).status, 200);
});

test('plain CONNECT is answered 501', async (context) => {
  const server = await served(context);
  const answer = await ask(client(context, server), { ':method': 'CONNECT', ':authority': 'a:443' });
  assert.equal(answer.status, 501);
  assert.equal(answer.headers['tulle-reason'], 'method-unsupported');
});

test('extended CONNECT is a tunnel; what comes before the switch waits for it', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  const connectFields: [string, string][] = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    ...REQUEST.slice(1),
  ];
  peer.send(peer.head(1, connectFields, 0), frame(DATA, 0, 1, Buffer.from('early')));
  await until('the request', () => server.requests[0]?.events.includes('end') ?? false);
  const request = server.requests[0] as ServedRequest;
  assert.equal(request.head?.upgrade, 'websocket');
  await turn();
  assert.equal(String(request.body), '');
  request.stream.respond(responseHead(101), '');
  request.stream.tunnel();
  assert.equal(String(request.body), 'early');
  assert.deepEqual(peer.fields(await peer.expect(HEADERS, 1)), [':status: 200']);
  peer.send(frame(DATA, END_STREAM, 1, Buffer.from('+late')));
  await until('the end', () => request.events.includes('tunnel end'));
  assert.equal(String(request.body), 'early+late');
  request.stream.responseData(undefined, Buffer.from('back'), 0, 4);
  request.stream.endTunnel();
  const data = await peer.expect(DATA, 1);
  assert.equal(String(data.payload), 'back');
  assert.equal(data.flags, END_STREAM);
  assert.ok(request.stream.closed);
});

test('a request whose data is not what content-length says is reset, whether it is more or less', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  const sized = [...POST, ['content-length', '3'] as const];
  peer.send(peer.head(1, sized, 0), frame(DATA, END_STREAM, 1, [1, 2]));
  peer.send(peer.head(3, sized, 0), frame(DATA, 0, 3, [1, 2, 3, 4]));
  for (const id of [1, 3])
    assert.equal((await peer.expect(RST_STREAM, id)).payload.readUInt32BE(0), PROTOCOL_ERROR);
  for (const { events } of server.requests) assert.match(events.at(-1) ?? '', /^aborted: content-length/);
});

test('a client that resets its stream is noticed at once, and nothing is told or sent afterwards', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  peer.send(peer.head(1, REQUEST, END_STREAM), frame(RST_STREAM, 0, 1, number(8)));
  await until('the reset', () => server.requests[0]?.events.includes('disconnected') ?? false);
  const { stream, events } = server.requests[0] as ServedRequest;
  answering('late')('end', server.requests[0] as ServedRequest);
  stream.abort();
  peer.send(frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
  assert.ok(peer.frames.every(({ streamId }) => streamId === 0));
  assert.deepEqual(events, ['request', 'end', 'disconnected']);
});

test('an answer before the whole request is followed by RST_STREAM(NO_ERROR)', async (context) => {
  const server = await served(context, {
    react(event, { stream }) {
      if (event === 'request') stream.respondLocally(403, '', 'no');
    },
  });
  const peer = await server.raw();
  peer.send(peer.head(1, POST, 0), frame(DATA, 0, 1, [1]), frame(DATA, 0, 1, [2]));
  const reset = await peer.expect(RST_STREAM, 1);
  assert.equal(reset.payload.readUInt32BE(0), NO_ERROR);
  assert.deepEqual(
    peer.frames.filter(({ streamId }) => streamId === 1).map(({ type }) => type),
    [HEADERS, DATA, RST_STREAM],
  );
  assert.deepEqual(server.requests[0]?.events, ['request']);
});

test('a paused request keeps no more than its window, others go on', async (context) => {
  const server = await served(context, { http2: { streamWindowBytes: 1000 } });
  const peer = await server.raw();
  peer.send(peer.head(1, POST, 0));
  await until('the request', () => server.requests.length === 1);
  const first = server.requests[0] as ServedRequest;
  first.stream.pauseRequest();
  peer.send(
    frame(DATA, 0, 1, Buffer.alloc(1000)),
    peer.head(3, POST, 0),
    frame(DATA, 0, 3, Buffer.alloc(900)),
  );
  assert.equal((await peer.expect(WINDOW_UPDATE, 3)).payload.readUInt32BE(0), 900);
  assert.equal(first.body.length, 0, 'nobody is told of it meanwhile');
  assert.ok(!peer.frames.some(({ type, streamId }) => type === WINDOW_UPDATE && streamId === 1));
  first.stream.resumeRequest();
  assert.equal(first.body.length, 1000);
  assert.equal((await peer.expect(WINDOW_UPDATE, 1)).payload.readUInt32BE(0), 1000);
});

test('what comes while a request is paused follows in order, with its trailers, as far as it is taken', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  peer.send(peer.head(1, POST, 0), frame(DATA, 0, 1, Buffer.from('a')));
  await until('the first data', () => server.requests[0]?.body.length === 1);
  const { stream, events } = server.requests[0] as ServedRequest;
  stream.pauseRequest();
  for (const letter of 'bcdef') peer.send(frame(DATA, 0, 1, Buffer.from(letter)));
  peer.send(peer.head(1, [['x-sum', '6']], END_STREAM), frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
  assert.equal(events.at(-1), 'flush');
  stream.resumeRequest();
  assert.equal(server.requests[0]?.body.toString(), 'abcdef');
  assert.equal(events.at(-1), 'end');
  assert.equal(server.requests[0]?.trailers?.[0]?.value, '6');
});

test('data in a thousand frames of a byte is handed on in few pieces, in order', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  const frames = Array.from({ length: 1000 }, (_, index) => frame(DATA, 0, 1, [index & 0xff]));
  peer.send(Buffer.concat([peer.head(1, POST, 0), ...frames, frame(DATA, END_STREAM, 1, [7])]));
  await until('the end', () => server.requests[0]?.events.includes('end') === true);
  const { body, events } = server.requests[0] as ServedRequest;
  assert.deepEqual(body, Buffer.from([...Array.from({ length: 1000 }, (_, index) => index & 0xff), 7]));
  assert.ok(events.filter((event) => event === 'data').length < 50, events.join());
});

test('a tunnel that is not there yet is sent no more than a window, and gets it all when it is', async (context) => {
  const server = await served(context, { http2: { streamWindowBytes: 1000 } });
  const peer = await server.raw();
  const connect = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':authority', 'a'],
    [':path', '/'],
  ] as const;
  peer.send(frame(SETTINGS, ACK, 0), peer.head(1, connect, 0), frame(DATA, 0, 1, Buffer.alloc(1000)));
  peer.send(frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
  assert.ok(!peer.frames.some(({ type, streamId }) => type === WINDOW_UPDATE && streamId === 1));
  const { stream } = server.requests[0] as ServedRequest;
  assert.equal(server.requests[0]?.body.length, 0);
  stream.respond(responseHead(200), '');
  stream.tunnel();
  assert.equal(server.requests[0]?.body.length, 1000);
  assert.equal((await peer.expect(WINDOW_UPDATE, 1)).payload.readUInt32BE(0), 1000);
});

test('data for a window that is closed waits, turn by turn, and the handler with it', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  peer.send(frame(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 4]), peer.head(1, REQUEST, END_STREAM));
  await until('the request', () => server.requests.length === 1);
  const { stream, events } = server.requests[0] as ServedRequest;
  stream.respond(responseHead(200), '');
  assert.equal(stream.responseData(undefined, Buffer.from('0123456789'), 0, 10), false);
  peer.send(frame(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]), frame(WINDOW_UPDATE, 0, 1, number(3)));
  // 4 were sent, the setting took 4 off: 3 more leave the window below zero.
  peer.send(frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
  assert.equal(peer.frames.filter(({ type }) => type === DATA).length, 1);
  peer.send(frame(WINDOW_UPDATE, 0, 1, number(7)));
  await until('the handler', () => events.includes('writable'));
  stream.responseEnd([new Field('x-sum', '1')]);
  await until('the trailers', () =>
    peer.frames.some(({ type, flags }) => type === HEADERS && flags % 2 === 1),
  );
  const data = peer.frames.filter(({ type }) => type === DATA).map(({ payload }) => String(payload));
  assert.deepEqual(data, ['0123', '456789']);
});

test('a drain fails no request: those that cross the first GOAWAY are answered, and then the connection ends', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  peer.send(peer.head(1, REQUEST, END_STREAM));
  await until('the request', () => server.requests.length === 1);
  const connection = server.connections[0];
  assert.ok(connection);
  connection.drain();
  const ping = await peer.expect(PING);
  assert.equal(RawPeer.goAway(await peer.expect(GOAWAY)).lastId, 0x7fff_ffff);
  peer.send(
    peer.head(3, REQUEST, END_STREAM),
    frame(PING, 1, 0, ping.payload),
    peer.head(5, REQUEST, END_STREAM),
  );
  await until('the last GOAWAY', () => peer.frames.filter(({ type }) => type === GOAWAY).length === 2);
  const last = peer.frames.filter(({ type }) => type === GOAWAY).at(-1);
  assert.ok(last);
  assert.deepEqual(RawPeer.goAway(last), { lastId: 3, code: NO_ERROR, debug: '' });
  assert.equal(server.requests.length, 2);
  for (const request of server.requests) answering('ok')('end', request);
  await until('the end', () => peer.closed);
  assert.equal(peer.frames.filter(({ type, flags }) => type === DATA && flags === END_STREAM).length, 2);
});

test('drains under the load of node:http2 fail no request', async (context) => {
  const server = await served(context, { react: answering('ok') });
  let session = client(context, server);
  let answered = 0;
  for (let round = 0; round < 10; round++) {
    const answers = Promise.all(Array.from({ length: 20 }, () => ask(session, {})));
    server.connections.at(-1)?.drain();
    for (const answer of await answers) {
      assert.equal(answer.status, 200);
      assert.equal(answer.code, constants.NGHTTP2_NO_ERROR);
      answered++;
    }
    session = client(context, server);
    await until('a connection', () => server.connections.length === round + 2);
  }
  assert.equal(answered, 200);
});

test('an idle connection is told to go', async (context) => {
  const server = await served(context, { react: answering('ok') });
  const peer = await server.raw();
  peer.send(frame(SETTINGS, 1, 0), peer.head(1, REQUEST, END_STREAM));
  await peer.expect(DATA, 1);
  server.clock.leap(600_100);
  assert.equal(RawPeer.goAway(await peer.expect(GOAWAY)).code, NO_ERROR);
  await until('the end', () => peer.closed);
});
