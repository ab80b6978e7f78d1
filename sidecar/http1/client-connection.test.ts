import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type BackendConnection, rawBackend } from '../../test/fixture/backend.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { Field } from '../http/field.ts';
import { DEFAULT_LIMITS, MAX_INTERIM_HEADS } from '../http/limits.ts';
import { UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { OutgoingRequest, ResponseHandler } from '../http/upstream.ts';
import { Transport } from '../transport/transport.ts';
import { ClientConnection } from './client-connection.ts';
import { PROBLEMS } from './problems.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

interface Told extends ResponseHandler {
  readonly events: string[];
  body: string;
  trailers: string[] | undefined;
}

/** `onHead`: called when the final head came. */
function told(onHead = (): void => {}): Told {
  const events: string[] = [];
  const handler: Told = {
    events,
    body: '',
    trailers: undefined,
    onInformational: (head) => events.push(`interim ${head.status}`),
    onResponse(head) {
      events.push(`response ${head.status}`);
      onHead();
    },
    onResponseData(bytes, start, end) {
      handler.body += bytes.toString('latin1', start, end);
    },
    onResponseEnd(trailers) {
      handler.trailers = trailers?.map(({ name, value }) => `${name}: ${value}`);
      events.push('end');
    },
    onResponseFlush() {},
    onResponseFailed: ({ problem, error }) =>
      events.push(
        `failed ${problem?.code ?? (error as NodeJS.ErrnoException | undefined)?.code ?? 'closed'}`,
      ),
    onRequestWritable: () => events.push('writable'),
    onUpstreamTunnelEnd: () => events.push('tunnel end'),
  };
  return handler;
}

interface Connected {
  readonly connection: ClientConnection;
  readonly upstream: BackendConnection;
  /** `reusable` and `gone`, as the owner is told. */
  readonly owner: string[];
  /** Sends a request, and gives its handler. */
  request(options?: Partial<{ method: string; upgrading: boolean; decode: boolean; end: boolean }>): Told;
}

/** A connection to a server that answers what the test writes. */
async function connected(context: TestContext, onReusable = (): void => {}): Promise<Connected> {
  const backend = await rawBackend(() => {});
  const [host = '', port] = backend.address.split(':');
  const owner: string[] = [];
  const connection = new ClientConnection(
    {
      onReusable() {
        owner.push('reusable');
        onReusable();
      },
      onGone: () => owner.push('gone'),
      onDiscarding() {},
    },
    DEFAULT_LIMITS,
  );
  connection.transport = Transport.connect(connection, (onread) =>
    connect({ host, port: Number(port), allowHalfOpen: true, onread }),
  );
  context.after(() => {
    connection.abandon();
    backend.close();
  });
  await until('the connection', () => backend.connections.length === 1);
  const upstream = backend.connections[0] ?? assert.fail();
  return {
    connection,
    upstream,
    owner,
    request({ method = 'GET', upgrading = false, decode = false, end = true } = {}) {
      const handler = told();
      connection.sendText(`${method} / HTTP/1.1\r\nHost: h\r\n\r\n`, handler, method, upgrading, decode);
      if (end) connection.requestEnd();
      return handler;
    },
  };
}

const over = ({ events }: Told) => events.some((event) => event === 'end' || event.startsWith('failed'));

test('a connection serves one request after the other, and says each time that it can', async (context) => {
  const { connection, upstream, owner, request } = await connected(context);
  for (let round = 1; round <= 3; round++) {
    const handler = request();
    await until('the request', () => upstream.text.split('GET / ').length - 1 === round);
    assert.equal(connection.answered, false);
    upstream.socket.write(OK);
    await until('the end', () => over(handler));
    assert.deepEqual(handler.events, ['response 200', 'end']);
    assert.equal(handler.body, 'ok');
    assert.equal(connection.answered, true);
    assert.equal(connection.requests, round);
    assert.deepEqual(
      owner,
      Array.from({ length: round }, () => 'reusable'),
    );
  }
});

test('a response that is cut at every byte is read the same', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const response =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n';
  for (let cut = 1; cut < response.length; cut++) {
    const handler = request({ decode: true });
    upstream.socket.write(response.slice(0, cut));
    await turn();
    upstream.socket.write(response.slice(cut));
    await until('the end', () => over(handler));
    assert.deepEqual([handler.events, handler.body], [['response 200', 'end'], 'abcde'], `cut at ${cut}`);
  }
  assert.equal(owner.length, response.length - 1);
});

