import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { OutgoingHttpHeaders } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { request } from 'undici';
import { rawClient } from '../fixture/client.ts';
import { type MeshPair, meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { answerOf, begin, openSession } from '../http2/client.ts';
import {
  contentType,
  type Form,
  FrameError,
  fromText,
  messageFrame,
  readFrames,
  requestOf,
  type WebAnswer,
  type WebCall,
  webCall,
} from './grpc-web-client.ts';
import { startInteropServer } from './interop-server.ts';
import { answerMessage, answerOk, answerStatus, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };
const EMPTY = messageFrame(Buffer.alloc(0));
const GRPC_HEAD = { ':status': 200, 'content-type': 'application/grpc' };
const WAYS = [
  { version: 'HTTP/1.1', form: 'binary' },
  { version: 'HTTP/1.1', form: 'text' },
  { version: 'HTTP/2', form: 'binary' },
  { version: 'HTTP/2', form: 'text' },
] as const;
const { UnaryCall, StreamingOutputCall, EmptyCall } = TEST_SERVICE;

/** Browser -> gateway -> sidecar -> `application`. */
function edge(context: TestContext, application: string, more: object = {}): Promise<MeshPair> {
  return meshPair(context, { name: 'app', application, protocol: 'grpc', ...more }, { gateway: true });
}

/** Runs with one mesh in each form and version. */
async function inEachWay(
  context: TestContext,
  application: string,
  run: (call: (more?: Partial<WebCall>) => Promise<WebAnswer>, form: Form) => Promise<void>,
): Promise<void> {
  const { gateway } = await edge(context, application);
  for (const way of WAYS) {
    const call = (more: Partial<WebCall> = {}) =>
      webCall(context, gateway, { ...way, path: EmptyCall.path, body: EMPTY, ...more });
    await context.test(`${way.form} over ${way.version}`, () => run(call, way.form));
  }
}

test('a call with one answer, its metadata and its trailers', LIMIT, async (context) => {
  const body = requestOf(UnaryCall, { responseSize: 100_000, payload: { body: Buffer.alloc(70_000, 'x') } });
  const headers = { 'x-grpc-test-echo-initial': 'first', 'x-grpc-test-echo-trailing-bin': 'q83v' };
  await inEachWay(context, await startInteropServer(context), async (call, form) => {
    const answer = await call({ path: UnaryCall.path, body, headers });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], contentType(form));
    assert.equal(answer.headers['x-grpc-test-echo-initial'], 'first');
    const [message, ...others] = answer.messages.map((bytes) => UnaryCall.responseDeserialize(bytes));
    assert.deepEqual([message?.payload?.body.length, others.length], [100_000, 0]);
    assert.equal(answer.trailers?.['grpc-status'], '0');
    assert.equal(answer.trailers['x-grpc-test-echo-trailing-bin'], 'q83v');
  });
});

test('a stream of answers', LIMIT, async (context) => {
  const sizes = [1, 100_000, 0, 70_001];
  const body = requestOf(StreamingOutputCall, { responseParameters: sizes.map((size) => ({ size })) });
  await inEachWay(context, await startInteropServer(context), async (call) => {
    const { messages, trailers } = await call({ path: StreamingOutputCall.path, body });
    const payloads = messages.map((bytes) => StreamingOutputCall.responseDeserialize(bytes).payload);
    assert.deepEqual(
      payloads.map((payload) => payload.body.length),
      sizes,
    );
    assert.equal(trailers?.['grpc-status'], '0');
  });
});

test('an error of the server alone is in the head, with its message', LIMIT, async (context) => {
  const responseStatus = { code: status.NOT_FOUND, message: 'no such thing: 100 % \u2206' };
  await inEachWay(context, await startInteropServer(context), async (call, form) => {
    const answer = await call({ path: UnaryCall.path, body: requestOf(UnaryCall, { responseStatus }) });
    assert.deepEqual([answer.status, answer.messages, answer.trailers], [200, [], undefined]);
    assert.equal(answer.headers['content-type'], contentType(form));
    assert.equal(answer.headers['grpc-status'], String(status.NOT_FOUND));
    assert.equal(decodeURIComponent(String(answer.headers['grpc-message'])), responseStatus.message);
  });
});

test('an error after a message is in the trailers', LIMIT, async (context) => {
  const failure = { 'grpc-status': '5', 'grpc-message': 'gone %E2%88%86' };
  const application = await rawGrpcServer(context, (stream) => answerMessage(stream, failure));
  await inEachWay(context, application, async (call) => {
    const answer = await call();
    assert.deepEqual([answer.status, answer.messages.length, answer.trailers], [200, 1, failure]);
  });
});

