import assert from 'node:assert/strict';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type LeapingClock, leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import type { Field } from '../http/field.ts';
import { DEFAULT_LIMITS, MAX_INTERIM_HEADS } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { OutgoingRequest, ResponseHandler, UpstreamFailure } from '../http/upstream.ts';
import { Transport } from '../transport/transport.ts';
import { Http2ClientConnection } from './client-connection.ts';
import type { Http2ClientStream } from './client-stream.ts';
import { CANCEL, NO_ERROR, REFUSED_STREAM } from './error-codes.ts';
import { ACK, DATA, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS } from './frame.ts';
import { DEFAULT_HTTP2_LIMITS } from './http2-limits.ts';
import { frame, number, RawPeer } from './raw-peer.fixture.ts';
import { responseHead } from './served.fixture.ts';

interface Connected {
  readonly connection: Http2ClientConnection;
  readonly clock: LeapingClock;
  readonly told: string[];
}

async function connected(context: TestContext, server: Server | Http2Server): Promise<Connected> {
  const clock = leapingClock(context);
  const told: string[] = [];
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  const owner = {
    onCapacity: () => void told.push('capacity'),
    onGoingAway: () => void told.push('going away'),
    onGone: (_: unknown, error: Error | undefined) => void told.push(`gone ${error?.message ?? ''}`),
  };
  const connection = new Http2ClientConnection(owner, DEFAULT_LIMITS, DEFAULT_HTTP2_LIMITS, clock.wheel);
  await new Promise<void>((resolve) => {
    connection.transport = Transport.connect(connection, (onread) => {
      const socket = tcpConnect({ host: '127.0.0.1', port, noDelay: true, onread });
      socket.once('connect', resolve);
      return socket;
    });
  });
  connection.open(connection.transport);
  context.after(() => {
    connection.destroy();
    server.close();
  });
  return { connection, clock, told };
}

/** A connection to a server that speaks in raw frames. */
async function raw(context: TestContext): Promise<Connected & { peer: RawPeer }> {
  const client = await rawUntold(context);
  client.peer.send(frame(SETTINGS, 0, 0));
  await until('the settings', () => client.connection.ready);
  client.told.length = 0;
  return client;
}

/** The same before the server has said anything. */
async function rawUntold(context: TestContext): Promise<Connected & { peer: RawPeer }> {
  const sockets: Socket[] = [];
  const peers: RawPeer[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    peers.push(new RawPeer(socket, PREFACE.length));
  });
  const client = await connected(context, server);
  context.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await until('the server', () => peers.length === 1);
  return { ...client, peer: peers[0] as RawPeer };
}

interface Response {
  readonly events: string[];
  head: MessageHead | undefined;
  body: Buffer;
  trailers: readonly Field[] | undefined;
  failure: UpstreamFailure | undefined;
}

function receive(): Response & ResponseHandler {
  const response: Response & ResponseHandler = {
    events: [],
    head: undefined,
    body: Buffer.alloc(0),
    trailers: undefined,
    failure: undefined,
    onInformational: (head) => void response.events.push(`interim ${head.status}`),
    onResponse(head) {
      response.head = head;
      response.events.push('response');
    },
    onResponseData(bytes, start, end) {
      response.body = Buffer.concat([response.body, bytes.subarray(start, end)]);
    },
    onResponseEnd(trailers) {
      response.trailers = trailers;
      response.events.push('end');
    },
    onResponseFlush() {},
    onResponseFailed(failure) {
      response.failure = failure;
      response.events.push('failed');
    },
    onRequestWritable: () => void response.events.push('writable'),
    onUpstreamTunnelEnd: () => void response.events.push('tunnel end'),
  };
  return response;
}

function request(changes: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    head: responseHead(0, [['x-kept', 'yes']]),
    method: 'GET',
    target: '/a',
    fields: 'host: app\r\nx-request-id: 7\r\n',
    upgrade: '',
    decode: false,
    ...changes,
  };
}

