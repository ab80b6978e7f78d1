import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { rawClient } from '../fixture/client.ts';
import { type Called, type MeshPair, meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { answerOf, ask, begin, openSession } from './client.ts';
import {
  type Application,
  cutStream,
  echoEither,
  echoHttp1,
  echoHttp2,
  refuseStream,
  startHttp1,
  startHttp2,
} from './server.ts';

/** Of one test, in ms: what the peer of a stream never hears of is waited for in vain. */
const LIMIT = { timeout: 30_000 };

/** The service `app.shop`, called through both sidecars. */
function meshTo(
  context: TestContext,
  { address }: Application,
  called: Partial<Called> = {},
): Promise<MeshPair> {
  return meshPair(context, { name: 'app', application: address, ...called });
}

async function sessionTo(context: TestContext, application: Application, called: Partial<Called> = {}) {
  const mesh = await meshTo(context, application, called);
  return openSession(context, mesh.outbound);
}

test(
  'an HTTP/2 client and an HTTP/2 server: head, body and trailers pass both ways',
  LIMIT,
  async (context) => {
    const application = await echoHttp2(context);
    const session = await sessionTo(context, application, { protocol: 'http2' });
    const headers = { ':method': 'POST', ':path': '/a?b=c', 'x-one': 'eins', 'x-latin': 'caf\xe9' };
    const answer = await ask(session, headers, 'hello', { 'x-sum': '5' });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['x-served'], 'h2');
    assert.equal(answer.body.toString(), 'hello');
    assert.equal(answer.trailers['echo-x-sum'], '5');
    const [seen] = application.seen;
    assert.equal(`${seen?.version} ${seen?.method} ${seen?.path}`, '2.0 POST /a?b=c');
    assert.equal(seen?.headers[':authority'], 'app.shop');
    assert.equal(seen?.headers[':scheme'], 'http');
    assert.equal(seen?.headers['x-one'], 'eins');
    assert.equal(seen?.headers['x-latin'], 'caf\xe9');
    assert.equal(seen?.trailers['x-sum'], '5');
    assert.match(String(seen?.headers['x-request-id']), /./);
  },
);

test('a request id that a caller of the mesh sends is kept', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const session = await sessionTo(context, application, { protocol: 'http2' });
  await ask(session, { 'x-request-id': 'my-own-1' });
  assert.equal(application.seen[0]?.headers['x-request-id'], 'my-own-1');
});

test('an HTTP/1.1 client and an HTTP/2 server', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const mesh = await meshTo(context, application, { protocol: 'http2' });
  const client = await rawClient(mesh.outbound);
  client.send('GET /one HTTP/1.1\r\nHost: app.shop\r\nX-UPPER: Case\r\n\r\n');
  assert.match(await client.expect('x-served: h2'), /^HTTP\/1\.1 200 OK\r\n/);
  const from = client.text.length;
  client.send(
    'POST /two HTTP/1.1\r\nHost: app.shop\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n',
  );
  const text = await client.expect('echo-x-sum: 3\r\n\r\n', from);
  assert.match(
    text.slice(from),
    /^HTTP\/1\.1 200 OK\r\n.*transfer-encoding: chunked\r\n.*\r\nabc\r\n0\r\n/is,
  );
  client.close();
  const [one, two] = application.seen;
  assert.equal(one?.headers['x-upper'], 'Case');
  assert.equal(one?.headers[':authority'], 'app.shop');
  assert.equal(one?.headers.host, undefined);
  assert.equal(two?.body.toString(), 'abc');
  assert.equal(two?.trailers['x-sum'], '3');
});

