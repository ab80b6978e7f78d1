import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer, connect as netConnect } from 'node:net';
import { test } from 'node:test';
import { answering, rawBackend, twoAnswering } from './fixture/backend.ts';
import { rawClient } from './fixture/client.ts';
import { deadAddress } from './fixture/free-port.ts';
import { appMesh, explain, relay, writeMesh } from './fixture/relay.ts';
import { turn, until } from './fixture/wait.ts';

const GET = 'GET /a HTTP/1.1\r\nHost: app\r\n\r\n';

/** A port where nobody listens: it was free a moment ago. */
test('a request cut at every byte arrives as it was meant, and so does a response', async (context) => {
  const request =
    'POST /cut HTTP/1.1\r\nHost: app\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nX-T: 1\r\n\r\n';
  const response =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Two: 2\r\n\r\n3\r\nxyz\r\n0\r\nX-U: 2\r\n\r\n';
  let cut = 1;
  const backend = await rawBackend(({ socket, text }) => {
    if (!text.endsWith('X-T: 1\r\n\r\n')) return;
    const at = cut % response.length;
    socket.write(response.slice(0, at));
    void turn().then(() => socket.write(response.slice(at)));
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  for (; cut < request.length; cut++) {
    const from = client.text.length;
    client.send(request.slice(0, cut));
    await turn();
    client.send(request.slice(cut));
    await client.expect('X-U: 2\r\n\r\n', from);
    assert.equal(client.text.slice(from), response, `cut at ${cut}`);
  }
  client.close();
  const sent = backend.received.split('POST /cut').slice(1);
  assert.equal(sent.length, request.length - 1);
  for (const one of sent) {
    assert.match(
      `POST /cut${one}`,
      /^POST \/cut HTTP\/1\.1\r\nHost: app\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\nx-request-id: [\w-]+\r\n\r\n4\r\nabcd\r\n0\r\nX-T: 1\r\n\r\n$/,
    );
  }
  assert.equal(backend.connections.length, 1, 'one kept connection served them all');
});

test('one byte at a time', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  for (const byte of GET) {
    client.send(byte);
    await turn();
  }
  await client.expect('you asked for /a');
  client.close();
});

test('pipelined requests are answered in their order, one at a time at the upstream', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  const paths = Array.from({ length: 50 }, (_, index) => `/p${index}.`);
  client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: app\r\n\r\n`).join(''));
  await client.expect('you asked for /p49.');
  assert.deepEqual(
    [...client.text.matchAll(/asked for (\S+?\.)/g)].map(([, path]) => path),
    paths,
  );
  assert.equal(backend.connections.length, 1);
  client.close();
});

test('header order, case and spacing pass through; hop-by-hop fields do not', async (context) => {
  const backend = await rawBackend(({ socket }) =>
    socket.write(
      'HTTP/1.1 200 Very Fine\r\nX-B:  2\r\nx-a:1\r\nConnection: X-C\r\nX-C: 3\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n',
    ),
  );
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.send(
    'GET /a HTTP/1.1\r\nUser-AGENT:  x\r\nHost: APP\r\nConnection: x-gone\r\nX-Gone: 1\r\nTE: trailers\r\ncookie: a=b\r\n\r\n',
  );
  await client.expect('\r\n\r\n');
  assert.equal(client.text, 'HTTP/1.1 200 Very Fine\r\nX-B:  2\r\nx-a:1\r\nContent-Length: 0\r\n\r\n');
  assert.match(
    backend.received,
    /^GET \/a HTTP\/1\.1\r\nUser-AGENT: {2}x\r\nHost: APP\r\ncookie: a=b\r\nx-request-id: \S+\r\n\r\n$/,
  );
  client.close();
});

test('Expect: 100-continue waits for the upstream, and its 100 comes through before the body goes', async (context) => {
  const backend = await rawBackend(({ socket, text }) => {
    if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    if (text.endsWith('body')) socket.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.send('PUT /a HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
  await client.expect('HTTP/1.1 100 Continue\r\n\r\n');
  client.send('body');
  await client.expect('HTTP/1.1 201 Created');
  client.close();
});

test('HEAD, 204 and 304 have no body, whatever their headers say', async (context) => {
  const backend = await rawBackend(({ socket }, added) => {
    if (added.startsWith('HEAD')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    else if (added.includes('/204')) socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    else socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n');
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  for (const [line, status] of [
    ['HEAD /', 200],
    ['GET /204', 204],
    ['GET /304', 304],
    ['HEAD /', 200],
  ] as const) {
    const from = client.text.length;
    client.send(`${line} HTTP/1.1\r\nHost: app\r\n\r\n`);
    await client.expect('\r\n\r\n', from);
    assert.match(client.text.slice(from), new RegExp(`^HTTP/1.1 ${status} `));
  }
  assert.equal(backend.connections.length, 1);
  client.close();
});

test('an HTTP/1.0 client gets chunks decoded and the end by the connection; with a length it may stay', async (context) => {
  const backend = await rawBackend(({ socket }, added) => {
    if (added.includes('/chunks'))
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n');
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.send('GET /length HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n');
  await client.expect('\r\n\r\nok');
  assert.match(client.text, /\r\nconnection: keep-alive\r\n/);
  const from = client.text.length;
  client.send('GET /chunks HTTP/1.0\r\nHost: app\r\nConnection: keep-alive\r\n\r\n');
  const text = (await client.untilEnd()).slice(from);
  assert.ok(text.endsWith('\r\n\r\nabcdef'), text);
  assert.ok(!/transfer-encoding/i.test(text));
  client.close();
});

test('a response that ends with its connection becomes chunks, and the client stays connected', async (context) => {
  const backend = await rawBackend(({ socket }) => socket.end('HTTP/1.0 200 OK\r\n\r\nuntil the end'));
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  for (let round = 0; round < 2; round++) {
    const from = client.text.length;
    client.send(GET);
    await client.expect('0\r\n\r\n', from);
    assert.equal(
      client.text.slice(from),
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n',
    );
  }
  client.close();
});

test('an upgrade becomes a tunnel for both sides, half-close included; h2c is not passed on', async (context) => {
  const backend = await rawBackend((connection, added) => {
    if (added.includes('HTTP/1.1')) {
      const upgrade = /\r\nupgrade: websocket\r\n/i.test(added);
      connection.socket.write(
        upgrade
          ? 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome'
          : 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain',
      );
    } else connection.socket.write(added.toUpperCase(), 'latin1');
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.send(
    'GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
  );
  await client.expect('plain');
  assert.ok(!/h2c|http2-settings/i.test(backend.received));
  client.send('GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await client.expect('welcome');
  assert.match(
    client.text,
    /HTTP\/1\.1 101 Switching Protocols\r\n.*connection: upgrade\r\nupgrade: websocket\r\n\r\nwelcome$/s,
  );
  client.send('\x00\x80bytes\r\n');
  await client.expect('\x00\x80BYTES\r\n');
  client.socket.end();
  await client.untilEnd();
  await until('the tunnel to end at the backend', () => backend.connections.some(({ ended }) => ended));
  client.close();
});

test('a client that closes its sending side after the request gets its answer', async (context) => {
  const backend = await rawBackend(({ socket, text }) => {
    if (text.includes('\r\n\r\n'))
      void turn().then(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate'));
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.socket.end(GET);
  assert.match(await client.untilEnd(), /\r\n\r\nlate$/);
  client.close();
});

test('a client that goes away ends the work at its upstream at once', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.send(GET);
  await until('the request', () => backend.received.includes('\r\n\r\n'));
  client.socket.resetAndDestroy();
  await until('the end of the upstream connection', () => backend.connections[0]?.closed === true);
});

test('a slow reader stops the writer, both ways, and nothing is lost or changed', async (context) => {
  const size = 48 * 1024 * 1024;
  const body = randomBytes(size);
  const digest = createHash('sha256').update(body).digest('hex');
  let upload = createHash('sha256');
  let uploaded = 0;
  let reading = false;
  const backend = await rawBackend(({ socket }, added) => {
    if (added.startsWith('GET')) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(body);
    }
  });
  const sink = createServer((socket) => {
    socket.pause();
    let head = '';
    const wait = setInterval(() => {
      if (!reading) return;
      clearInterval(wait);
      socket.resume();
    }, 5);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      let data = bytes;
      if (!head.includes('\r\n\r\n')) {
        head += bytes.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        data = Buffer.from(head.slice(end + 4), 'latin1');
      }
      upload.update(data);
      uploaded += data.length;
      if (uploaded === size) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  const bound = sink.address();
  const sinkAddress = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  context.after(() => {
    backend.close();
    sink.close();
  });
  const mesh = {
    services: [
      { name: 'app', namespace: 't', port: 80, endpoints: [backend.address] },
      { name: 'sink', namespace: 't', port: 80, endpoints: [sinkAddress] },
    ],
  };
  const proxy = await relay(context, mesh);
  const [host = '', port] = proxy.address.split(':');

  // Down: the client does not read; the backend's send must come to a stop far from its end.
  const down = netConnect({ host, port: Number(port) });
  down.pause();
  down.write(GET);
  let last = -1;
  await until('the backend to be stopped', async () => {
    const buffered = backend.connections[0]?.socket.writableLength ?? 0;
    const same = buffered > 0 && buffered === last;
    last = buffered;
    if (!same) await new Promise((resolve) => setTimeout(resolve, 50));
    return same;
  });
  assert.ok(last > size / 2, `the proxy took in ${size - last} bytes for a client that reads nothing`);
  const hash = createHash('sha256');
  let got = 0;
  let headSeen = false;
  down.on('data', (bytes: Buffer) => {
    let data: Buffer = bytes;
    if (!headSeen) {
      data = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
      headSeen = true;
    }
    hash.update(data);
    got += data.length;
  });
  down.resume();
  await until('the whole body', () => got >= size);
  assert.equal(hash.digest('hex'), digest);
  down.destroy();

  // Up: the upstream does not read.
  upload = createHash('sha256');
  const up = await rawClient(proxy.address);
  up.send(`POST /up HTTP/1.1\r\nHost: sink\r\nContent-Length: ${size}\r\n\r\n`);
  up.socket.write(body);
  last = -1;
  await until('the client to be stopped', async () => {
    const buffered = up.socket.writableLength;
    const same = buffered > 0 && buffered === last;
    last = buffered;
    if (!same) await new Promise((resolve) => setTimeout(resolve, 50));
    return same;
  });
  assert.ok(last > size / 2, `the proxy took in ${size - last} bytes for an upstream that reads nothing`);
  reading = true;
  await up.expect('HTTP/1.1 200 OK');
  assert.equal(uploaded, size);
  assert.equal(upload.digest('hex'), digest);
  up.close();
});

test('an endpoint that refuses connections is passed over: the other answers, and the explanation says so', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const dead = await deadAddress();
  const proxy = await relay(
    context,
    appMesh([dead, backend.address], { 'tulle.dev/balance': 'round-robin' }),
  );
  const client = await rawClient(proxy.address);
  let retried: Record<string, unknown> | undefined;
  for (let round = 0; round < 4; round++) {
    const from = client.text.length;
    client.send(
      `POST /r${round} HTTP/1.1\r\nHost: app\r\nx-request-id: req-${round}\r\nContent-Length: 4\r\n\r\nbody`,
    );
    await client.expect(`you asked for /r${round}`, from);
    const explanation = await explain(proxy.admin, `req-${round}`);
    if ((explanation.attempts as unknown[]).length === 2) retried = explanation;
  }
  const attempts = retried?.attempts as { endpoint: string; result: string }[];
  assert.deepEqual(
    attempts.map(({ endpoint, result }) => [endpoint, result]),
    [
      [dead, 'connect-failed'],
      [backend.address, '200'],
    ],
  );
  assert.equal(backend.received.split('\r\n\r\nbody').length - 1, 4, 'each body arrived whole, once');
  client.close();
});

test('a POST whose connection breaks is never sent twice', async (context) => {
  const backend = await rawBackend(({ socket, text }) => {
    if (text.includes('pay')) socket.destroy();
  });
  context.after(() => backend.close());
  const proxy = await relay(
    context,
    appMesh([backend.address, backend.address], { 'tulle.dev/retries': '3 on connect,reset,503' }),
  );
  const client = await rawClient(proxy.address);
  client.send('POST /payout HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\npay');
  await client.expect('tulle-reason: upstream-reset');
  assert.equal(backend.received.split('POST /payout').length - 1, 1);
  client.close();
});

test('a 503 is retried where the policy says so, elsewhere than before, within the budget of the policy', async (context) => {
  let calls = 0;
  const bad = await rawBackend(({ socket }) => {
    calls++;
    socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad');
  });
  const good = await answering();
  context.after(() => {
    bad.close();
    good.close();
  });
  const proxy = await relay(
    context,
    appMesh([bad.address, good.address], {
      'tulle.dev/retries': '1 on 503',
      'tulle.dev/balance': 'round-robin',
    }),
  );
  const client = await rawClient(proxy.address);
  for (let round = 0; round < 6; round++) {
    const from = client.text.length;
    client.send(GET);
    await client.expect('you asked for /a', from);
  }
  assert.match(client.text, /\r\ntulle-retried: on 503: retry 1 of 1\r\nx-request-id: \S+\r\n/);
  assert.ok(calls >= 2, `the bad one was asked ${calls} times`);
  assert.equal(bad.connections.length, 1, 'its connection was kept: the 503 was read to its end');
  client.close();
});

test('a kept connection that the server closed meanwhile does not fail a GET', async (context) => {
  let first = true;
  const backend = await rawBackend(({ socket, text }) => {
    // The second request on a connection meets a server that has just given up on it.
    if (text.split('GET ').length > 2) socket.destroy();
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    first = false;
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  for (let round = 0; round < 5; round++) {
    const from = client.text.length;
    client.send(GET);
    await client.expect('\r\n\r\nok', from);
  }
  assert.equal(first, false);
  client.close();
});

test('timeouts answer 504 with their name and numbers, and end the work at the upstream', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address], { 'tulle.dev/timeout': '100ms' }));
  const client = await rawClient(proxy.address);
  client.send(GET);
  await client.expect('"requestId"');
  assert.match(
    client.text,
    /^HTTP\/1\.1 504 .*tulle-reason: request-timeout.*t\/app did not finish within timeout 100 ms/s,
  );
  await until('the end of the upstream connection', () => backend.connections[0]?.closed === true);
  client.close();
});

test('a response cut short by its upstream is cut short for the client too, never ended as if whole', async (context) => {
  const backend = await rawBackend(({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
    void turn().then(() => socket.destroy());
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => client.socket.once('error', resolve));
  client.send(GET);
  assert.equal((await failed).code, 'ECONNRESET');
});

test('what cannot be served says why: unknown service, no endpoint, no route', async (context) => {
  const mesh = {
    services: [
      { name: 'empty', namespace: 't', port: 80 },
      { name: 'routed', namespace: 't', port: 80, endpoints: ['127.0.0.1:1'] },
    ],
    routes: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        metadata: { name: 'r', namespace: 't' },
        spec: {
          parentRefs: [{ kind: 'Service', name: 'routed' }],
          rules: [{ matches: [{ path: { value: '/only' } }], backendRefs: [{ name: 'routed' }] }],
        },
      },
    ],
  };
  const proxy = await relay(context, mesh);
  for (const [host, status, reason] of [
    ['nobody', 404, 'no-service'],
    ['example.com', 404, 'no-service'],
    ['empty', 503, 'no-endpoint'],
    ['routed', 404, 'no-route'],
  ] as const) {
    const client = await rawClient(proxy.address);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const text = await client.untilEnd();
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `), host);
    assert.match(text, new RegExp(`\r\ntulle-reason: ${reason}\r\n`), host);
    client.close();
  }
});