function get(connection: Http2ClientConnection): { stream: Http2ClientStream; response: Response } {
  const response = receive();
  const stream = connection.startStream();
  stream.send(request(), response);
  stream.requestEnd(undefined);
  return { stream, response };
}

const done = ({ events }: Response): boolean => events.includes('end') || events.includes('failed');

function nodeServer(
  answer: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void,
): Http2Server {
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    answer(stream as ServerHttp2Stream, headers); // a server's session has no others
  });
  return server;
}

test('a request to node:http2 and its answer, with an interim head', async (context) => {
  const seen: Record<string, unknown>[] = [];
  const server = nodeServer((stream, headers) => {
    seen.push(headers);
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    stream.respond({ ':status': 200, 'x-answer': 'yes' });
    stream.end('hello');
  });
  const { connection } = await connected(context, server);
  const { response, stream } = get(connection);
  assert.equal(connection.streams, 1);
  await until('the answer', () => done(response));
  assert.deepEqual(response.events, ['interim 103', 'response', 'end']);
  assert.equal(response.head?.get('x-answer'), 'yes');
  assert.equal(String(response.body), 'hello');
  const [headers] = seen;
  assert.equal(headers?.[':authority'], 'app');
  assert.equal(headers?.[':path'], '/a');
  assert.equal(headers?.['x-kept'], 'yes');
  assert.equal(headers?.['x-request-id'], '7');
  assert.equal(headers?.host, undefined);
  assert.ok(stream.closed);
  assert.equal(connection.streams, 0);
});

test('megabytes to node:http2 and back, with trailers, through its small windows', async (context) => {
  const server = nodeServer((stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
    stream.pipe(stream);
  });
  const { connection } = await connected(context, server);
  const body = Buffer.alloc(2_000_000, 'all of it, and in order.');
  const sent = [0, 1, 2].map(() => {
    const response = receive();
    const stream = connection.startStream();
    stream.send(request({ method: 'POST' }), response);
    stream.requestData(undefined, body, 0, body.length);
    stream.requestEnd(undefined);
    return response;
  });
  await until('the answers', () => sent.every(done));
  for (const response of sent) {
    assert.ok(response.body.equals(body));
    assert.equal(response.trailers?.[0]?.value, '7');
  }
});

test('a request without a body is one frame', async (context) => {
  const { connection, peer } = await raw(context);
  get(connection);
  assert.equal((await peer.expect(HEADERS, 1)).flags & END_STREAM, END_STREAM);
  assert.ok(!peer.frames.some(({ type }) => type === DATA));
});

test('REFUSED_STREAM says that the request was not begun, any other reset does not', async (context) => {
  const { connection, peer } = await raw(context);
  for (const [id, code, refused] of [
    [1, REFUSED_STREAM, true],
    [3, CANCEL, false],
    [5, NO_ERROR, false],
  ] as const) {
    const { response } = get(connection);
    peer.send(frame(RST_STREAM, 0, id, number(code)));
    await until('the failure', () => done(response));
    assert.equal(response.failure?.refused, refused);
    assert.equal(response.failure?.resetCode, code);
  }
});

test('GOAWAY fails what the server has not begun, and lets the rest finish', async (context) => {
  const { connection, peer, told } = await raw(context);
  const first = get(connection);
  const second = get(connection);
  await peer.expect(HEADERS, 3);
  peer.send(frame(GOAWAY, 0, 0, Buffer.concat([number(1), number(0)])));
  await until('the failure', () => done(second.response));
  assert.equal(second.response.failure?.refused, true);
  assert.equal(connection.capacity, 0);
  assert.deepEqual(told, ['going away']);
  peer.send(peer.head(1, [[':status', '200']], 0), frame(DATA, END_STREAM, 1, Buffer.from('ok')));
  await until('the answer', () => done(first.response));
  assert.equal(String(first.response.body), 'ok');
  await until('the end', () => peer.closed);
  await until('the owner', () => told.length === 2);
  assert.deepEqual(told, ['going away', 'gone ']);
});