test(
  'an HTTP/2 client and an HTTP/1.1 server: authority is Host, cookies are one line, bodies are framed',
  LIMIT,
  async (context) => {
    const application = await echoHttp1(context);
    const session = await sessionTo(context, application, { protocol: 'http' });
    const get = await ask(session, { ':path': '/g', cookie: ['a=1', 'b=2', 'c=3'] });
    assert.equal(get.headers['x-served'], 'h1');
    assert.deepEqual(
      ['connection', 'keep-alive', 'transfer-encoding'].filter((name) => name in get.headers),
      [],
    );
    const post = await ask(session, { ':method': 'POST' }, 'of no told length', { 'x-sum': '17' });
    assert.equal(post.body.toString(), 'of no told length');
    assert.equal(post.trailers['echo-x-sum'], '17');
    const sized = await ask(session, { ':method': 'PUT', 'content-length': '5' }, 'sized');
    assert.equal(sized.headers['content-length'], '5');
    const [seenGet, seenPost, seenPut] = application.seen;
    assert.equal(seenGet?.version, '1.1');
    assert.equal(seenGet?.headers.host, 'app.shop');
    assert.equal(seenGet?.headers.cookie, 'a=1; b=2; c=3');
    const cookieLines = seenGet?.rawHeaders.filter((text) => /^cookie$/i.test(text)) ?? [];
    assert.equal(cookieLines.length, 1, 'RFC 9113 section 8.2.3');
    assert.equal(seenGet?.headers['transfer-encoding'], undefined, 'a GET without a body has no framing');
    assert.equal(seenPost?.headers['transfer-encoding'], 'chunked');
    assert.equal(seenPost?.trailers['x-sum'], '17');
    assert.equal(seenPut?.headers['content-length'], '5');
    assert.equal(seenPut?.headers['transfer-encoding'], undefined);
  },
);

test(
  'a service whose protocol is detected is spoken to in the version of its client',
  LIMIT,
  async (context) => {
    const application = await echoEither(context);
    const mesh = await meshTo(context, application, { protocol: 'detect' });
    const session = await openSession(context, mesh.outbound);
    assert.equal((await ask(session)).headers['x-served'], 'h2');
    const client = await rawClient(mesh.outbound);
    client.send('GET / HTTP/1.1\r\nHost: app.shop\r\n\r\n');
    await client.expect('x-served: h1');
    client.close();
    assert.equal((await ask(session)).headers['x-served'], 'h2');
  },
);

test('a gateway takes HTTP/2 as well', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const called = { name: 'app', application: application.address, protocol: 'http2' as const };
  const mesh = await meshPair(context, called, { gateway: true });
  const session = await openSession(context, mesh.gateway);
  const answer = await ask(session, { ':method': 'POST', 'x-request-id': 'forged' }, 'from outside');
  assert.equal(answer.body.toString(), 'from outside');
  assert.notEqual(application.seen[0]?.headers['x-request-id'], 'forged');
  assert.match(String(application.seen[0]?.headers['x-forwarded-for']), /^127\.0\.0\.1$/);
  const lost = await ask(session, { ':authority': 'nobody.test' });
  assert.deepEqual([lost.status, lost.headers['tulle-reason']], [404, 'no-route']);
  assert.ok(!lost.body.toString().includes('detail'), 'strangers are told the code only');
});

test('early hints reach the client before the answer does', LIMIT, async (context) => {
  let finish = () => {};
  const application = await startHttp2(context, (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    finish = () => {
      stream.respond({ ':status': 200 });
      stream.end('late');
    };
  });
  const session = await sessionTo(context, application, { protocol: 'http2' });
  const stream = begin(session, {}, { endStream: true });
  const whole = answerOf(stream);
  const [hints] = (await once(stream, 'headers')) as [IncomingHttpHeaders & { ':status': number }];
  assert.deepEqual([hints[':status'], hints.link], [103, '</style.css>; rel=preload']);
  finish();
  assert.equal((await whole).body.toString(), 'late');
});