test('what the gateway answers itself says why', LIMIT, async (context) => {
  const application = await rawGrpcServer(context, (stream) => stream.session?.destroy());
  await inEachWay(context, application, async (call, form) => {
    for (const [host, code, reason] of [
      ['nobody.shop', status.UNIMPLEMENTED, 'no-route'],
      ['app.shop', status.UNAVAILABLE, 'upstream-reset'],
    ] as const) {
      const { headers, messages, trailers, ...answer } = await call({ host });
      assert.deepEqual([answer.status, messages, trailers], [200, [], undefined]);
      assert.equal(headers['content-type'], contentType(form));
      assert.deepEqual([headers['grpc-status'], headers['tulle-reason']], [String(code), reason]);
      assert.match(String(headers['grpc-message']), /^[\x20-\x7e]{10,}$/);
    }
  });
});

/** A server that sends this much and is gone. */
function vanishing(context: TestContext, head: OutgoingHttpHeaders, bytes: Buffer): Promise<string> {
  return rawGrpcServer(context, (stream) => {
    stream.respond(head);
    stream.write(bytes, () => stream.session?.destroy());
  });
}

/** Neither whole nor garbage. */
function wasCut(error: Error): boolean {
  return !(error instanceof FrameError);
}

test('a server that vanishes after a message is UNAVAILABLE in the trailers', LIMIT, async (context) => {
  await inEachWay(context, await vanishing(context, GRPC_HEAD, EMPTY), async (call) => {
    const { messages, trailers } = await call();
    assert.equal(messages.length, 1);
    assert.equal(trailers?.['grpc-status'], String(status.UNAVAILABLE));
    assert.equal(trailers['tulle-reason'], 'upstream-reset');
  });
});

test(
  'a server that vanishes within a message: no trailers are taken for its rest',
  LIMIT,
  async (context) => {
    const part = messageFrame(Buffer.alloc(50)).subarray(0, 20);
    await inEachWay(context, await vanishing(context, GRPC_HEAD, part), async (call) => {
      await assert.rejects(call(), wasCut);
    });
  },
);

test('an answer that is no gRPC is passed on as it is', LIMIT, async (context) => {
  const application = await rawGrpcServer(context, (stream) => {
    stream.respond({ ':status': 503, 'content-type': 'text/html' });
    stream.end('<h1>Down</h1>');
  });
  await inEachWay(context, application, async (call) => {
    const answer = await call();
    assert.deepEqual([answer.status, answer.headers['content-type']], [503, 'text/html']);
    assert.equal(String(answer.messages[0]), '<h1>Down</h1>');
  });
});

test('an answer that is no gRPC and is cut is not taken for a whole one', LIMIT, async (context) => {
  const head = { ':status': 503, 'content-type': 'text/html' };
  for (const more of [{}, { 'content-length': 1000 }]) {
    const application = await vanishing(context, { ...head, ...more }, Buffer.from('<h1>Do'));
    await inEachWay(context, application, async (call) => {
      await assert.rejects(call(), wasCut);
    });
  }
});

test('the server is called in gRPC, with the caller’s deadline', LIMIT, async (context) => {
  let seen: NodeJS.Dict<string | string[]> = {};
  const application = await rawGrpcServer(context, (stream, headers) => {
    seen = headers;
    answerOk(stream);
  });
  const { gateway } = await edge(context, application);
  for (const way of WAYS) {
    const headers = { 'grpc-timeout': '7S' };
    await webCall(context, gateway, { ...way, path: EmptyCall.path, body: EMPTY, headers });
    assert.deepEqual(
      [seen[':method'], seen[':path'], seen['content-type'], seen.te],
      ['POST', EmptyCall.path, 'application/grpc+proto', 'trailers'],
      `${way.form} over ${way.version}`,
    );
    // It shrinks on its way.
    assert.match(String(seen['grpc-timeout']), /^(7S|6\d{3}m|7000m)$/);
  }
});