test('routes send by header and weight, change headers, rewrite and redirect', async (context) => {
  const [one, two] = await twoAnswering(context);
  const services = [one, two].map((backend, index) => ({
    name: `app${index}`,
    namespace: 't',
    port: 80,
    endpoints: [backend.address],
  }));
  const rules = [
    {
      matches: [{ headers: [{ name: 'x-next', value: 'yes' }] }],
      backendRefs: [{ name: 'app1' }],
      filters: [
        {
          type: 'RequestHeaderModifier',
          requestHeaderModifier: { set: [{ name: 'x-seen', value: 'by-mesh' }], remove: ['cookie'] },
        },
      ],
    },
    {
      matches: [{ path: { value: '/old' } }],
      backendRefs: [{ name: 'app0' }],
      filters: [
        {
          type: 'URLRewrite',
          urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' } },
        },
        {
          type: 'ResponseHeaderModifier',
          responseHeaderModifier: { add: [{ name: 'x-added', value: '1' }] },
        },
      ],
    },
    {
      matches: [{ path: { value: '/moved' } }],
      filters: [{ type: 'RequestRedirect', requestRedirect: { hostname: 'new.test', statusCode: 301 } }],
    },
    { backendRefs: [{ name: 'app0' }] },
  ];
  const routes = [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'r', namespace: 't' },
      spec: { parentRefs: [{ kind: 'Service', name: 'app0' }], rules },
    },
  ];
  const proxy = await relay(context, { services, routes });
  const ask = async (head: string): Promise<string> => {
    const client = await rawClient(proxy.address);
    client.send(`${head}Host: app0\r\nConnection: close\r\n\r\n`);
    const text = await client.untilEnd();
    client.close();
    return text;
  };
  assert.match(
    await ask('GET /x HTTP/1.1\r\nX-Next: yes\r\nCookie: a\r\nX-Seen: forged\r\n'),
    /asked for \/x$/,
  );
  assert.match(two.received, /x-seen: by-mesh/);
  assert.ok(!/forged|cookie/i.test(two.received));
  assert.match(await ask('GET /old/a?b=1 HTTP/1.1\r\n'), /x-added: 1\r\n.*asked for \/new\/a\?b=1$/s);
  assert.match(
    await ask('GET /moved/a HTTP/1.1\r\n'),
    /^HTTP\/1\.1 301 .*location: http:\/\/new\.test\/moved\/a\r\n/s,
  );
  assert.match(await ask('GET /y HTTP/1.1\r\n'), /asked for \/y$/);
});

