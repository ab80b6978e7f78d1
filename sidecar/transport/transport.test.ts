import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { turn, until } from '../../test/fixture/wait.ts';
import { SHARED_READ_BUFFER } from './read-buffer.ts';
import { Transport, type TransportReader } from './transport.ts';

interface Told {
  readonly reader: TransportReader;
  text: string;
  ended: number;
  drained: number;
  closed: number;
  error: string | undefined;
  /** Whether each read came into the buffer that all share. */
  readonly shared: boolean[];
}

function told(): Told {
  const state: Told = {
    text: '',
    ended: 0,
    drained: 0,
    closed: 0,
    error: undefined,
    shared: [],
    reader: {
      onBytes(bytes, start, end) {
        state.text += bytes.toString('latin1', start, end);
        state.shared.push(bytes === SHARED_READ_BUFFER);
      },
      onEnd: () => state.ended++,
      onDrain: () => state.drained++,
      onClosed(error) {
        state.closed++;
        state.error = (error as NodeJS.ErrnoException | undefined)?.code;
      },
    },
  };
  return state;
}

type Kind = 'adopt' | 'wrap' | 'connect';

/** A transport of a kind, and the socket at its other end. */
async function pair(
  context: TestContext,
  kind: Kind,
  reader: TransportReader,
): Promise<{ transport: Transport; peer: Socket }> {
  const ends: { transport?: Transport; accepted?: Socket } = {};
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: kind === 'adopt' }, (socket) => {
    if (kind === 'adopt') ends.transport = Transport.adopt(reader, socket);
    else if (kind === 'wrap') ends.transport = Transport.wrap(reader, socket);
    else ends.accepted = socket;
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0);
    });
  });
  const to = { host: '127.0.0.1', port, allowHalfOpen: true };
  if (kind === 'connect') ends.transport = Transport.connect(reader, (onread) => connect({ ...to, onread }));
  const peer = kind === 'connect' ? undefined : connect(to);
  await until('both ends', () => ends.transport !== undefined && (peer ?? ends.accepted) !== undefined);
  const { transport = assert.fail() } = ends;
  const other = peer ?? ends.accepted ?? assert.fail();
  other.on('error', () => {});
  context.after(() => {
    transport.destroy();
    other.destroy();
    server.close();
  });
  return { transport, peer: other };
}

function received(socket: Socket): { text: string; ended: boolean; error: string | undefined } {
  const state = { text: '', ended: false, error: undefined as string | undefined };
  socket.on('data', (bytes: Buffer) => {
    state.text += bytes.toString('latin1');
  });
  socket.on('end', () => {
    state.ended = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    state.error = error.code;
  });
  return state;
}

