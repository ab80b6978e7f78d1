import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { DATA, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS } from '../../sidecar/http2/frame.ts';
import { frame, number, RawPeer } from '../../sidecar/http2/raw-peer.fixture.ts';
import { answering, type Backend, rawBackend } from '../fixture/backend.ts';
import { http1Mesh, relay } from '../fixture/relay.ts';
import { until } from '../fixture/wait.ts';

type Fields = readonly (readonly [string, string])[];

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n';
const CANCEL = 8;
const PROTOCOL_ERROR = 1;

/** Of a request for `/front`; `changed` takes the place of the fields of its names. */
function request(method: string, ...changed: Fields): Fields {
  const usual: Fields = [
    [':method', method],
    [':scheme', 'http'],
    [':path', '/front'],
    [':authority', 'app'],
  ];
  const names = new Set(changed.map(([name]) => name));
  const pseudo = changed.filter(([name]) => name.startsWith(':'));
  const plain = changed.filter(([name]) => !name.startsWith(':'));
  return [...usual.filter(([name]) => !names.has(name)), ...pseudo, ...plain];
}

async function peerOf(context: TestContext, address: string): Promise<RawPeer> {
  const [host = '', port] = address.split(':');
  const peer = new RawPeer(connect({ host, port: Number(port), noDelay: true }));
  context.after(() => peer.close());
  peer.send(PREFACE, frame(SETTINGS, 0, 0));
  await peer.expect(SETTINGS);
  return peer;
}

/** A client in HTTP/2 of a server that takes HTTP/1.1, and looks at nothing but request lines. */
async function downgraded(
  context: TestContext,
  serving: Promise<Backend> = answering(),
): Promise<{ readonly backend: Backend; readonly peer: RawPeer; readonly address: string }> {
  const backend = await serving;
  context.after(() => backend.close());
  const { address } = await relay(context, http1Mesh([backend.address]));
  return { backend, peer: await peerOf(context, address), address };
}

/** Paths of all request lines that a careless server could have read. */
function asked({ received }: Backend): string[] {
  return [...received.matchAll(/[A-Z]+ (\S+) HTTP\/1\.1\r?\n/g)].map(([, path = '']) => path);
}

/** How a stream was refused: `reset CODE`, or the status of an answer. */
async function refusal(peer: RawPeer, stream: number): Promise<string> {
  const of = (type: number) => peer.frames.find((came) => came.type === type && came.streamId === stream);
  await until('a refusal', () => of(RST_STREAM) !== undefined || of(HEADERS) !== undefined || peer.closed);
  const head = of(HEADERS);
  if (head !== undefined) return peer.fields(head)[0] ?? '';
  return `reset ${of(RST_STREAM)?.payload.readUInt32BE(0)}`;
}

/** Whoever asks next on the connection gets an answer to the question it asked. */
async function asksNext(peer: RawPeer, stream: number): Promise<void> {
  peer.send(peer.head(stream, request('GET', [':path', '/next']), END_STREAM));
  await peer.expect(DATA, stream);
  const body = peer.frames.filter(({ type, streamId }) => type === DATA && streamId === stream);
  assert.equal(Buffer.concat(body.map(({ payload }) => payload)).toString(), 'you asked for /next');
}

