import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { turn, until } from '../../test/fixture/wait.ts';
import { ENHANCE_YOUR_CALM } from './error-codes.ts';
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  PING,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frame.ts';
import { frame, number, RawPeer, REQUEST } from './raw-peer.fixture.ts';
import { answering, type Served, type ServedOptions, served } from './served.fixture.ts';

const POST: readonly [string, string][] = [[':method', 'POST'], ...REQUEST.slice(1)];

async function attacked(
  context: TestContext,
  attack: (peer: RawPeer, server: Served) => void | Promise<void>,
  options: ServedOptions = {},
): Promise<{ debug: string; code: number; server: Served }> {
  const server = await served(context, options);
  const peer = await server.raw();
  await attack(peer, server);
  const { code, debug } = RawPeer.goAway(await peer.expect(GOAWAY));
  await until('every handler to be told', () =>
    server.requests.every(
      ({ events, stream }) =>
        stream.closed && (stream.sendEnded || stream.refused || events.includes('disconnected')),
    ),
  );
  return { code, debug, server };
}

function expectEnd(end: { debug: string; code: number; server: Served }, name: string): void {
  assert.equal(end.debug, name);
  assert.equal(end.code, ENHANCE_YOUR_CALM);
  assert.deepEqual(end.server.protections, [name]);
}

test('rapid reset: streams opened and reset at once, without waiting for answers (CVE-2023-44487)', async (context) => {
  const end = await attacked(
    context,
    (peer) => {
      for (let id = 1; id < 200; id += 2)
        peer.send(peer.head(id, REQUEST, END_STREAM), frame(RST_STREAM, 0, id, number(8)));
    },
    { http2: { resets: 20 } },
  );
  expectEnd(end, 'rapid-reset');
  for (const { events } of end.server.requests) assert.ok(events.includes('disconnected'));
  assert.ok(end.server.requests.length <= 21);
});

test('made you reset: the client breaks its own streams so that we reset them (CVE-2025-8671)', async (context) => {
  const end = await attacked(
    context,
    (peer) => {
      for (let id = 1; id < 200; id += 2)
        peer.send(peer.head(id, POST, 0), frame(WINDOW_UPDATE, 0, id, number(0)));
    },
    { http2: { resets: 20 } },
  );
  expectEnd(end, 'rapid-reset');
});

test('malformed requests one after the other count as resets', async (context) => {
  const end = await attacked(
    context,
    (peer) => {
      for (let id = 1; id < 200; id += 2)
        peer.send(peer.head(id, [...REQUEST, ['connection', 'close']], END_STREAM));
    },
    { http2: { resets: 20 } },
  );
  expectEnd(end, 'rapid-reset');
  assert.ok(end.server.requests.every(({ events }) => events[0]?.startsWith('refused')));
});

test('resets of streams that are over already, over and over', async (context) => {
  const end = await attacked(
    context,
    async (peer) => {
      peer.send(peer.head(1, REQUEST, END_STREAM));
      await peer.expect(DATA, 1);
      for (let count = 0; count < 100; count++) peer.send(frame(RST_STREAM, 0, 1, number(8)));
    },
    { http2: { resets: 20 }, react: answering('hello') },
  );
  expectEnd(end, 'rapid-reset');
});

test('a client that resets once more what we reset breaks no rule', async (context) => {
  const server = await served(context, {
    http2: { resets: 0 },
    react: (event, { stream }) => {
      if (event === 'request') stream.respondLocally(403, '', 'no');
    },
  });
  const peer = await server.raw();
  for (let id = 1; id < 20; id += 2) {
    peer.send(peer.head(id, POST, 0));
    await peer.expect(RST_STREAM, id);
    peer.send(frame(RST_STREAM, 0, id, number(8)));
  }
  peer.send(peer.head(21, REQUEST, END_STREAM));
  await peer.expect(DATA, 21);
  assert.deepEqual(server.protections, []);
});

test('a client that cancels few of many requests goes on', async (context) => {
  const server = await served(context, {
    http2: { resets: 5 },
    react: (event, { stream, head }) => {
      if (event === 'request' && head?.target === '/') answering('ok')('end', { stream } as never);
    },
  });
  const peer = await server.raw();
  const slow = REQUEST.map(([name, value]) => [name, name === ':path' ? '/slow' : value] as const);
  for (let id = 1; id < 200; id += 2) {
    const cancelled = id % 10 === 1;
    peer.send(peer.head(id, cancelled ? slow : REQUEST, END_STREAM));
    if (cancelled) peer.send(frame(RST_STREAM, 0, id, number(8)));
  }
  await peer.expect(HEADERS, 199);
  assert.deepEqual(server.protections, []);
});

test('a header block that never ends, in tiny CONTINUATIONs (CVE-2024-27316)', async (context) => {
  const end = await attacked(context, (peer) => {
    peer.send(frame(HEADERS, END_STREAM, 1, peer.block(REQUEST)));
    for (let n = 0; n < 40; n++) peer.send(frame(CONTINUATION, 0, 1, [0x00, 0x01, 0x61, 0x01, 0x62]));
  });
  expectEnd(end, 'continuation-flood');
});

test('a header block that never ends, in full CONTINUATIONs', async (context) => {
  const end = await attacked(context, (peer) => {
    peer.send(frame(HEADERS, END_STREAM, 1, peer.block(REQUEST)));
    for (let n = 0; n < 10; n++) peer.send(frame(CONTINUATION, 0, 1, Buffer.alloc(16_384)));
  });
  expectEnd(end, 'continuation-flood');
});