test('HEAD, 204 and 304 have no body and keep their headers', LIMIT, async (context) => {
  const application = await startHttp2(context, (stream, { ':method': method, ':path': path = '' }) => {
    const status = method === 'HEAD' ? 200 : Number(path.slice(1));
    const length = status === 204 ? {} : { 'content-length': '1234' };
    stream.respond({ ':status': status, etag: '"e"', ...length }, { endStream: true });
  });
  const mesh = await meshTo(context, application, { protocol: 'http2' });
  const session = await openSession(context, mesh.outbound);
  for (const [method, path, status, length] of [
    ['HEAD', '/', 200, '1234'],
    ['GET', '/204', 204, undefined],
    ['GET', '/304', 304, '1234'],
  ] as const) {
    const answer = await ask(session, { ':method': method, ':path': path });
    assert.deepEqual([answer.status, answer.body.length], [status, 0]);
    assert.equal(answer.headers['content-length'], length);
    assert.equal(answer.headers.etag, '"e"');
    // On HTTP/1.1 a body that is none would be read as the next response.
    const client = await rawClient(mesh.outbound);
    client.send(`${method} ${path} HTTP/1.1\r\nHost: app.shop\r\nConnection: close\r\n\r\n`);
    const text = await client.untilEnd();
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\n\\r\\n$`));
    client.close();
  }
});

test('what belongs to one connection is not passed on', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const mesh = await meshTo(context, application, { protocol: 'http2' });
  const client = await rawClient(mesh.outbound);
  client.send(
    'GET / HTTP/1.1\r\nHost: app.shop\r\nConnection: close, x-hop\r\nX-Hop: mine\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers, gzip\r\n\r\n',
  );
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 /);
  client.close();
  const { headers = {} } = application.seen[0] ?? {};
  for (const name of [
    'connection',
    'x-hop',
    'keep-alive',
    'proxy-connection',
    'upgrade',
    'transfer-encoding',
  ])
    assert.equal(headers[name], undefined, name);
  assert.match(String(headers.te ?? 'trailers'), /^trailers$/, 'RFC 9113 section 8.2.2');
});

test('heads of 50 kB pass both ways', LIMIT, async (context) => {
  const big = 'v'.repeat(50_000);
  const application = await startHttp2(
    context,
    (stream, { 'x-big': came }) => {
      stream.respond({ ':status': 200, 'x-came': String(came?.length), 'x-back': big });
      stream.end();
    },
    { maxHeaderListSize: 128 * 1024 },
  );
  const session = await sessionTo(context, application, { protocol: 'http2' });
  const { headers } = await ask(session, { 'x-big': big });
  assert.equal(headers['x-came'], '50000');
  assert.equal(headers['x-back'], big);
});

test('a client that resets its stream ends the work of an HTTP/2 server at once', LIMIT, async (context) => {
  const ended: number[] = [];
  let begun = 0;
  const application = await startHttp2(context, (stream) => {
    begun++;
    stream.respond({ ':status': 200 });
    stream.write('first');
    stream.on('close', () => ended.push(stream.rstCode));
  });
  const session = await sessionTo(context, application, { protocol: 'http2' });
  const stream = begin(session, {}, { endStream: true });
  stream.on('error', () => {});
  await once(stream, 'data');
  stream.close(8); // CANCEL
  await until('the reset at the server', () => ended.length === 1);
  assert.deepEqual(ended, [8]);
  const unanswered = begin(session, { ':method': 'POST' });
  unanswered.on('error', () => {});
  unanswered.write('some');
  await until('the request at the server', () => begun === 2);
  unanswered.close(8);
  await until('the second reset at the server', () => ended.length === 2);
  assert.equal(application.sessions.length, 1, 'the connection to the server stays');
});

test(
  'a client that resets its stream ends the work of an HTTP/1.1 server at once',
  LIMIT,
  async (context) => {
    let closed = 0;
    const application = await startHttp1(context, (_request, response) => {
      response.write('first');
      response.on('close', () => closed++);
    });
    const session = await sessionTo(context, application, { protocol: 'http' });
    const stream = begin(session, {}, { endStream: true });
    stream.on('error', () => {});
    await once(stream, 'data');
    stream.close(8);
    await until('the end at the server', () => closed === 1);
  },
);

test(
  'a server that resets its stream: a 502 that says so, or a response that is seen to be cut short',
  LIMIT,
  async (context) => {
    const application = await startHttp2(context, (stream, { ':path': path }) => {
      if (path === '/late') {
        stream.respond({ ':status': 200 });
        stream.write('half', () => cutStream(stream));
      } else cutStream(stream);
    });
    const mesh = await meshTo(context, application, { protocol: 'http2' });
    const session = await openSession(context, mesh.outbound);
    const early = await ask(session, { ':method': 'POST', ':path': '/early' }, 'x');
    assert.deepEqual([early.status, early.headers['tulle-reason']], [502, 'upstream-reset']);
    await assert.rejects(ask(session, { ':path': '/late' }));
    const client = await rawClient(mesh.outbound);
    client.send('GET /late HTTP/1.1\r\nHost: app.shop\r\n\r\n');
    const text = await client.untilEnd();
    assert.ok(!text.includes('\r\n0\r\n\r\n'), 'the last chunk would make it whole');
    client.close();
  },
);

test('what Tulle answers itself is problem+json on HTTP/2 too', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const session = await sessionTo(context, application, {
    protocol: 'http2',
    services: [
      { name: 'away', namespace: 'shop', port: 80, protocol: 'http2', endpoints: ['127.0.0.1:1'] },
      { name: 'empty', namespace: 'shop', port: 80, protocol: 'http2' },
    ],
  });
  for (const [authority, status, reason] of [
    ['nobody.shop', 404, 'no-service'],
    ['away.shop', 503, 'connect-failed'],
    ['empty.shop', 503, 'no-endpoint'],
  ] as const) {
    const {
      headers,
      body,
      status: got,
    } = await ask(session, { ':method': 'POST', ':authority': authority }, 'body');
    assert.deepEqual([got, headers['tulle-reason']], [status, reason]);
    assert.equal(headers['content-type'], 'application/problem+json');
    const problem = JSON.parse(body.toString()) as Record<string, unknown>;
    assert.equal(problem.status, status);
    assert.equal(typeof problem.detail, 'string');
  }
  assert.equal((await ask(session, {}, 'the connection stays')).status, 200);
});

test('server-sent events: each goes on as soon as it comes', LIMIT, async (context) => {
  const writers: ((text: string) => void)[] = [];
  const application = await startHttp2(context, (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
    writers.push((text) => stream.write(text));
  });
  const mesh = await meshTo(context, application, { protocol: 'http2' });
  const stream = begin(await openSession(context, mesh.outbound), {}, { endStream: true });
  stream.setEncoding('utf8');
  let text = '';
  stream.on('data', (part: string) => {
    text += part;
  });
  const client = await rawClient(mesh.outbound);
  client.send('GET / HTTP/1.1\r\nHost: app.shop\r\n\r\n');
  await client.expect('text/event-stream');
  await until('both requests at the server', () => writers.length === 2);
  for (let event = 1; event <= 3; event++) {
    for (const write of writers) write(`data: ${event}\n\n`);
    await until(`event ${event}`, () => text.endsWith(`data: ${event}\n\n`));
    await client.expect(`data: ${event}\n\n`);
  }
  client.close();
});

test('a body that is announced by Expect waits for the 100 of the server', LIMIT, async (context) => {
  const seen: string[] = [];
  const application = await startHttp2(context, (stream, { expect }) => {
    seen.push(`head ${expect}`);
    stream.additionalHeaders({ ':status': 100 });
    stream.on('data', (bytes: Buffer) => seen.push(bytes.toString()));
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end('thanks');
    });
  });
  const mesh = await meshTo(context, application, { protocol: 'http2' });
  const session = await openSession(context, mesh.outbound);
  const stream = begin(session, { ':method': 'POST', expect: '100-continue' });
  const whole = answerOf(stream);
  await once(stream, 'continue');
  stream.end('now');
  assert.equal((await whole).body.toString(), 'thanks');
  const client = await rawClient(mesh.outbound);
  client.send('POST / HTTP/1.1\r\nHost: app.shop\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
  await client.expect('HTTP/1.1 100 ');
  client.send('too');
  await client.expect('thanks');
  client.close();
  assert.deepEqual(seen, ['head 100-continue', 'now', 'head 100-continue', 'too']);
});

test(
  'a server that allows few streams at once is asked for no more, and every request is served',
  LIMIT,
  async (context) => {
    const most = 2;
    const open = new Map<unknown, number>();
    let peak = 0;
    const application = await startHttp2(
      context,
      (stream) => {
        const { session } = stream;
        const now = (open.get(session) ?? 0) + 1;
        open.set(session, now);
        peak = Math.max(peak, now);
        stream.on('close', () => open.set(session, (open.get(session) ?? 1) - 1));
        setImmediate(() => {
          stream.respond({ ':status': 200 });
          stream.end('served');
        });
      },
      { maxConcurrentStreams: most },
    );
    const session = await sessionTo(context, application, { protocol: 'http2' });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(session)));
    assert.deepEqual(
      new Set(answers.map(({ status, body }) => `${status} ${body}`)),
      new Set(['200 served']),
    );
    assert.ok(peak <= most, `${peak} streams were open at once`);
  },
);

test('a stream that the server refused is tried again: it has surely not run', LIMIT, async (context) => {
  let tries = 0;
  const application = await startHttp2(context, (stream) => {
    tries++;
    if (tries <= 2) {
      refuseStream(stream);
      return;
    }
    stream.respond({ ':status': 200 });
    stream.end('third time');
  });
  const session = await sessionTo(context, application, {
    protocol: 'http2',
    annotations: { 'tulle.dev/retries': '2 on connect,refused-stream' },
  });
  const { status, body } = await ask(session, { ':method': 'POST' });
  assert.deepEqual([status, body.toString(), tries], [200, 'third time', 3]);
});

test(
  'a server that refuses every stream: who is no sidecar of the mesh is answered',
  LIMIT,
  async (context) => {
    let tries = 0;
    const application = await startHttp2(context, (stream) => {
      tries++;
      refuseStream(stream);
    });
    const mesh = await meshTo(context, application, {
      protocol: 'http2',
      annotations: { 'tulle.dev/retries': '2 on connect' },
    });
    const outbound = await openSession(context, mesh.outbound);
    const called = await ask(outbound, { ':method': 'POST', 'x-request-id': 'refused-1' }, 'body');
    assert.deepEqual([called.status, called.headers['tulle-reason']], [502, 'upstream-reset']);
    assert.equal(tries, 6, 'three attempts of the caller, each tried twice beside the application');
    const past = await ask(await openSession(context, mesh.inbound), { ':method': 'POST' });
    assert.deepEqual([past.status, past.headers['tulle-reason']], [502, 'upstream-reset']);
    const client = await rawClient(mesh.outbound);
    client.send('GET / HTTP/1.1\r\nHost: app.shop\r\n\r\n');
    assert.match(await client.expect('upstream-reset'), /^HTTP\/1\.1 502 /);
    client.close();
    const explained = await fetch(`http://${mesh.inboundAdmin}/explain/refused-1`);
    assert.match(await explained.text(), /the caller is told so and may try again/);
  },
);

test(
  'a switch of protocols that an HTTP/2 server does not allow is refused in words',
  LIMIT,
  async (context) => {
    const application = await echoHttp2(context);
    const mesh = await meshTo(context, application, { protocol: 'http2' });
    for (let round = 0; round < 2; round++) {
      const client = await rawClient(mesh.outbound);
      client.send(
        'GET / HTTP/1.1\r\nHost: app.shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      );
      assert.match(await client.expect('upgrade-refused'), /^HTTP\/1\.1 502 /);
      client.close();
    }
    assert.deepEqual(application.seen, []);
    const session = await openSession(context, mesh.outbound);
    assert.equal((await ask(session, {}, 'the rest is served')).status, 200);
  },
);

test('an endpoint that does not answer is passed over, with a body to send too', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const session = await sessionTo(context, application, {
    protocol: 'http2',
    services: [
      {
        name: 'both',
        namespace: 'shop',
        port: 80,
        protocol: 'http2',
        endpoints: ['127.0.0.1:1', application.address],
      },
    ],
  });
  for (let round = 0; round < 10; round++) {
    const answer = await ask(session, { ':method': 'POST', ':authority': 'both.shop' }, `round ${round}`);
    assert.deepEqual([answer.status, answer.body.toString()], [200, `round ${round}`]);
  }
});

test('a server that says GOAWAY again and again: no request fails', LIMIT, async (context) => {
  let served = 0;
  const application = await startHttp2(context, (stream) => {
    served++;
    stream.respond({ ':status': 200 });
    stream.end('served');
    if (served % 10 === 0) stream.session?.close();
  });
  const session = await sessionTo(context, application, { protocol: 'http2' });
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(session)));
    for (const { status } of answers) assert.equal(status, 200);
  }
  assert.ok(application.sessions.length > 1, 'the server closed connections');
});