/** Heads that must not come to the server in any form. */
const REFUSED: readonly (readonly [attack: string, fields: Fields])[] = [
  ['CRLF in a value', request('GET', ['x', `a\r\n\r\n${SMUGGLED}`])],
  ['a bare LF in a value', request('GET', ['x', 'a\nTransfer-Encoding: chunked'])],
  ['a bare CR in a value', request('GET', ['x', 'a\rTransfer-Encoding: chunked'])],
  ['NUL in a value', request('GET', ['x', 'a\0b'])],
  ['white space that begins a value (obs-fold behind an empty line)', request('GET', ['x', '\t a'])],
  ['CRLF in a name', request('GET', [`x: y\r\n\r\n${SMUGGLED}x`, 'a'])],
  ['a colon in a name', request('GET', ['transfer-encoding: chunked\r\nx', 'a'])],
  ['a plain colon in a name', request('GET', ['x:y', 'a'])],
  ['a space that ends a name', request('POST', ['content-length ', '5'])],
  ['an upper-case name', request('POST', ['Transfer-Encoding', 'chunked'])],
  ['an empty name', request('GET', ['', 'a'])],
  ['a name beyond ASCII', request('GET', ['transf\xe9r-encoding', 'chunked'])],
  ['a request line in :path', request('GET', [':path', `/ HTTP/1.1\r\nHost: app\r\n\r\n${SMUGGLED}`])],
  ['a space in :path', request('GET', [':path', '/a b'])],
  ['a tab in :path', request('GET', [':path', '/a\tHTTP/1.1'])],
  ['a fragment in :path', request('GET', [':path', '/a#b'])],
  ['a :path that is a whole URL of another host', request('GET', [':path', 'http://admin/smuggled'])],
  ['a :path without a slash, to join the authority', request('GET', [':path', '@admin/smuggled'])],
  ['an empty :path', request('GET', [':path', ''])],
  [
    'a request line in :method',
    request('GET', [':method', `GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\nGET`]),
  ],
  ['a space in :method', request('GET', [':method', 'GET /smuggled'])],
  ['an empty :method', request('GET', [':method', ''])],
  ['a :scheme that is a URL', request('GET', [':scheme', 'http://admin/smuggled?x='])],
  ['userinfo in :authority', request('GET', [':authority', 'app@admin'])],
  ['CRLF in :authority', request('GET', [':authority', `app\r\n\r\n${SMUGGLED}`])],
  ['a space in :authority', request('GET', [':authority', 'app admin'])],
  ['a path in :authority', request('GET', [':authority', 'app/admin'])],
  ['a doubled :path', request('GET', [':path', '/front'], [':path', '/smuggled'])],
  ['a doubled :method', request('GET', [':method', 'GET'], [':method', 'POST'])],
  ['a doubled :authority', request('GET', [':authority', 'app'], [':authority', 'admin'])],
  ['a doubled :scheme', request('GET', [':scheme', 'http'], [':scheme', 'https'])],
  ['a :path behind the fields', [...request('GET', ['x', 'y']), [':path', '/smuggled']]],
  ['a pseudo-header field that nobody knows', request('GET', [':smuggled', '/'])],
  ['a response pseudo-header field', request('GET', [':status', '200'])],
  ['a Host that is not :authority', request('GET', ['host', 'admin'])],
  ['two Hosts', request('GET', ['host', 'app'], ['host', 'admin'])],
  ['CRLF in Host', request('GET', ['host', `app\r\n\r\n${SMUGGLED}`])],
  ['Transfer-Encoding (H2.TE)', request('POST', ['transfer-encoding', 'chunked'])],
  [
    'Transfer-Encoding and a length',
    request('POST', ['transfer-encoding', 'chunked'], ['content-length', '5']),
  ],
  ['Connection that takes a field away', request('GET', ['connection', 'content-length'])],
  ['Proxy-Connection', request('GET', ['proxy-connection', 'keep-alive'])],
  ['Keep-Alive', request('GET', ['keep-alive', 'timeout=5'])],
  ['Upgrade to h2c', request('GET', ['upgrade', 'h2c'], ['http2-settings', 'AAMAAABkAAQAoAAAAAIAAAAA'])],
  ['TE of chunks', request('GET', ['te', 'chunked'])],
  ['two lengths', request('POST', ['content-length', '0'], ['content-length', '38'])],
  ['a list of lengths', request('POST', ['content-length', '0, 0'])],
  ['a signed length', request('POST', ['content-length', '+5'])],
  ['a length beyond all measure', request('POST', ['content-length', '18446744073709551620'])],
  ['a length in hexadecimal', request('POST', ['content-length', '0x5'])],
  ['an empty length', request('POST', ['content-length', ''])],
];

for (const [attack, fields] of REFUSED) {
  test(`smuggling by ${attack}: its stream is reset, the server sees nothing, the connection goes on`, async (context) => {
    const { backend, peer } = await downgraded(context);
    peer.send(peer.head(1, fields, 0), frame(DATA, END_STREAM, 1, Buffer.from(SMUGGLED)));
    assert.equal(await refusal(peer, 1), `reset ${PROTOCOL_ERROR}`);
    assert.equal(backend.received, '');
    await asksNext(peer, 3);
    assert.deepEqual(asked(backend), ['/next']);
  });
}