test('RST_STREAM(NO_ERROR) after a whole answer is no failure, and the rest of the request is not sent', async (context) => {
  const { connection, peer } = await raw(context);
  const response = receive();
  const stream = connection.startStream();
  stream.send(request({ method: 'POST' }), response);
  await peer.expect(HEADERS, 1);
  peer.send(peer.head(1, [[':status', '403']], END_STREAM), frame(RST_STREAM, 0, 1, number(NO_ERROR)));
  await until('the answer', () => done(response));
  assert.equal(stream.requestData(undefined, Buffer.from('more'), 0, 4), true);
  stream.requestEnd(undefined);
  const next = get(connection);
  peer.send(peer.head(3, [[':status', '204']], END_STREAM));
  await until('the next answer', () => done(next.response));
  assert.deepEqual(response.events, ['response', 'end']);
  assert.ok(!peer.frames.some(({ type }) => type === DATA));
});

test('an abandoned request is cancelled, and what was under way of its answer is nobody’s', async (context) => {
  const { connection, peer } = await raw(context);
  const { stream, response } = get(connection);
  await peer.expect(HEADERS, 1);
  stream.abandon();
  stream.abandon();
  assert.equal((await peer.expect(RST_STREAM, 1)).payload.readUInt32BE(0), CANCEL);
  peer.send(
    peer.head(
      1,
      [
        [':status', '200'],
        ['x-late', 'yes'],
      ],
      0,
    ),
    frame(DATA, END_STREAM, 1, [1]),
  );
  const next = get(connection);
  peer.send(
    peer.head(
      3,
      [
        [':status', '200'],
        ['x-late', 'yes'],
      ],
      END_STREAM,
    ),
  );
  await until('the next answer', () => done(next.response));
  assert.equal(next.response.head?.get('x-late'), 'yes');
  assert.deepEqual(response.events, []);
});

test('a response that its head has ended and that is discarded is not reset: servers count resets', async (context) => {
  const { connection, peer } = await raw(context);
  const stream = connection.startStream();
  const response = receive();
  response.onResponse = () => {
    response.events.push('response');
    stream.discard();
  };
  stream.send(request(), response);
  stream.requestEnd(undefined);
  await peer.expect(HEADERS, 1);
  peer.send(peer.head(1, [[':status', '503']], END_STREAM));
  await until('the response', () => response.events.length > 0);
  const next = get(connection);
  await peer.expect(HEADERS, 3);
  peer.send(peer.head(3, [[':status', '200']], END_STREAM));
  await until('the next', () => done(next.response));
  assert.deepEqual(response.events, ['response']);
  assert.deepEqual(
    peer.frames.filter(({ type }) => type === RST_STREAM),
    [],
  );
  assert.equal(connection.streams, 0);
});

test('malformed answers are the upstream’s fault, and the connection goes on', async (context) => {
  const { connection, peer } = await raw(context);
  const answers: (readonly [string, string][])[] = [
    [['x-no', 'status']],
    [[':status', '101']],
    [
      [':status', '200'],
      ['connection', 'close'],
    ],
    [
      [':status', '200'],
      [':path', '/'],
    ],
    [
      [':status', '200'],
      ['content-length', '5'],
    ],
  ];
  let id = 1;
  for (const fields of answers) {
    const { response } = get(connection);
    await peer.expect(HEADERS, id);
    peer.send(peer.head(id, fields, END_STREAM));
    await until('the failure', () => done(response));
    assert.equal(response.failure?.problem?.code, 'upstream-framing');
    id += 2;
  }
  const { response } = get(connection);
  peer.send(peer.head(id, [[':status', '204']], END_STREAM));
  await until('the answer', () => done(response));
  assert.equal(response.head?.status, 204);
});