for (const kind of ['adopt', 'wrap', 'connect'] as const) {
  test(`${kind}: bytes come and go, FINs go each their way, the end is told once`, async (context) => {
    const state = told();
    const { transport, peer } = await pair(context, kind, state.reader);
    const other = received(peer);
    peer.write('to here');
    await until('bytes', () => state.text === 'to here');
    assert.equal(transport.bytesRead, 7);
    transport.write('text \xe9 ');
    transport.write(Buffer.from('bytes'));
    await until('bytes at the peer', () => other.text === 'text \xe9 bytes');
    peer.end();
    await until('the FIN', () => state.ended === 1);
    assert.deepEqual([transport.ended, transport.closed], [true, false]);
    transport.write('after');
    await until('what is written after it', () => other.text.endsWith('after'));
    transport.end();
    await until('the end', () => state.closed === 1);
    await until('the FIN at the peer', () => other.ended);
    assert.deepEqual([state.ended, state.closed, state.error], [1, 1, undefined]);
  });

  test(`${kind}: while it is paused nothing is read, and nothing is lost`, async (context) => {
    const state = told();
    const { transport, peer } = await pair(context, kind, state.reader);
    peer.write('a');
    await until('bytes', () => state.text === 'a');
    transport.pause();
    transport.pause();
    peer.write('b');
    for (let i = 0; i < 10; i++) await turn();
    // One read may have been under way.
    const seen = state.text;
    peer.write('c');
    for (let i = 0; i < 10; i++) await turn();
    assert.equal(state.text, seen);
    transport.resume();
    await until('all bytes', () => state.text === 'abc');
  });

  test(`${kind}: after its end every call does nothing`, async (context) => {
    const state = told();
    const { transport } = await pair(context, kind, state.reader);
    transport.destroy();
    await until('the end', () => state.closed === 1);
    assert.equal(transport.write('x'), true);
    assert.equal(transport.forward(undefined, Buffer.from('x'), 0, 1), true);
    transport.pause();
    transport.resume();
    transport.end();
    transport.reset();
    transport.destroy();
    await turn();
    assert.deepEqual([state.closed, state.error], [1, undefined]);
  });

  test(`${kind}: a reset after its FIN closes it, and leaves no socket open`, async (context) => {
    const state = told();
    const { transport, peer } = await pair(context, kind, state.reader);
    const other = received(peer);
    transport.end();
    transport.reset();
    await until('the end', () => state.closed === 1);
    await until('the end at the peer', () => other.ended || other.error !== undefined);
    // What the peer says to a closed socket is reset, which its next write learns; one left open would take it all.
    await until('the reset at the peer', () => {
      peer.write('anybody there?');
      return other.error !== undefined;
    });
  });

  test(`${kind}: a reset goes out as one, and one that comes is told as an error`, async (context) => {
    const first = told();
    const one = await pair(context, kind, first.reader);
    const other = received(one.peer);
    one.peer.write('x');
    await until('bytes', () => first.text === 'x');
    one.transport.reset();
    await until('the reset at the peer', () => other.error === 'ECONNRESET');
    const second = told();
    const two = await pair(context, kind, second.reader);
    two.peer.write('x');
    await until('bytes', () => second.text === 'x');
    two.peer.resetAndDestroy();
    await until('the end', () => second.closed === 1);
    assert.equal(second.error, 'ECONNRESET');
  });
}

test('reads go into the one shared buffer, but into one of its own while a body streams', async (context) => {
  const state = told();
  const { transport, peer } = await pair(context, 'adopt', state.reader);
  const send = async (text: string) => {
    const before = state.text.length;
    peer.write(text);
    await until(text, () => state.text.length === before + text.length);
  };
  await send('a');
  assert.equal(state.shared.at(-1), true);
  transport.stream(true);
  // The buffer of the next read was given to the kernel already.
  await send('b');
  await send('c');
  assert.equal(state.shared.at(-1), false);
  transport.stream(false);
  await send('d');
  await send('e');
  assert.equal(state.shared.at(-1), true);
});

test('a write that must wait says so, and tells when it is out', async (context) => {
  const state = told();
  const { transport, peer } = await pair(context, 'adopt', state.reader);
  peer.pause();
  const piece = Buffer.alloc(256 * 1024);
  let sent = 0;
  while (transport.write(piece)) {
    sent += piece.length;
    assert.ok(sent < 64 * 1024 * 1024);
    await turn();
  }
  assert.equal(transport.backedUp, true);
  assert.equal(state.drained, 0);
  peer.resume();
  await until('the drain', () => state.drained === 1);
  assert.equal(transport.backedUp, false);
});