/** Well-formed, but nothing that an HTTP/1.1 server may be asked in a client's name. */
const ANSWERED: readonly (readonly [attack: string, fields: Fields, answer: string])[] = [
  [
    'CONNECT to reach behind the proxy',
    [
      [':method', 'CONNECT'],
      [':authority', 'app:80'],
    ],
    ':status: 501',
  ],
  ['h2c in an extended CONNECT', request('CONNECT', [':protocol', 'h2c']), ':status: 501'],
  ['a target without end', request('GET', [':path', `/${'a'.repeat(40_000)}`]), ':status: 414'],
];

for (const [attack, fields, answer] of ANSWERED) {
  test(`smuggling by ${attack}: ${answer}, the server sees nothing`, async (context) => {
    const { backend, peer } = await downgraded(context);
    const block = peer.block(fields);
    const cut = Math.min(block.length, 16_000);
    peer.send(frame(HEADERS, cut === block.length ? 4 : 0, 1, block.subarray(0, cut)));
    for (let at = cut; at < block.length; at += 16_000)
      peer.send(frame(9, at + 16_000 >= block.length ? 4 : 0, 1, block.subarray(at, at + 16_000)));
    peer.send(frame(DATA, END_STREAM, 1, Buffer.from(SMUGGLED)));
    assert.equal(await refusal(peer, 1), answer);
    assert.equal(backend.received, '');
    await asksNext(peer, 3);
    assert.deepEqual(asked(backend), ['/next']);
  });
}

/** A server that answers `/next` alone: no early answer ends what is tried at `/front`. */
function patient(): Promise<Backend> {
  return rawBackend(({ socket }, added) => {
    if (!added.includes('GET /next ')) return;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nyou asked for /next');
  });
}

/** The head may be with the server already, but its connection ends before anything that could follow it. */
const CUT: readonly (readonly [attack: string, fields: Fields, send: (peer: RawPeer) => void])[] = [
  [
    'more data than content-length says (H2.CL)',
    request('POST', ['content-length', '1']),
    (peer) => peer.send(frame(DATA, END_STREAM, 1, Buffer.from(`Z${SMUGGLED}`))),
  ],
  [
    'more data than content-length says, in a frame of its own',
    request('POST', ['content-length', '1']),
    (peer) => peer.send(frame(DATA, 0, 1, [90]), frame(DATA, END_STREAM, 1, Buffer.from(SMUGGLED))),
  ],
  [
    'data behind a content-length of 0',
    request('POST', ['content-length', '0']),
    (peer) => peer.send(frame(DATA, END_STREAM, 1, Buffer.from(SMUGGLED))),
  ],
  [
    'less data than content-length says, so that the next request fills it',
    request('POST', ['content-length', '500']),
    (peer) => peer.send(frame(DATA, END_STREAM, 1, Buffer.from('Z'))),
  ],
  [
    'a reset in the middle of a body of known length',
    request('POST', ['content-length', '500']),
    (peer) => peer.send(frame(DATA, 0, 1, [90]), frame(RST_STREAM, 0, 1, number(CANCEL))),
  ],
  [
    'a reset in the middle of a body in chunks',
    request('POST'),
    (peer) => peer.send(frame(DATA, 0, 1, [90]), frame(RST_STREAM, 0, 1, number(CANCEL))),
  ],
  [
    'a Transfer-Encoding trailer',
    request('POST'),
    (peer) =>
      peer.send(frame(DATA, 0, 1, [90]), peer.head(1, [['transfer-encoding', 'chunked']], END_STREAM)),
  ],
  [
    'a content-length trailer',
    request('POST'),
    (peer) => peer.send(frame(DATA, 0, 1, [90]), peer.head(1, [['content-length', '38']], END_STREAM)),
  ],
  [
    'CRLF in a trailer',
    request('POST'),
    (peer) => peer.send(frame(DATA, 0, 1, [90]), peer.head(1, [['x', `y\r\n\r\n${SMUGGLED}`]], END_STREAM)),
  ],
  [
    'a pseudo-header field among the trailers',
    request('POST'),
    (peer) => peer.send(frame(DATA, 0, 1, [90]), peer.head(1, [[':path', '/smuggled']], END_STREAM)),
  ],
];