test('a chunked body is handed on as it came, if it is not to be decoded', async (context) => {
  const { upstream, request } = await connected(context);
  const handler = request();
  upstream.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
  await until('the end', () => over(handler));
  assert.equal(handler.body, '3\r\nabc\r\n0\r\n\r\n');
});

test('an upstream that sends a response nobody asked for loses its connection: the next caller does not get it', async (context) => {
  const { connection, upstream, owner, request } = await connected(context);
  const handler = request();
  upstream.socket.write(OK);
  await until('the end', () => over(handler));
  upstream.socket.write(OK);
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual(owner, ['reusable', 'gone']);
  assert.deepEqual(handler.events, ['response 200', 'end']);
  assert.equal(connection.transport.closed, true);
});

test('an upstream that sends more than its response at once loses its connection before anyone can reuse it', async (context) => {
  for (const response of [
    `${OK}x`,
    'HTTP/1.1 204 No Content\r\n\r\nx',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx',
  ]) {
    const { upstream, owner, request } = await connected(context);
    const handler = request();
    upstream.socket.write(response);
    await until('the end of the connection', () => owner.includes('gone'));
    assert.deepEqual(owner, ['gone']);
    assert.equal(handler.events.at(-1), 'end', 'the response itself was whole');
  }
});

test('bytes before any request end the connection', async (context) => {
  const { upstream, owner } = await connected(context);
  upstream.socket.write('220 smtp.example ready\r\n');
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual(owner, ['gone']);
});

test('a FIN on an idle connection ends it', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request();
  upstream.socket.write(OK);
  await until('the end', () => over(handler));
  upstream.socket.end();
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual(handler.events, ['response 200', 'end']);
});

test('an upstream that switches protocols without being asked is not followed', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request();
  upstream.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n');
  await until('the failure', () => over(handler));
  assert.deepEqual(handler.events, [`failed ${PROBLEMS.upgrade.code}`]);
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual(owner, ['gone']);
});

test('a switch of protocols that was asked for makes a tunnel, early bytes and FIN included', async (context) => {
  const { connection, upstream, owner, request } = await connected(context);
  const handler = request({ upgrading: true });
  upstream.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nearly');
  await until('what came early', () => handler.body === 'early');
  connection.requestData(undefined, Buffer.from('to upstream'), 0, 11);
  await until('what was sent', () => upstream.text.endsWith('to upstream'));
  upstream.socket.write('HTTP/1.1 500 no response\r\n\r\n');
  await until('what came', () => handler.body.endsWith('no response\r\n\r\n'));
  upstream.socket.end();
  await until('the FIN', () => handler.events.includes('tunnel end'));
  assert.deepEqual(handler.events, ['response 101', 'tunnel end']);
  connection.transport.end();
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual(owner, ['gone']);
});