for (const side of ['drainCaller', 'drainService'] as const) {
  test(`${side}: what is in flight finishes, nothing that was asked fails`, LIMIT, async (context) => {
    const held: (() => void)[] = [];
    const application = await startHttp2(context, (stream) => {
      held.push(() => {
        stream.respond({ ':status': 200 });
        stream.end('finished');
      });
    });
    const mesh = await meshTo(context, application, { protocol: 'http2' });
    const session = await openSession(context, mesh.outbound);
    let told = false;
    session.on('goaway', () => {
      told = true;
    });
    const flying = Array.from({ length: 5 }, () => ask(session));
    await until('all five at the server', () => held.length === 5);
    const drained = mesh[side]();
    if (side === 'drainCaller') await until('GOAWAY at the client', () => told);
    for (const finish of held) finish();
    for (const { status, body } of await Promise.all(flying))
      assert.deepEqual([status, body.toString()], [200, 'finished']);
    await drained;
  });
}

test(
  'a response that its client does not read holds back no other of the same connection',
  LIMIT,
  async (context) => {
    const large = Buffer.alloc(8 * 1024 * 1024, 'x');
    const application = await startHttp2(context, (stream, { ':path': path }) => {
      stream.respond({ ':status': 200 });
      stream.end(path === '/large' ? large : 'small');
    });
    const session = await sessionTo(context, application, { protocol: 'http2' });
    // The window of this client's connection is larger than that of the one stream.
    session.setLocalWindowSize(4 * 1024 * 1024);
    const unread = begin(session, { ':path': '/large' }, { endStream: true });
    await once(unread, 'response');
    unread.pause();
    for (let round = 0; round < 20; round++) assert.equal((await ask(session)).body.toString(), 'small');
    let read = 0;
    unread.on('data', (bytes: Buffer) => {
      read += bytes.length;
    });
    unread.resume();
    await once(unread, 'end');
    assert.equal(read, large.length);
  },
);