test('capacity is what the server says, and who waits is told when it comes back', async (context) => {
  const { connection, peer, told } = await raw(context);
  peer.send(frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 2, 0, 8, 0, 0, 0, 1]));
  await until('the setting', () => connection.capacity === 2);
  assert.ok(connection.allowsConnectProtocol);
  get(connection);
  const unused = connection.startStream();
  assert.equal(connection.capacity, 0);
  unused.abandon();
  assert.deepEqual(told, ['capacity']);
  assert.equal(connection.capacity, 1);
});

test('one request goes before the server has said how many it takes, the next wait to hear it', async (context) => {
  const { connection, peer, told } = await rawUntold(context);
  get(connection);
  await peer.expect(HEADERS, 1);
  assert.deepEqual([connection.capacity, connection.ready, told], [0, false, []]);
  // Even a server that takes no more is heard: whoever waits may look elsewhere.
  peer.send(frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 1]));
  await until('the settings', () => told.length === 1);
  assert.deepEqual([connection.capacity, connection.ready], [0, true]);
  peer.send(frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 3]));
  await until('the rise', () => told.length === 2);
  assert.equal(connection.capacity, 2);
});

test('an extended CONNECT opens a tunnel', async (context) => {
  const { connection, peer } = await rawUntold(context);
  const response = receive();
  const stream = connection.startStream();
  stream.send(request({ upgrade: 'websocket' }), response);
  assert.equal(stream.id, 0, 'it waits to hear that the server understands it');
  peer.send(frame(SETTINGS, 0, 0, [0, 8, 0, 0, 0, 1]));
  stream.requestEnd(undefined);
  const head = await peer.expect(HEADERS, 1);
  assert.equal(head.flags & END_STREAM, 0);
  assert.deepEqual(peer.fields(head).slice(0, 5), [
    ':method: CONNECT',
    ':protocol: websocket',
    ':scheme: http',
    ':authority: app',
    ':path: /a',
  ]);
  peer.send(peer.head(1, [[':status', '200']], 0));
  await until('the switch', () => response.events.includes('response'));
  stream.requestData(undefined, Buffer.from('ping'), 0, 4);
  assert.equal(String((await peer.expect(DATA, 1)).payload), 'ping');
  peer.send(frame(DATA, END_STREAM, 1, Buffer.from('pong')));
  await until('the end', () => response.events.includes('tunnel end'));
  assert.equal(String(response.body), 'pong');
  stream.endTunnel();
  assert.ok(stream.closed);
});

test('a server that does not allow extended CONNECT is not sent any', async (context) => {
  const { connection, peer } = await rawUntold(context);
  const early = receive();
  connection.startStream().send(request({ upgrade: 'websocket' }), early);
  const abandoned = receive();
  const unwanted = connection.startStream();
  unwanted.send(request({ upgrade: 'websocket' }), abandoned);
  unwanted.abandon();
  peer.send(frame(SETTINGS, 0, 0));
  await until('the failure', () => done(early));
  assert.equal(early.failure?.problem?.code, 'upgrade-refused');
  const late = receive();
  connection.startStream().send(request({ upgrade: 'websocket' }), late);
  assert.equal(late.failure?.problem?.code, 'upgrade-refused');
  assert.deepEqual([abandoned.events, connection.streams], [[], 0]);
  const { response } = get(connection);
  await peer.expect(HEADERS, 1);
  peer.send(peer.head(1, [[':status', '204']], END_STREAM));
  await until('the answer', () => done(response));
});

test('an upgrade that waits for settings fails with its connection, once', async (context) => {
  const { connection, peer } = await rawUntold(context);
  const response = receive();
  connection.startStream().send(request({ upgrade: 'websocket' }), response);
  peer.close();
  await until('the failure', () => done(response));
  assert.deepEqual(response.events, ['failed']);
});