test('an edited mesh.yaml is followed; a broken edit keeps the last good one and says so', async (context) => {
  const [one, two] = await twoAnswering(context);
  const proxy = await relay(context, appMesh([one.address]));
  const client = await rawClient(proxy.address);
  const ask = async (): Promise<void> => {
    const from = client.text.length;
    client.send(GET);
    await client.expect('you asked for /a', from);
  };
  await ask();
  assert.equal(one.connections.length, 1);
  writeMesh(proxy.meshFile, 'services: [{ name: app, namespace: t, port: never }]');
  await until('the complaint', async () =>
    (await (await fetch(`http://${proxy.admin}/readyz`)).text()).includes('is not a port number'),
  );
  await ask();
  writeMesh(proxy.meshFile, appMesh([two.address]));
  await until('the other backend', async () => {
    await ask();
    return two.connections.length > 0;
  });
  assert.equal((await fetch(`http://${proxy.admin}/readyz`)).status, 200);
  client.close();
});

test('draining: what is in flight finishes with Connection: close, and no new connection is taken', async (context) => {
  let answer: (() => void) | undefined;
  const backend = await rawBackend(({ socket }) => {
    answer = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone');
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const [busy, idle] = [await rawClient(proxy.address), await rawClient(proxy.address)];
  busy.send(GET);
  await until('the request at the backend', () => answer !== undefined);
  const drained = proxy.drain();
  await idle.untilEnd();
  const readiness = await fetch(`http://${proxy.admin}/readyz`);
  assert.equal(readiness.status, 503);
  assert.match(await readiness.text(), /draining/);
  await assert.rejects(
    new Promise((resolve, reject) => {
      const [host = '', port] = proxy.address.split(':');
      netConnect({ host, port: Number(port) })
        .once('connect', resolve)
        .once('error', reject);
    }),
  );
  answer?.();
  assert.match(await busy.untilEnd(), /connection: close\r\n\r\ndone$/);
  await drained;
  busy.close();
  idle.close();
});

test('at the limit of connections, one that idles at another endpoint makes room for a request that waits', async (context) => {
  const [one, two] = await twoAnswering(context);
  const proxy = await relay(
    context,
    appMesh([one.address, two.address], {
      'tulle.dev/limits': 'connections 1',
      'tulle.dev/balance': 'round-robin',
    }),
  );
  const client = await rawClient(proxy.address);
  for (let round = 0; round < 6; round++) {
    const from = client.text.length;
    client.send(GET);
    await client.expect('you asked for /a', from);
  }
  client.close();
  assert.ok(one.connections.length > 0 && two.connections.length > 0, 'both endpoints served');
  const open = [...one.connections, ...two.connections].filter(({ ended }) => !ended);
  await until('one connection at most', () => open.filter(({ closed }) => !closed).length <= 1);
});

test('a client that ends its direction is told on to the server, which may stop its work or answer all the same', async (context) => {
  const backend = await rawBackend(({ socket, text }) => {
    if (text.includes('/answers'))
      setImmediate(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate'));
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const [leaves, waits] = [await rawClient(proxy.address), await rawClient(proxy.address)];
  leaves.send('GET /never HTTP/1.1\r\nHost: app\r\n\r\n');
  await until('the request at the server', () => backend.received.includes('/never'));
  leaves.socket.end();
  await until('its end at the server', () => backend.connections.some(({ ended }) => ended));
  waits.send('GET /answers HTTP/1.1\r\nHost: app\r\n\r\n');
  waits.socket.end();
  assert.match(await waits.untilEnd(), /^HTTP\/1\.1 200 OK\r\n(.*\r\n)*\r\nlate$/);
  leaves.close();
  waits.close();
});