test(
  'a caller in plain HTTP/2 that goes past its sidecar is refused by a strict service',
  LIMIT,
  async (context) => {
    const application = await echoHttp2(context);
    const mesh = await meshTo(context, application, {
      protocol: 'http2',
      annotations: { 'tulle.dev/mtls': 'strict' },
    });
    const session = await openSession(context, mesh.inbound);
    const refused = await ask(session);
    assert.deepEqual([refused.status, refused.headers['tulle-reason']], [403, 'mtls-required']);
    assert.deepEqual(application.seen, []);
  },
);

test(
  'an address that is not HTTP/2 for a service that is: a 502 or 503 with its reason, no silence',
  LIMIT,
  async (context) => {
    const application = await echoHttp1(context);
    const session = await sessionTo(context, application, { protocol: 'http2' });
    const { status, headers } = await ask(session);
    assert.ok(status === 502 || status === 503, String(status));
    assert.match(String(headers['tulle-reason']), /^upstream-|^connect-/);
  },
);

test('a session that is opened and asks nothing is served later', LIMIT, async (context) => {
  const application = await echoHttp2(context);
  const mesh = await meshTo(context, application, { protocol: 'http2' });
  const session = await openSession(context, mesh.outbound);
  await new Promise<void>((resolve, reject) =>
    session.ping((error) => (error === null ? resolve() : reject(error))),
  );
  assert.equal((await ask(session)).status, 200);
});
