import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../fixture/temporary-folder.ts';
import { until } from '../fixture/wait.ts';
import { FaultProxy } from './fault-proxy.ts';

/** A server that answers each byte by itself, behind a proxy. */
async function proxied(context: TestContext): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const proxy = await FaultProxy.open(
    () => `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`,
  );
  context.after(async () => {
    await proxy.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return proxy;
}

interface Peer {
  readonly socket: Socket;
  readonly received: string;
  readonly ended: string;
}

async function peerOf(context: TestContext, proxy: FaultProxy): Promise<Peer> {
  const [host = '', port = ''] = proxy.address.split(':');
  const socket = connect({ host, port: Number(port) });
  context.after(() => socket.destroy());
  let [received, ended] = ['', ''];
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ended = error.code ?? 'error';
  });
  socket.on('close', () => {
    ended ||= 'closed';
  });
  await once(socket, 'connect');
  return {
    socket,
    get received() {
      return received;
    },
    get ended() {
      return ended;
    },
  };
}

async function echo(peer: Peer, text: string): Promise<void> {
  const wanted = peer.received + text;
  peer.socket.write(text);
  await until(`an echo of ${text}`, () => peer.received === wanted);
}

test('in clear weather bytes and ends pass both ways', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  await echo(peer, 'x'.repeat(300_000));
  peer.socket.end();
  await until('the end', () => peer.ended === 'closed');
  await until('no connection', () => proxy.connections === 0);
});

test('late and narrow links lose nothing and keep the order', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  for (const weather of [
    { kind: 'late', ms: 5 },
    { kind: 'narrow', bytesPerSecond: 200_000 },
    { kind: 'clear' },
  ] as const) {
    proxy.weather = weather;
    await echo(peer, Array.from({ length: 2_000 }, (_, index) => `${index},`).join(''));
  }
});

test('a reset ends every connection as a reset', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  proxy.reset();
  await until('the reset', () => peer.ended === 'ECONNRESET');
});

test('a connection whose end is on its way is closed by a reset, and keeps no process alive', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  const [link] = proxy.links;
  assert.ok(link !== undefined);
  const closed = once(link.near, 'close');
  link.near.end();
  proxy.reset();
  await closed;
});

test('a link to a Unix socket passes bytes, and is reset', async (context) => {
  const path = join(temporaryFolder(context), 'echo.sock');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const proxy = await FaultProxy.open(() => path);
  context.after(async () => {
    await proxy.close();
    server.close();
  });
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  proxy.reset();
  await until('the reset', () => peer.ended === 'ECONNRESET');
});

test('a refusing link takes no new connection, and a clear one does again', async (context) => {
  const proxy = await proxied(context);
  proxy.weather = { kind: 'refusing' };
  const refused = await peerOf(context, proxy).catch(() => undefined);
  await until('the refusal', () => refused === undefined || refused.ended === 'ECONNRESET');
  proxy.clear();
  await echo(await peerOf(context, proxy), 'hello');
});

test('a connection that is cut stays open without a word, until its client gives it up; new ones are well', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  proxy.cut();
  assert.equal(proxy.halfOpen, 1);
  peer.socket.write('anybody there?');
  await echo(await peerOf(context, proxy), 'hello');
  assert.deepEqual([peer.received, peer.ended], ['hello', '']);
  peer.socket.destroy();
  await until('the client to give up', () => proxy.halfOpen === 0);
});

test('on a silent link nothing arrives, on old connections nor on new ones', async (context) => {
  const proxy = await proxied(context);
  const old = await peerOf(context, proxy);
  await echo(old, 'hello');
  proxy.weather = { kind: 'silent' };
  const young = await peerOf(context, proxy);
  old.socket.write('one');
  young.socket.write('two');
  await until('both to be half-open', () => proxy.halfOpen === 2);
  proxy.clear();
  await echo(await peerOf(context, proxy), 'hello');
  assert.deepEqual([old.received, young.received], ['hello', '']);
});

test('a client that ended its side before its link fell silent has given it up', async (context) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    context.after(() => socket.destroy());
    // Says its last word only when it is asked to: long after the client's.
    server.on('last-word', () => socket.write('bye'));
    socket.resume();
    socket.on('end', () => server.emit('client-ended'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const proxy = await FaultProxy.open(
    () => `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`,
  );
  context.after(async () => {
    await proxy.close();
    server.close();
  });
  const peer = await peerOf(context, proxy);
  const ended = once(server, 'client-ended');
  peer.socket.end('hello');
  await ended;
  proxy.weather = { kind: 'silent' };
  server.emit('last-word');
  await until('no connection', () => proxy.connections === 0);
});

test('what acts on connections is counted, what passes in clear weather is not', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  assert.equal(proxy.felt, 0);
  proxy.weather = { kind: 'late', ms: 1 };
  await echo(peer, 'hello');
  assert.equal(proxy.felt, 2, 'one piece each way');
  proxy.clear();
  proxy.cut();
  assert.equal(proxy.felt, 2, 'nobody has noticed the cut yet');
  peer.socket.write('anybody there?');
  await until('the loss', () => proxy.felt === 3);
  proxy.weather = { kind: 'refusing' };
  await peerOf(context, proxy).catch(() => undefined);
  await until('the refusal', () => proxy.felt === 4);
});

test('garbage comes that nobody sent', async (context) => {
  const proxy = await proxied(context);
  const peer = await peerOf(context, proxy);
  await echo(peer, 'hello');
  proxy.garble();
  await until('garbage', () => peer.received.includes('GARBAGE'));
});