test('interim heads without end are the upstream’s fault', async (context) => {
  const { connection, peer } = await raw(context);
  const { response } = get(connection);
  await peer.expect(HEADERS, 1);
  for (let count = 0; count <= MAX_INTERIM_HEADS; count++) peer.send(peer.head(1, [[':status', '103']], 0));
  await until('the failure', () => done(response));
  assert.equal(response.failure?.problem?.code, 'upstream-framing');
  assert.equal(response.events.length, MAX_INTERIM_HEADS + 1);
});

/** A request that is given up `afterMs` after it was sent. */
function giveUp({ connection, clock }: Awaited<ReturnType<typeof raw>>, afterMs: number): void {
  const { stream } = get(connection);
  clock.leap(afterMs);
  stream.abandon();
}

/** The server acknowledges our settings; a PING of its own tells that we have read it. */
async function acknowledged({ peer }: Awaited<ReturnType<typeof raw>>): Promise<void> {
  peer.send(frame(SETTINGS, ACK, 0), frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
}

const asked = ({ frames }: Awaited<ReturnType<typeof raw>>['peer']) =>
  frames.filter(({ type, flags }) => type === PING && flags === 0).length;

test('a half-open connection is found out by a request that is given up, not after all those that follow it', async (context) => {
  const opened = await raw(context);
  const { connection, peer, clock, told } = opened;
  await acknowledged(opened);
  giveUp(opened, 500);
  await until('the question', () => asked(peer) === 1);
  giveUp(opened, 5_000);
  clock.leap(5_100);
  await until('the owner', () => told.some((what) => what.startsWith('gone')));
  assert.equal(asked(peer), 1);
  assert.equal(connection.capacity, 0);
});

test('a server that answers is kept, and one that had little time is not asked: some end a connection for it', async (context) => {
  const opened = await raw(context);
  const { connection, peer, clock } = opened;
  await acknowledged(opened);
  giveUp(opened, 100);
  giveUp(opened, 500);
  await until('the question', () => asked(peer) === 1);
  peer.send(frame(PING, ACK, 0, Buffer.from('alive ? ', 'latin1')));
  await peer.expect(RST_STREAM, 3);
  await turn();
  clock.leap(10_100);
  assert.ok(connection.capacity > 0);
});

test('a server that went silent with a request open is asked, and given up', async (context) => {
  const { connection, peer, clock, told } = await raw(context);
  peer.send(frame(SETTINGS, 1, 0), frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
  const { response } = get(connection);
  await peer.expect(HEADERS, 1);
  clock.leap(30_100);
  await until('the question', () => peer.frames.some(({ type, flags }) => type === PING && flags === 0));
  clock.leap(10_100);
  assert.match(response.failure?.error?.message ?? '', /silent for 4\d{4} ms and did not answer a PING/);
  assert.equal(response.failure?.refused, false);
  await until('the owner', () => told.some((what) => what.startsWith('gone')));
  assert.equal(told.filter((what) => what.startsWith('gone')).length, 1);
});

test('a connection that ends fails each of its requests once', async (context) => {
  const { connection, peer, told } = await raw(context);
  const sent = [get(connection), get(connection)];
  const unsent = connection.startStream();
  await peer.expect(HEADERS, 3);
  peer.close();
  await until('the failures', () => sent.every(({ response }) => done(response)) && told.length > 0);
  for (const { response } of sent) assert.deepEqual(response.events, ['failed']);
  const late = receive();
  unsent.send(request(), late);
  assert.deepEqual(late.events, ['failed']);
  assert.equal(connection.capacity, 0);
});

test('close() lets what is open finish', async (context) => {
  const { connection, peer } = await raw(context);
  const { response } = get(connection);
  connection.close();
  assert.equal(connection.capacity, 0);
  peer.send(peer.head(1, [[':status', '204']], END_STREAM));
  await until('the answer', () => done(response));
  assert.equal(RawPeer.goAway(await peer.expect(GOAWAY)).code, NO_ERROR);
});
