import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { type EchoServer, startEchoServer } from './echo-server.ts';
import { BINARY, CLOSE, clientFrame, closePayload, TEXT } from './frames.ts';
import { framesOf, headersOf, openWebSocket } from './stream.ts';

/** WebSockets over HTTP/2 (RFC 8441) in front of a WebSocket server that speaks HTTP/1.1 only. */
async function sessionTo(context: TestContext, address: string): Promise<ClientHttp2Session> {
  const session = connect(`http://${address}`);
  context.after(() => session.destroy());
  await once(session, 'remoteSettings');
  return session;
}

async function echoMesh(context: TestContext): Promise<{ server: EchoServer; session: ClientHttp2Session }> {
  const server = await startEchoServer(context);
  const mesh = await meshPair(context, { name: 'echo', application: server.address, protocol: 'http' });
  return { server, session: await sessionTo(context, mesh.outbound) };
}

test('the listener offers extended CONNECT', async (context) => {
  const { session } = await echoMesh(context);
  assert.equal(session.remoteSettings.enableConnectProtocol, true);
});

test('a WebSocket on a stream of HTTP/2 is echoed by a server of HTTP/1.1, and the close passes', async (context) => {
  const { server, session } = await echoMesh(context);
  const stream = openWebSocket(session, '/', { 'sec-websocket-protocol': 'v2.echo' });
  const headers = await headersOf(stream);
  assert.equal(headers[':status'], 200);
  assert.equal(headers['sec-websocket-protocol'], 'v2.echo');
  // These are the handshake of HTTP/1.1 alone (RFC 8441 section 5).
  assert.equal(headers['sec-websocket-accept'], undefined);
  assert.equal(headers.upgrade, undefined);
  const frames = framesOf(stream);
  const large = Buffer.alloc(200_000, 'x');
  stream.write(clientFrame(TEXT, Buffer.from('over h2')));
  stream.write(clientFrame(BINARY, large));
  await until('both echoes', () => frames.length === 2);
  assert.equal(frames[0]?.payload.toString(), 'over h2');
  assert.ok(frames[1]?.payload.equals(large));
  const closing = once(stream, 'close');
  stream.write(clientFrame(CLOSE, closePayload(4001, 'done')));
  await until('the close to come back', () => frames.length === 3);
  assert.equal(frames[2]?.opcode, CLOSE);
  stream.end();
  await closing;
  await until('the close at the server', () => server.closed.length === 1);
  assert.deepEqual(server.closed, ['4001 done']);
});

test('several WebSockets and requests share one connection', async (context) => {
  const { session } = await echoMesh(context);
  const streams = Array.from({ length: 5 }, () => openWebSocket(session));
  await Promise.all(streams.map(headersOf));
  const plain = session.request({ ':path': '/', ':authority': 'echo.shop' });
  assert.equal((await headersOf(plain))[':status'], 200);
  plain.resume();
  const all = streams.map(framesOf);
  for (const [index, stream] of streams.entries()) stream.write(clientFrame(TEXT, Buffer.from(`${index}`)));
  await until('all echoes', () => all.every((frames) => frames.length === 1));
  assert.deepEqual(
    all.map((frames) => frames[0]?.payload.toString()),
    ['0', '1', '2', '3', '4'],
  );
});

test('a refusal of the server is the answer to the CONNECT', async (context) => {
  const { session } = await echoMesh(context);
  const stream = openWebSocket(session, '/refused');
  const headers = await headersOf(stream);
  assert.equal(headers[':status'], 403);
  assert.equal(headers['x-why'], 'rules');
  let body = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  await once(stream, 'end');
  assert.equal(body, 'not you!');
});

test('a reset of the stream ends the upstream, and an upstream that vanishes ends the stream', async (context) => {
  const { server, session } = await echoMesh(context);
  const resetting = openWebSocket(session);
  resetting.on('error', () => {});
  await headersOf(resetting);
  resetting.close(8); // CANCEL
  await until('the end at the server', () => server.closed.length === 1);
  const abandoned = openWebSocket(session);
  abandoned.on('error', () => {});
  await headersOf(abandoned);
  abandoned.resume();
  const closed = once(abandoned, 'close');
  // A FIN ends one direction of a tunnel (RFC 8441 section 5); what the client ends after it closes the stream.
  const ended = once(abandoned, 'end');
  server.connections.at(-1)?.terminate();
  await ended;
  abandoned.end();
  await closed;
  assert.equal(abandoned.rstCode, 0);
});

test('a CONNECT without :protocol is refused: no tunnel to where the caller likes', async (context) => {
  const { session } = await echoMesh(context);
  const stream = session.request(
    { ':method': 'CONNECT', ':authority': '127.0.0.1:22' },
    { endStream: false },
  );
  const headers = await headersOf(stream);
  assert.equal(headers[':status'], 501);
  assert.equal(headers['tulle-reason'], 'method-unsupported');
  stream.resume();
});