for (const { version, form } of WAYS) {
  test(
    `${form} over ${version}: each message of a stream arrives when it is sent`,
    LIMIT,
    async (context) => {
      let goOn: () => void = () => {};
      const application = await rawGrpcServer(context, (stream) => {
        stream.respond(GRPC_HEAD, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.write(messageFrame(Buffer.from('first')));
        goOn = () => stream.end(messageFrame(Buffer.from('second')));
      });
      const { gateway } = await edge(context, application);
      const body = form === 'text' ? EMPTY.toString('base64') : EMPTY;
      const headers = { 'content-type': contentType(form) };
      let came = Buffer.alloc(0);
      const take = (bytes: Buffer) => {
        came = Buffer.concat([came, bytes]);
      };
      let ended: Promise<unknown>;
      if (version === 'HTTP/2') {
        const stream = begin(await openSession(context, gateway), { ':method': 'POST', ...headers });
        stream.on('data', take);
        ended = answerOf(stream);
        stream.end(body);
      } else {
        const sent = { method: 'POST', headers: { host: 'app.shop', ...headers }, body } as const;
        const answer = await request(`http://${gateway}/`, sent);
        answer.body.on('data', take);
        ended = once(answer.body, 'end');
      }
      const decoded = () => (form === 'text' ? fromText(came) : came);
      await until('the first message', () => decoded().includes('first'));
      assert.ok(!decoded().includes('second'));
      goOn();
      await ended;
      const { messages, trailers } = readFrames(decoded());
      assert.deepEqual([messages.map(String), trailers], [['first', 'second'], { 'grpc-status': '0' }]);
    },
  );
}

test('text in chunks of any length, with padding in the middle, is one message', LIMIT, async (context) => {
  const { gateway } = await edge(context, await startInteropServer(context));
  const body = requestOf(TEST_SERVICE.StreamingInputCall, { payload: { body: Buffer.alloc(1000, 'y') } });
  const text = body.subarray(0, 7).toString('base64') + body.subarray(7).toString('base64');
  assert.match(text, /=[^=]/);
  const client = await rawClient(gateway);
  client.send(
    `POST ${TEST_SERVICE.StreamingInputCall.path} HTTP/1.1\r\nHost: app.shop\r\nContent-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  for (let at = 0; at < text.length; at += 7) {
    const chunk = text.slice(at, at + 7);
    client.send(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  }
  client.send('0\r\n\r\n');
  const answer = await client.expect('0\r\n\r\n');
  client.close();
  const [head = '', chunks = ''] = answer.split('\r\n\r\n');
  assert.match(head, /content-type: application\/grpc-web-text\r?$/im);
  const inside = chunks.split('\r\n').filter((_, index) => index % 2 === 1);
  const { messages, trailers } = readFrames(fromText(Buffer.from(inside.join(''))));
  const [first = Buffer.alloc(0)] = messages;
  assert.deepEqual(TEST_SERVICE.StreamingInputCall.responseDeserialize(first), {
    aggregatedPayloadSize: 1000,
  });
  assert.equal(trailers?.['grpc-status'], '0');
});

test(
  'after a gRPC-Web call a connection serves what is none, and refuses garbage in words',
  LIMIT,
  async (context) => {
    const application = await rawGrpcServer(context, (stream) =>
      answerStatus(stream, status.NOT_FOUND, 'no'),
    );
    const { gateway } = await edge(context, application);
    const client = await rawClient(gateway);
    const call =
      'POST /a.B/C HTTP/1.1\r\nHost: app.shop\r\nContent-Type: application/grpc-web\r\nContent-Length: 0\r\n\r\n';
    client.send(call);
    await client.expect('\r\n\r\n');
    assert.match(client.text, /content-type: application\/grpc-web\r\n/);
    const before = client.text.length;
    client.send('GET / HTTP/1.1\r\nHost: nobody.shop\r\n\r\n');
    await client.expect('"no-route"', before);
    assert.match(client.text.slice(before), /content-type: application\/problem\+json/);
    client.send(call);
    await client.expect('grpc-status', client.text.length);
    const last = client.text.length;
    client.send('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
    const text = (await client.untilEnd()).slice(last);
    assert.match(text, /^HTTP\/1\.1 400 (.*\r\n)*content-type: application\/problem\+json/i);
  },
);

test(
  'CORS is the application’s: a preflight request goes to it, and no header is added',
  LIMIT,
  async (context) => {
    const methods: unknown[] = [];
    const application = await rawGrpcServer(context, (stream, headers) => {
      methods.push(headers[':method']);
      if (headers[':method'] === 'OPTIONS')
        stream.respond(
          { ':status': 204, 'access-control-allow-origin': 'https://a.test' },
          { endStream: true },
        );
      else answerOk(stream);
    });
    const { gateway } = await edge(context, application);
    const headers = { host: 'app.shop', origin: 'https://a.test', 'access-control-request-method': 'POST' };
    const preflight = await request(`http://${gateway}${EmptyCall.path}`, { method: 'OPTIONS', headers });
    await preflight.body.dump();
    assert.equal(preflight.statusCode, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], 'https://a.test');
    const answer = await webCall(context, gateway, {
      ...WAYS[0],
      path: EmptyCall.path,
      body: EMPTY,
      headers: { origin: 'https://a.test' },
    });
    assert.deepEqual(methods, ['OPTIONS', 'POST']);
    assert.deepEqual(
      Object.keys(answer.headers).filter((name) => name.startsWith('access-control')),
      [],
    );
  },
);
