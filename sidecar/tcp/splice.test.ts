import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import { Splice, type SpliceEnd } from './splice.ts';

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

const UNREAD: TransportReader = { onBytes() {}, onEnd() {}, onDrain() {}, onClosed() {} };

/** A client and an application with a splice between them. */
async function spliced(context: TestContext, idleMs = 0, wheel = new TimerWheel()) {
  const ends: { application?: End } = {};
  const state = {
    ended: [] as SpliceEnd[],
    fromClient: 0,
    fromApplication: 0,
    transports: [] as Transport[],
  };
  const application = createServer({ allowHalfOpen: true }, (socket) => {
    ends.application = watched(socket);
  });
  const applicationPort = await listening(application);
  const proxy = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    const client = Transport.adopt(UNREAD, socket);
    client.pause();
    const upstream = Transport.connect(UNREAD, (onread) => {
      const opened = connect({ port: applicationPort, host: '127.0.0.1', allowHalfOpen: true, onread });
      opened.once('connect', () => {
        const owner = {
          onMoved(fromClient: boolean, bytes: number) {
            if (fromClient) state.fromClient += bytes;
            else state.fromApplication += bytes;
          },
          onSpliceEnd: (end: SpliceEnd) => void state.ended.push(end),
        };
        new Splice(client, upstream, owner, wheel, idleMs);
      });
      return opened;
    });
    state.transports.push(client, upstream);
  });
  const port = await listening(proxy);
  const client = watched(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  context.after(() => {
    client.socket.destroy();
    ends.application?.socket.destroy();
    for (const transport of state.transports) transport.destroy();
    application.close();
    proxy.close();
  });
  await until('the application has its connection', () => ends.application !== undefined);
  const app = ends.application ?? assert.fail();
  const [inner = assert.fail(), outer = assert.fail()] = state.transports;
  return { client, app, state, inner, outer };
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
  await until('the end of the splice', () => state.ended.length === 1);
  await until('the answer', () => client.ended);
  assert.equal(client.text, 'answer');
});

test('an application that half-closes still gets what the client sends', async (context) => {
  const { client, app, state } = await spliced(context);
  app.socket.end('greeting');
  await until('the FIN at the client', () => client.ended);
  assert.equal(client.text, 'greeting');
  client.socket.end('late');
  await until('the end of the splice', () => state.ended.length === 1);
  await until('what the client sent', () => app.ended);
  assert.equal(app.text, 'late');
});

/** Writes until the splice holds some of it back for a reader that does not read, then says that this was all. */
async function overfill(writer: End, from: Transport, to: Transport): Promise<number> {
  let sent = 0;
  while (!from.paused) {
    assert.ok(sent < 64 * 1024 * 1024, 'a reader that does not read took all of it');
    writer.socket.write(Buffer.alloc(PIECE));
    sent += PIECE;
    await until('it is read or held back', () => from.bytesRead === sent || from.paused);
  }
  assert.ok(to.backedUp);
  writer.socket.end();
  return sent;
}

test('a client that reads slowly gets all that came before the end; the writer is held back meanwhile', async (context) => {
  const { client, app, state, inner, outer } = await spliced(context);
  client.socket.pause();
  const sent = await overfill(app, outer, inner);
  client.socket.resume();
  await until('the end at the client', () => client.ended);
  client.socket.end();
  await until('the end of the splice', () => state.ended.length === 1);
  assert.deepEqual([client.bytes, client.error, state.ended], [sent, '', ['done']]);
});

test('an application that reads slowly gets all that the client sent before its end', async (context) => {
  const { client, app, state, inner, outer } = await spliced(context);
  app.socket.end();
  await until('the FIN at the client', () => client.ended);
  app.socket.pause();
  const sent = await overfill(client, inner, outer);
  app.socket.resume();
  await until('the end at the application', () => app.ended);
  await until('the end of the splice', () => state.ended.length === 1);
  assert.deepEqual([app.bytes, app.error, state.ended], [sent, '', ['done']]);
});

test('much that comes in reads of every size is the same at the other end, both ways, and is counted', async (context) => {
  const { client, app, state } = await spliced(context);
  const sums = { client: createHash('sha256'), app: createHash('sha256') };
  const sent = createHash('sha256');
  client.socket.on('data', (bytes) => sums.client.update(bytes));
  app.socket.on('data', (bytes) => sums.app.update(bytes));
  let total = 0;
  for (let round = 0; round < 300; round++) {
    const bytes = randomBytes(round % 7 === 0 ? 200_000 : (round * 37) % 5000);
    sent.update(bytes);
    total += bytes.length;
    client.socket.write(bytes);
    app.socket.write(bytes);
    if (round % 5 === 0) await turn();
  }
  client.socket.end();
  app.socket.end();
  await until('both ends', () => client.ended && app.ended);
  const wanted = sent.digest('hex');
  assert.equal(sums.client.digest('hex'), wanted);
  assert.equal(sums.app.digest('hex'), wanted);
  assert.deepEqual([state.fromClient, state.fromApplication], [total, total]);
});

test('a client that resets its connection ends that of the application', async (context) => {
  const { client, app, state } = await spliced(context);
  client.socket.write('x');
  await until('x', () => app.text === 'x');
  client.socket.resetAndDestroy();
  await until('the end of the splice', () => state.ended.length === 1);
  await until('the reset at the application', () => app.error === 'ECONNRESET');
  assert.deepEqual(state.ended, ['client-broke']);
});

test('an application that resets its connection ends that of the client', async (context) => {
  const { client, app, state } = await spliced(context);
  app.socket.write('x');
  await until('x', () => client.text === 'x');
  app.socket.resetAndDestroy();
  await until('the reset at the client', () => client.error === 'ECONNRESET');
  await until('the end of the splice', () => state.ended.length === 1);
  assert.deepEqual(state.ended, ['upstream-broke']);
});

for (const [which, index] of [
  ['client', 0],
  ['application', 1],
] as const) {
  test(`a splice whose connection to the ${which} is destroyed here, as a drain does, ends both`, async (context) => {
    const { client, app, state } = await spliced(context);
    client.socket.write('x');
    await until('x', () => app.text === 'x');
    state.transports[index]?.destroy();
    await until('the end of the splice', () => state.ended.length === 1);
    await until('the reset at the other', () => (index === 0 ? app : client).error === 'ECONNRESET');
  });
}

test('a splice on which nothing moves ends, one on which something moves does not', async (context) => {
  const clock = leapingClock(context);
  const { client, app, state } = await spliced(context, 1000, clock.wheel);
  for (let round = 1; round < 6; round++) {
    clock.leap(700);
    const [from, to] = round % 2 === 0 ? [client, app] : [app, client];
    from.socket.write('x');
    await until('x', () => to.text.length === Math.ceil(round / 2) || to.closed);
  }
  assert.deepEqual(state.ended, []);
  clock.leap(1100);
  await until('the end of the splice', () => state.ended.length === 1);
  assert.deepEqual(state.ended, ['idle']);
  await until('the resets', () => client.error === 'ECONNRESET' && app.error === 'ECONNRESET');
});

test('without an idle limit a splice stays for good', async (context) => {
  const clock = leapingClock(context);
  const { client, app, state } = await spliced(context, 0, clock.wheel);
  clock.leap(100 * 3_600_000);
  client.socket.write('x');
  await until('x', () => app.text === 'x');
  assert.deepEqual(state.ended, []);
});
