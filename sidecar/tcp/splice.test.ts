import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { turn, until } from '../../test/fixture/wait.ts';
import { splice } from './splice.ts';

/** Less than what makes a pipe wait, so that the end is read while some is still held back. */
const PIECE = 40 * 1024;

interface End {
  readonly socket: Socket;
  text: string;
  bytes: number;
  ended: boolean;
  closed: boolean;
  error: string;
}

function watched(socket: Socket): End {
  const end: End = { socket, text: '', bytes: 0, ended: false, closed: false, error: '' };
  socket.on('data', (bytes) => {
    end.bytes += bytes.length;
    if (end.bytes < 1000) end.text += bytes.toString('latin1');
  });
  socket.on('end', () => {
    end.ended = true;
  });
  socket.on('close', () => {
    end.closed = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end.error = error.code ?? error.message;
  });
  return end;
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0);
    });
  });
}

/** A client and an application with a splice between them. */
async function spliced(context: TestContext, halfOpen = true) {
  const ends: { application?: End } = {};
  const state = { ended: 0, inner: [] as Socket[] };
  const application = createServer({ allowHalfOpen: true }, (socket) => {
    ends.application = watched(socket);
  });
  const applicationPort = await listening(application);
  const proxy = createServer({ allowHalfOpen: halfOpen, pauseOnConnect: true }, (socket) => {
    const upstream = connect({ port: applicationPort, host: '127.0.0.1', allowHalfOpen: halfOpen });
    state.inner.push(socket, upstream);
    splice(socket, upstream, () => state.ended++);
  });
  const port = await listening(proxy);
  const client = watched(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  context.after(() => {
    for (const socket of [client.socket, ends.application?.socket, ...state.inner]) socket?.destroy();
    application.close();
    proxy.close();
  });
  await until('the application has its connection', () => ends.application !== undefined);
  const app = ends.application ?? assert.fail();
  return { client, app, state };
}

test('bytes go both ways', async (context) => {
  const { client, app } = await spliced(context);
  client.socket.write('ping');
  await until('ping', () => app.text === 'ping');
  app.socket.write('pong');
  await until('pong', () => client.text === 'pong');
});

test('a client that half-closes still gets its answer', async (context) => {
  const { client, app, state } = await spliced(context);
  client.socket.end('question');
  await until('the FIN at the application', () => app.ended);
  assert.equal(app.text, 'question');
  assert.ok(!client.ended);
  app.socket.end('answer');
  await until('the end of the splice', () => state.ended === 1);
  await until('the answer', () => client.ended);
  assert.equal(client.text, 'answer');
});

test('an application that half-closes still gets what the client sends', async (context) => {
  const { client, app, state } = await spliced(context);
  app.socket.end('greeting');
  await until('the FIN at the client', () => client.ended);
  assert.equal(client.text, 'greeting');
  client.socket.end('late');
  await until('the end of the splice', () => state.ended === 1);
  await until('what the client sent', () => app.ended);
  assert.equal(app.text, 'late');
});

/** Writes until the splice holds some of it back for a reader that does not read, then says that this was all. */
async function overfill(writer: Socket, from: Socket, to: Socket): Promise<number> {
  let sent = 0;
  while (to.writableLength === 0) {
    assert.ok(sent < 64 * 1024 * 1024, 'a reader that does not read took all of it');
    writer.write(Buffer.alloc(PIECE));
    sent += PIECE;
    for (let turns = 0; turns < 50 && from.bytesRead < sent; turns++) await turn();
    await until('the splice has read it', () => from.bytesRead === sent);
    await turn();
  }
  writer.end();
  await until('the splice has read the end', () => from.readableEnded);
  return sent;
}

for (const halfOpen of [true, false]) {
  test(`a client that reads slowly gets all that came before the end (half-open: ${halfOpen})`, async (context) => {
    const { client, app, state } = await spliced(context, halfOpen);
    const [socket = assert.fail(), upstream = assert.fail()] = state.inner;
    if (halfOpen) {
      client.socket.end();
      await until('the FIN at the application', () => app.ended);
    }
    client.socket.pause();
    const sent = await overfill(app.socket, upstream, socket);
    await until('the splice is done with the application', () => upstream.destroyed);
    client.socket.resume();
    await until('the end at the client', () => client.ended || client.closed);
    assert.equal(client.bytes, sent);
    assert.equal(client.error, '');
  });
}

test('an application that reads slowly gets all that the client sent before its end', async (context) => {
  const { client, app, state } = await spliced(context);
  const [socket = assert.fail(), upstream = assert.fail()] = state.inner;
  app.socket.end();
  await until('the FIN at the client', () => client.ended);
  app.socket.pause();
  const sent = await overfill(client.socket, socket, upstream);
  await until('the splice is done with the client', () => socket.destroyed);
  app.socket.resume();
  await until('the end at the application', () => app.ended || app.closed);
  assert.equal(app.bytes, sent);
});

test('a client that resets its connection ends that of the application', async (context) => {
  const { client, app, state } = await spliced(context);
  client.socket.write('x');
  await until('x', () => app.text === 'x');
  client.socket.resetAndDestroy();
  await until('the end of the splice', () => state.ended === 1);
  await until('the end at the application', () => app.ended || app.closed);
  assert.ok(state.inner.every(({ destroyed }) => destroyed));
});

test('an application that resets its connection ends that of the client', async (context) => {
  const { client, app, state } = await spliced(context);
  app.socket.write('x');
  await until('x', () => client.text === 'x');
  app.socket.resetAndDestroy();
  await until('the end at the client', () => client.ended || client.closed);
  await until('the end of the splice', () => state.ended === 1);
  assert.ok(state.inner.every(({ destroyed }) => destroyed));
});

for (const [which, index] of [
  ['client', 0],
  ['application', 1],
] as const) {
  test(`a splice whose connection to the ${which} is destroyed here, as a drain does, ends both`, async (context) => {
    const { client, app, state } = await spliced(context);
    client.socket.write('x');
    await until('x', () => app.text === 'x');
    state.inner[index]?.destroy();
    await until('the end of the splice', () => state.ended === 1);
    await until('the end at both', () => client.ended && app.ended);
  });
}

test('an application that is not there ends the connection of the client', async (context) => {
  const gone = createServer();
  const port = await listening(gone);
  await new Promise((resolve) => gone.close(resolve));
  const state = { ended: 0 };
  const proxy = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    splice(socket, connect({ port, host: '127.0.0.1', allowHalfOpen: true }), () => state.ended++);
  });
  const client = watched(connect({ port: await listening(proxy), host: '127.0.0.1' }));
  context.after(() => {
    client.socket.destroy();
    proxy.close();
  });
  await until('the end at the client', () => client.ended || client.closed);
  await until('the end of the splice', () => state.ended === 1);
});