test('interim heads are told, and the final one follows', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request();
  upstream.socket.write(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`);
  await until('the end', () => over(handler));
  assert.deepEqual(handler.events, ['interim 100', 'interim 103', 'response 200', 'end']);
  assert.deepEqual(owner, ['reusable']);
});

test('a body until the close ends with the FIN, and its connection with it', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request();
  upstream.socket.write('HTTP/1.1 200 OK\r\n\r\nall ');
  await until('a part', () => handler.body === 'all ');
  upstream.socket.end('of it');
  await until('the end', () => over(handler));
  assert.equal(handler.body, 'all of it');
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual([handler.events, owner], [['response 200', 'end'], ['gone']]);
});

test('a body until the close that ends in a reset is not whole', async (context) => {
  const { upstream, request } = await connected(context);
  const handler = request();
  upstream.socket.write('HTTP/1.1 200 OK\r\n\r\nhalf');
  await until('a part', () => handler.body === 'half');
  upstream.socket.resetAndDestroy();
  await until('the failure', () => over(handler));
  assert.deepEqual(handler.events, ['response 200', 'failed ECONNRESET']);
});

for (const [what, response, reusable] of [
  ['Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', false],
  ['Connection: close, before a body', `${OK.replace('\r\n', '\r\nConnection: close\r\n')}`, false],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', false],
  [
    'HTTP/1.0 with keep-alive',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n',
    true,
  ],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', true],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', true],
] as const) {
  test(`after a response of ${what} the connection ${reusable ? 'serves again' : 'is given up'}`, async (context) => {
    const { upstream, owner, request } = await connected(context);
    const handler = request();
    upstream.socket.write(response);
    await until('the end', () => over(handler));
    assert.equal(handler.events.at(-1), 'end');
    await until('word to the owner', () => owner.length > 0);
    assert.deepEqual(owner, [reusable ? 'reusable' : 'gone']);
  });
}

test('a response to HEAD has no body, whatever length it tells', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request({ method: 'HEAD' });
  upstream.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n');
  await until('the end', () => over(handler));
  const next = request();
  upstream.socket.write(OK);
  await until('the end', () => over(next));
  assert.deepEqual([next.body, owner], ['ok', ['reusable', 'reusable']]);
});

test("the server's own idle limit is remembered until it tells another", async (context) => {
  const { connection, upstream, request } = await connected(context);
  assert.equal(connection.keepAliveMs, -1);
  for (const [field, ms] of [
    ['Keep-Alive: timeout=5', 5000],
    ['X: y', 5000],
    ['Keep-Alive: timeout=7, max=9', 7000],
  ] as const) {
    const handler = request();
    upstream.socket.write(`HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 0\r\n\r\n`);
    await until('the end', () => over(handler));
    assert.equal(connection.keepAliveMs, ms);
  }
});

test('a response before the request is whole is whole, but its connection is not used again', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request({ method: 'POST', end: false });
  upstream.socket.write(OK);
  await until('the end', () => over(handler));
  assert.deepEqual(handler.events, ['response 200', 'end']);
  await until('word to the owner', () => owner.length > 0);
  assert.deepEqual(owner, ['gone']);
});

for (const [what, response, code] of [
  ['a FIN before the head', '', 'closed'],
  ['a FIN inside the head', 'HTTP/1.1 200 O', 'closed'],
  ['a FIN after an interim head', 'HTTP/1.1 100 Continue\r\n\r\n', 'closed'],
  ['a FIN inside a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf', 'closed'],
  [
    'a FIN inside a chunked body',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'closed',
  ],
  [
    'a malformed chunk',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n',
    'upstream-framing',
  ],
  ['a malformed head', 'HTTP/1.1 200 OK\r\nX : y\r\n\r\n', 'upstream-framing'],
  ['no HTTP at all', 'SSH-2.0-OpenSSH\r\n', 'upstream-framing'],
] as const) {
  test(`${what} fails the exchange once, and the connection is gone`, async (context) => {
    const { upstream, owner, request } = await connected(context);
    const handler = request();
    if (response !== '') upstream.socket.write(response);
    upstream.socket.end();
    await until('the failure', () => over(handler));
    await until('the end of the connection', () => owner.includes('gone'));
    assert.deepEqual(owner, ['gone']);
    assert.equal(handler.events.at(-1), `failed ${code}`);
    assert.equal(handler.events.filter((event) => event.startsWith('failed')).length, 1);
    assert.ok(!handler.events.includes('end'));
  });
}

test('the rest of a small response is read for nobody, and the connection serves again', async (context) => {
  const { connection, upstream, owner } = await connected(context);
  const handler = told(() => connection.discard());
  connection.sendText('GET / HTTP/1.1\r\n\r\n', handler, 'GET', false, false);
  connection.requestEnd();
  upstream.socket.write('HTTP/1.1 503 X\r\nContent-Length: 10\r\n\r\n01234');
  await until('the head', () => handler.events.length === 1);
  upstream.socket.write('56789');
  await until('word to the owner', () => owner.length > 0);
  assert.deepEqual([owner, handler.events, handler.body], [['reusable'], ['response 503'], '']);
});

for (const [what, head] of [
  ['large', 'Content-Length: 70000'],
  ['endless', 'X: y'],
  ['chunked', 'Transfer-Encoding: chunked'],
] as const) {
  test(`the rest of a ${what} response is not read for nobody: the connection is given up`, async (context) => {
    const { connection, upstream, owner } = await connected(context);
    const handler = told(() => connection.discard());
    connection.sendText('GET / HTTP/1.1\r\n\r\n', handler, 'GET', false, false);
    connection.requestEnd();
    upstream.socket.write(`HTTP/1.1 503 X\r\n${head}\r\n\r\n`);
    await until('word to the owner', () => owner.length > 0);
    assert.deepEqual([owner, handler.events], [['gone'], ['response 503']]);
  });
}

test('interim heads without end are the upstream’s fault', async (context) => {
  const { upstream, owner, request } = await connected(context);
  const handler = request();
  upstream.socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(MAX_INTERIM_HEADS + 1));
  await until('the end of the connection', () => owner.includes('gone'));
  assert.equal(handler.events.length, MAX_INTERIM_HEADS + 1);
  assert.equal(handler.events.at(-1), 'failed upstream-framing');
});

test('whoever abandons an exchange hears no more of it', async (context) => {
  const { connection, upstream, owner, request } = await connected(context);
  const handler = request();
  await until('the request', () => upstream.text !== '');
  connection.abandon();
  upstream.socket.write(OK);
  await until('the end of the connection', () => owner.includes('gone'));
  assert.deepEqual([owner, handler.events], [['gone'], []]);
});

test('a response that is not wanted any more resets its connection: a FIN alone would still be waited for', async (context) => {
  for (const answer of ['', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome']) {
    const { connection, upstream, request } = await connected(context);
    const handler = request();
    let reset = false;
    upstream.socket.on('error', (error: NodeJS.ErrnoException) => {
      reset = error.code === 'ECONNRESET';
    });
    await until('the request', () => upstream.text !== '');
    upstream.socket.write(answer);
    await until('what comes of the answer', () => answer === '' || handler.body === 'some');
    connection.abandon();
    await until('the reset', () => reset);
  }
});

test('a body that the upstream does not take makes its sender wait, and tells when it goes on', async (context) => {
  const { connection, upstream, request } = await connected(context);
  upstream.socket.pause();
  const handler = request({ method: 'POST', end: false });
  const piece = Buffer.alloc(256 * 1024);
  let sent = 0;
  while (connection.requestData(undefined, piece, 0, piece.length)) {
    sent += piece.length;
    assert.ok(sent < 64 * 1024 * 1024);
    await turn();
  }
  assert.deepEqual(handler.events, []);
  upstream.socket.resume();
  await until('room', () => handler.events.includes('writable'));
});

test('the head goes out with the first bytes of the body, or by itself when it is flushed', async (context) => {
  const { connection, upstream, request } = await connected(context);
  request({ method: 'POST', end: false });
  await turn();
  assert.equal(upstream.text, '');
  connection.requestData(undefined, Buffer.from('xbody'), 1, 5);
  await until('head and body', () => upstream.text === 'POST / HTTP/1.1\r\nHost: h\r\n\r\nbody');
  connection.flush();
  connection.requestEnd();
  await turn();
  assert.equal(upstream.text.length, 'POST / HTTP/1.1\r\nHost: h\r\n\r\nbody'.length);
});

/** A request of an HTTP/2 stream whose length is not known. */
function streamRequest(fields: Partial<OutgoingRequest> = {}): OutgoingRequest {
  const head = streamHead({ method: 'POST', target: '/a', authority: 'h', bodyLength: UNKNOWN_LENGTH });
  return { head, method: 'POST', target: '/a', fields: '', upgrade: '', decode: true, ...fields };
}

const POST = 'POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n';

test('a body of a stream goes out in chunks, its trailers at their end, and the connection serves again', async (context) => {
  const { connection, upstream, owner } = await connected(context);
  const handler = told();
  connection.send(streamRequest(), handler);
  const bytes = Buffer.from('xfirst0123456789abcdef0');
  connection.requestData(undefined, bytes, 1, 6);
  connection.requestData(undefined, bytes, 6, 23);
  connection.requestEnd([new Field('x-t', '1'), new Field('x-u', '')]);
  const whole = `${POST}5\r\nfirst\r\n11\r\n0123456789abcdef0\r\n0\r\nx-t: 1\r\nx-u: \r\n\r\n`;
  await until('the request', () => upstream.text.length >= whole.length);
  assert.equal(upstream.text, whole);
  upstream.socket.write(OK);
  await until('the end', () => over(handler));
  assert.deepEqual(owner, ['reusable']);
});

test('a body in chunks that turns out empty is only their end', async (context) => {
  const { connection, upstream } = await connected(context);
  connection.send(streamRequest(), told());
  connection.requestEnd(undefined);
  await until('the request', () => upstream.text.includes('0\r\n\r\n'));
  assert.equal(upstream.text, `${POST}0\r\n\r\n`);
});

test('an attacker who sends an empty piece does not end the body in chunks: what follows is no request', async (context) => {
  const { connection, upstream } = await connected(context);
  connection.send(streamRequest(), told());
  connection.requestData(undefined, Buffer.from('a'), 0, 1);
  connection.requestData(undefined, Buffer.alloc(0), 0, 0);
  connection.requestData(undefined, Buffer.from('b'), 0, 1);
  connection.requestEnd(undefined);
  await until('the request', () => upstream.text.endsWith('0\r\n\r\n') && upstream.text.includes('b'));
  assert.equal(upstream.text, `${POST}1\r\na\r\n1\r\nb\r\n0\r\n\r\n`);
});

test('chunks of one request are none of the next: its body has a length', async (context) => {
  const { connection, upstream } = await connected(context);
  const first = told();
  connection.send(streamRequest(), first);
  connection.requestEnd(undefined);
  upstream.socket.write(OK);
  await until('the end', () => over(first));
  const { length } = `${POST}0\r\n\r\n`;
  const head = streamHead({
    method: 'POST',
    authority: 'h',
    lines: [['content-length', '2']],
    bodyLength: 2,
  });
  connection.send(streamRequest({ head }), told());
  connection.requestData(undefined, Buffer.from('ab'), 0, 2);
  connection.requestEnd(undefined);
  await until('the request', () => upstream.text.endsWith('ab'));
  assert.equal(upstream.text.slice(length), 'POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab');
});

test('trailers of a decoded body are told at its end; those of one that is not decoded came with it', async (context) => {
  const { upstream, request } = await connected(context);
  const response =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\nx-u:2\r\n\r\n';
  for (const decode of [true, false]) {
    const handler = request({ decode });
    upstream.socket.write(response);
    await until('the end', () => over(handler));
    assert.deepEqual(handler.trailers, decode ? ['x-t: 1', 'x-u: 2'] : undefined);
  }
  for (const other of [OK, response.replace(/X-T.*2\r\n/s, '')]) {
    const handler = request({ decode: true });
    upstream.socket.write(other);
    await until('the end', () => over(handler));
    assert.equal(handler.trailers, undefined);
  }
});

for (const decode of [true, false]) {
  test(`trailers of a body that is ${decode ? '' : 'not '}decoded are its own, though the connection has the next request already`, async (context) => {
    let next: (() => void) | undefined;
    const { upstream, request } = await connected(context, () => next?.());
    const handler = request({ decode });
    next = () => {
      next = undefined;
      request({ decode: !decode });
    };
    upstream.socket.write(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
    );
    await until('the end', () => over(handler));
    assert.equal(next, undefined);
    assert.deepEqual(handler.trailers, decode ? ['x-t: 1'] : undefined);
  });
}