test('a header bomb: one large field of the table, named thousands of times', async (context) => {
  const end = await attacked(context, (peer) => {
    const value = 'v'.repeat(3900);
    const literal = [0x40, 0x01, 0x62, 0x7f, 0xbd, 0x1d, ...Buffer.from(value)];
    peer.send(
      frame(HEADERS, END_STREAM | END_HEADERS, 1, [
        ...peer.block(REQUEST),
        ...literal,
        ...new Array<number>(10_000).fill(0xbe),
      ]),
    );
  });
  expectEnd(end, 'header-bomb');
});

test('PINGs out of proportion (CVE-2019-9512)', async (context) => {
  const end = await attacked(
    context,
    (peer) => {
      for (let n = 0; n < 200; n++) peer.send(frame(PING, 0, 0, Buffer.alloc(8)));
    },
    { http2: { pings: 100 } },
  );
  expectEnd(end, 'ping-flood');
});

test('SETTINGS over and over (CVE-2019-9515)', async (context) => {
  const end = await attacked(context, (peer) => {
    for (let n = 0; n < 200; n++) peer.send(frame(SETTINGS, 0, 0));
  });
  expectEnd(end, 'settings-flood');
});

test('DATA without data and without end (CVE-2019-9518)', async (context) => {
  const end = await attacked(context, (peer) => {
    peer.send(peer.head(1, POST, 0));
    for (let n = 0; n < 200; n++) peer.send(frame(DATA, 0, 1));
  });
  expectEnd(end, 'empty-frames');
});

test('DATA that is nothing but padding', async (context) => {
  const end = await attacked(context, (peer) => {
    peer.send(peer.head(1, POST, 0));
    for (let n = 0; n < 200; n++) peer.send(frame(DATA, 0x8, 1, [3, 0, 0, 0]));
  });
  expectEnd(end, 'empty-frames');
});

test('CONTINUATIONs that bring nothing', async (context) => {
  const end = await attacked(
    context,
    (peer) => {
      peer.send(frame(HEADERS, END_STREAM, 1, peer.block(REQUEST)));
      for (let n = 0; n < 200; n++) peer.send(frame(CONTINUATION, 0, 1));
    },
    { http2: { continuations: 1000 } },
  );
  expectEnd(end, 'empty-frames');
});

test('credit in crumbs, so that data leaves a byte a frame (CVE-2019-9511)', async (context) => {
  const end = await attacked(
    context,
    async (peer) => {
      peer.send(frame(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]));
      peer.send(peer.head(1, REQUEST, END_STREAM));
      await peer.expect(HEADERS, 1);
      for (let n = 0; n < 3000; n++) peer.send(frame(WINDOW_UPDATE, 0, 1, number(1)));
    },
    { react: answering('x'.repeat(100_000)) },
  );
  expectEnd(end, 'window-flood');
});

test('PRIORITYs that shuffle streams without end (CVE-2019-9513)', async (context) => {
  const end = await attacked(context, (peer) => {
    for (let n = 0; n < 1000; n++) peer.send(frame(PRIORITY, 0, 1001, [0, 0, 0, 1, 7]));
  });
  expectEnd(end, 'priority-flood');
});

test('streams beyond the limit are refused, and a client that goes on is sent away', async (context) => {
  const end = await attacked(
    context,
    (peer) => {
      for (let id = 1; id < 100; id += 2) peer.send(peer.head(id, POST, 0));
    },
    { http2: { streams: 3, refusals: 10 } },
  );
  expectEnd(end, 'too-many-streams');
  assert.equal(end.server.requests.length, 3);
});

test('a client that makes us answer and does not read', async (context) => {
  const server = await served(context, { http2: { pings: 1e9, outputBytes: 20_000 } });
  const peer = await server.raw();
  peer.stopReading();
  // More than the kernel's buffers take of the answers.
  peer.send(Buffer.concat(new Array<Buffer>(600_000).fill(frame(PING, 0, 0, Buffer.alloc(8)))));
  await until('the protection', () => server.protections.length > 0);
  assert.deepEqual(server.protections, ['output-flood']);
});

test('a response that is asked for and never taken is given up, its stream alone', async (context) => {
  const server = await served(context, { react: answering('x'.repeat(100_000)) });
  const peer = await server.raw();
  peer.send(frame(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 10]), frame(SETTINGS, 1, 0));
  peer.send(peer.head(1, REQUEST, END_STREAM));
  await peer.expect(DATA, 1);
  await turn();
  server.clock.leap(298_000);
  assert.deepEqual(server.protections, []);
  server.clock.leap(2_500);
  assert.deepEqual(server.protections, ['slow-window']);
  assert.ok(server.requests[0]?.events.includes('disconnected'));
  await peer.expect(RST_STREAM, 1);
  peer.send(frame(PING, 0, 0, Buffer.alloc(8)));
  await peer.expect(PING);
});

test('a client that says nothing is sent away', async (context) => {
  const server = await served(context);
  const peer = await server.silent();
  server.clock.leap(10_100);
  const { debug } = RawPeer.goAway(await peer.expect(GOAWAY));
  assert.match(debug, /preface/);
});

test('a client that does not acknowledge our SETTINGS is sent away', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  await peer.expect(SETTINGS);
  server.clock.leap(10_100);
  assert.equal(RawPeer.goAway(await peer.expect(GOAWAY)).code, 4);
});

test('a header block that is begun and left lying is ended', async (context) => {
  const server = await served(context);
  const peer = await server.raw();
  peer.send(frame(SETTINGS, 1, 0), frame(HEADERS, 0, 1, peer.block(REQUEST)));
  await peer.expect(SETTINGS);
  await until('the acknowledgement', () =>
    peer.frames.some(({ type, flags }) => type === SETTINGS && flags === 1),
  );
  await turn();
  server.clock.leap(10_100);
  assert.match(RawPeer.goAway(await peer.expect(GOAWAY)).debug, /header block/);
});