for (const [attack, fields, send] of CUT) {
  test(`smuggling by ${attack}: its connection to the server ends, nothing follows on it`, async (context) => {
    const { backend, peer, address } = await downgraded(context, patient());
    peer.send(peer.head(1, fields, 0));
    send(peer);
    peer.send(frame(PING, 0, 0, Buffer.alloc(8)));
    await peer.expect(PING);
    // Nobody may come behind it, on this connection or another.
    await asksNext(peer, 3);
    await asksNext(await peerOf(context, address), 1);
    const [begun] = backend.connections.filter(({ text }) => text.includes('POST /front '));
    if (begun !== undefined) {
      await until('the end of the connection to the server', () => begun.closed || begun.ended);
      assert.equal(begun.text.match(/ HTTP\/1\.1\r\n/g)?.length, 1, begun.text);
      assert.ok(!begun.text.endsWith('0\r\n\r\n'), `it must not look whole: ${begun.text}`);
    }
    assert.ok(!asked(backend).includes('/smuggled'), backend.received);
  });
}

const CHUNK = `25\r\n${SMUGGLED}\r\n`;
const LAST_CHUNK = '0\r\n\r\n';
const BY_LENGTH = ['content-length', String(SMUGGLED.length)] as const;

/** What looks like a request in a body; how it is framed for HTTP/1.1, and the bytes behind the head. */
const BODIES: readonly (readonly [
  body: string,
  fields: Fields,
  pieces: readonly string[],
  framing: readonly string[],
  sent: string,
])[] = [
  ['of known length', request('POST', BY_LENGTH), [SMUGGLED], [BY_LENGTH.join(': ')], SMUGGLED],
  ['of unknown length', request('POST'), [SMUGGLED], ['transfer-encoding: chunked'], CHUNK + LAST_CHUNK],
  [
    'of a GET, which has none by custom',
    request('GET'),
    [SMUGGLED],
    ['transfer-encoding: chunked'],
    CHUNK + LAST_CHUNK,
  ],
  [
    'that has an end of chunks in it',
    request('POST'),
    [LAST_CHUNK, SMUGGLED],
    ['transfer-encoding: chunked'],
    `5\r\n${LAST_CHUNK}\r\n${CHUNK}${LAST_CHUNK}`,
  ],
  [
    'with an empty frame in it, which would be the last chunk',
    request('POST'),
    ['a', '', SMUGGLED],
    ['transfer-encoding: chunked'],
    `1\r\na\r\n${CHUNK}${LAST_CHUNK}`,
  ],
];

for (const [body, fields, pieces, framing, sent] of BODIES) {
  test(`a body ${body}: the server can read it in one way only`, async (context) => {
    const { backend, peer } = await downgraded(context, patient());
    // With a connection at hand, each piece leaves as it came.
    await asksNext(peer, 1);
    const before = backend.received.length;
    peer.send(peer.head(3, fields, 0));
    for (const piece of pieces) peer.send(frame(DATA, 0, 3, Buffer.from(piece)));
    peer.send(frame(DATA, END_STREAM, 3));
    await until('the end of the request', () => backend.received.endsWith(sent));
    const text = backend.received.slice(before);
    const headEnd = text.indexOf('\r\n\r\n');
    const lines = text.slice(0, headEnd).split('\r\n');
    assert.deepEqual(
      lines.filter((line) => /^(content-length|transfer-encoding)/i.test(line)),
      framing,
    );
    assert.equal(text.slice(headEnd + 4), sent);
  });
}

test('what comes for a tunnel before the server has opened it is not sent, and never if it declines', async (context) => {
  const { backend, peer } = await downgraded(
    context,
    rawBackend(({ socket }, added) => {
      if (added.includes('GET /next '))
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nyou asked for /next');
      else if (added.includes('GET /front ')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno');
    }),
  );
  peer.send(peer.head(1, request('CONNECT', [':protocol', 'websocket']), 0));
  peer.send(frame(DATA, 0, 1, Buffer.from(SMUGGLED)));
  assert.equal(await refusal(peer, 1), ':status: 200');
  await asksNext(peer, 3);
  assert.deepEqual(asked(backend), ['/front', '/next']);
});