for (const streaming of [true, false]) {
  test(`what a slow peer has not taken yet stays as it was, though the next bytes are read (streaming: ${streaming})`, async (context) => {
    const piece = 40 * 1024;
    const out = await pair(context, 'connect', told().reader);
    const received = createHash('sha256');
    const sent = createHash('sha256');
    const state = { read: 0, received: 0 };
    const { transport: source, peer } = await pair(context, 'adopt', {
      ...told().reader,
      onBytes(bytes, start, end) {
        out.transport.forward(source, bytes, start, end);
        state.read += end - start;
      },
    });
    source.stream(streaming);
    let total = 0;
    const send = async () => {
      const bytes = Buffer.alloc(piece, `${total} of the pattern `);
      sent.update(bytes);
      total += piece;
      peer.write(bytes);
      for (let turns = 0; turns < 50 && state.read < total; turns++) await turn();
      await until('it is read', () => state.read === total);
    };
    out.peer.pause();
    while (out.transport.socket.writableLength === 0) {
      assert.ok(total < 64 * 1024 * 1024, 'a peer that does not read took all of it');
      await send();
      await turn();
    }
    for (let more = 0; more < 5; more++) await send();
    out.peer.on('data', (bytes: Buffer) => {
      received.update(bytes);
      state.received += bytes.length;
    });
    out.peer.resume();
    await until('all bytes', () => state.received === total);
    assert.equal(received.digest('hex'), sent.digest('hex'));
  });
}

test('bytes that stream through are passed on without loss, as fast as the slower side takes them', async (context) => {
  const total = 12 * 1024 * 1024;
  const holder: { source?: Transport } = {};
  const out = await pair(context, 'connect', { ...told().reader, onDrain: () => holder.source?.resume() });
  const { transport: source, peer } = await pair(context, 'adopt', {
    ...told().reader,
    onBytes(bytes, start, end) {
      if (!out.transport.forward(source, bytes, start, end)) source.pause();
    },
  });
  holder.source = source;
  source.stream(true);
  const sent = createHash('sha256');
  const got = createHash('sha256');
  let count = 0;
  out.peer.on('data', (bytes: Buffer) => {
    got.update(bytes);
    count += bytes.length;
    out.peer.pause();
    setImmediate(() => out.peer.resume());
  });
  for (let at = 0; at < total; at += 64 * 1024) {
    const bytes = Buffer.alloc(64 * 1024, `${at} of the pattern `);
    sent.update(bytes);
    peer.write(bytes);
  }
  await until('all bytes', () => count === total);
  assert.equal(got.digest('hex'), sent.digest('hex'));
});

test('head and body joined are the bytes of both, small or large, whatever bytes they are', async (context) => {
  const head = 'HTTP/1.1 200 \xe9\r\n\r\n';
  const { transport, peer } = await pair(context, 'adopt', told().reader);
  const other = received(peer);
  let wanted = '';
  for (const length of [0, 1, 2048, 2049, 16_384, 32 * 1024 - head.length, 32 * 1024, 70_000]) {
    const bytes = Buffer.from(Array.from({ length: length + 2 }, (_, index) => index % 256));
    transport.writeJoined(head, bytes, 1, length + 1);
    wanted += head + bytes.toString('latin1', 1, length + 1);
    await until('the bytes', () => other.text.length === wanted.length);
    assert.ok(other.text === wanted, `of ${length} bytes`);
  }
});

test('bytes that a slow peer did not take yet are not written over by what goes to others', async (context) => {
  const [slow, quick] = [
    await pair(context, 'adopt', told().reader),
    await pair(context, 'adopt', told().reader),
  ];
  const fast = received(quick.peer);
  slow.peer.pause();
  const shared = SHARED_READ_BUFFER;
  let sent = '';
  let others = 0;
  /** Each is read into the same buffer, as it is while heads are read. */
  const send = (transport: Transport, letter: number, count: number): string => {
    shared.fill(letter, 0, count);
    transport.forward(undefined, shared, 0, count);
    return String.fromCharCode(letter).repeat(count);
  };
  for (let round = 0; slow.transport.socket.writableLength < 1_000_000; round++) {
    sent += send(slow.transport, 0x61 + (round % 13), 20_000);
    others += send(quick.transport, 0x70 + (round % 10), 20_000).length;
  }
  await until('what went to the other', () => fast.text.length === others);
  const got = received(slow.peer);
  slow.peer.resume();
  await until('the rest', () => got.text.length === sent.length);
  assert.ok(got.text === sent, 'the bytes are those that were sent');
});
