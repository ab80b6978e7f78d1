import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answering } from './fixture/backend.ts';
import { rawClient } from './fixture/client.ts';
import { appMesh, relay } from './fixture/relay.ts';
import { until } from './fixture/wait.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: app\r\n\r\n';
const HEAD = 'POST /front HTTP/1.1\r\nHost: app\r\n';

/** What is sent, and the status that must come; the backend must see none of it. */
const REFUSED: readonly (readonly [attack: string, bytes: string, status: number])[] = [
  [
    'CL.TE',
    `${HEAD}Content-Length: ${SMUGGLED.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400,
  ],
  [
    'TE.CL',
    `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2c\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    400,
  ],
  [
    'TE.TE by case and repetition',
    `${HEAD}Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400,
  ],
  [
    'TE hidden behind a tab',
    `${HEAD}Transfer-Encoding:\tx, chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    501,
  ],
  ['TE with a vertical tab', `${HEAD}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, 400],
  [
    'TE.0 in HTTP/1.0',
    `POST /front HTTP/1.0\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400,
  ],
  ['obs-fold of Transfer-Encoding', `${HEAD}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, 400],
  ['a bare LF as line end', `${HEAD}X: y\nContent-Length: 0\r\n\r\n${SMUGGLED}`, 400],
  ['a bare LF as the end of the head', `${HEAD}Content-Length: 0\n\n${SMUGGLED}`, 400],
  ['a bare CR within a header', `${HEAD}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, 400],
  ['NUL in a header', `${HEAD}X: \0\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`, 400],
  ['a space before the colon of Content-Length', `${HEAD}Content-Length : 5\r\n\r\n${SMUGGLED}`, 400],
  ['a huge Content-Length', `${HEAD}Content-Length: 18446744073709551620\r\n\r\n${SMUGGLED}`, 400],
  ['a signed Content-Length', `${HEAD}Content-Length: +0\r\n\r\n${SMUGGLED}`, 400],
  ['two Content-Lengths', `${HEAD}Content-Length: 0\r\nContent-Length: 38\r\n\r\n${SMUGGLED}`, 400],
  ['two Hosts', `GET /front HTTP/1.1\r\nHost: app\r\nHost: admin\r\n\r\n${SMUGGLED}`, 400],
  [
    'an absolute target that is not Host',
    `GET http://admin/front HTTP/1.1\r\nHost: app\r\n\r\n${SMUGGLED}`,
    400,
  ],
  [
    'Connection that takes Content-Length away',
    `${HEAD}Connection: content-length\r\nContent-Length: 38\r\n\r\n${SMUGGLED}`,
    400,
  ],
  ['a line break in the target', `GET /front%0d\r\n /x HTTP/1.1\r\nHost: app\r\n\r\n${SMUGGLED}`, 400],
  ['CONNECT to reach behind the proxy', `CONNECT app:80 HTTP/1.1\r\nHost: app:80\r\n\r\n${SMUGGLED}`, 501],
  ['HTTP/2 in an HTTP/1 line', `GET /front HTTP/2.0\r\nHost: app\r\n\r\n${SMUGGLED}`, 505],
  ['a head without end', `GET /front HTTP/1.1\r\nHost: app\r\n${'X: y\r\n'.repeat(200)}\r\n`, 431],
  ['a target without end', `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: app\r\n\r\n`, 414],
];

for (const [attack, bytes, status] of REFUSED) {
  test(`smuggling by ${attack}: ${status}, the connection ends, the backend sees nothing`, async (context) => {
    const backend = await answering();
    context.after(() => backend.close());
    const proxy = await relay(context, appMesh([backend.address]));
    const client = await rawClient(proxy.address);
    client.send(bytes);
    const text = await client.untilEnd();
    client.close();
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(text, /\r\ntulle-reason: [a-z-]+\r\n/);
    assert.equal(text.match(/^HTTP\/1/gm)?.length, 1, `one answer, not more: ${text}`);
    assert.equal(backend.received, '');
  });
}

/** Malformed in the body: the head may be with the backend already, but never a byte of what follows. */
const REFUSED_IN_BODY: readonly (readonly [string, string])[] = [
  ['a bare LF in a chunk header', `1\nZ\r\n0\r\n\r\n${SMUGGLED}`],
  ['a bare LF in a chunk extension (TERM.EXT)', `1;a\nZ\r\n0\r\n\r\n${SMUGGLED}`],
  ['a chunk that is longer than it says', `1\r\nZZ\r\n0\r\n\r\n${SMUGGLED}`],
  ['a hexadecimal prefix', `0x1\r\nZ\r\n0\r\n\r\n${SMUGGLED}`],
  ['a chunk size beyond all measure', `fffffffffffffffff\r\nZ\r\n0\r\n\r\n${SMUGGLED}`],
  ['a Content-Length trailer', `0\r\nContent-Length: 38\r\n\r\n${SMUGGLED}`],
  ['a Transfer-Encoding trailer', `0\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED}`],
];

for (const [attack, body] of REFUSED_IN_BODY) {
  test(`smuggling by ${attack}: 400, and the smuggled request is not seen`, async (context) => {
    const backend = await answering();
    context.after(() => backend.close());
    const proxy = await relay(context, appMesh([backend.address]));
    const client = await rawClient(proxy.address);
    client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${body}`);
    await client.untilEnd();
    client.close();
    assert.ok(!backend.received.includes('/smuggled'), backend.received);
    // Whoever comes next gets an answer to the question it asked.
    const next = await rawClient(proxy.address);
    next.send('GET /next HTTP/1.1\r\nHost: app\r\n\r\n');
    await next.expect('you asked for /next');
    next.close();
  });
}

test('a chunk extension is taken out on the way: the backend sees plain chunks', async (context) => {
  const backend = await answering();
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  client.send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0;z\r\n\r\n`);
  await client.expect('you asked for /front');
  await until('the whole body', () => backend.received.endsWith('0\r\n\r\n'));
  assert.ok(backend.received.endsWith('\r\n\r\n3\r\nabc\r\n0\r\n\r\n'), backend.received);
  client.close();
});

/** Responses that two readers could frame differently. */
const BAD_RESPONSES: readonly (readonly [string, string])[] = [
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  [
    'length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n'],
  ['a body with 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab'],
  ['an upgrade that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
  ['garbage', 'SSH-2.0-OpenSSH\r\n'],
];

for (const [trick, bytes] of BAD_RESPONSES) {
  test(`an upstream that answers with ${trick}: 502, and its connection is never used again`, async (context) => {
    const { rawBackend } = await import('./fixture/backend.ts');
    const backend = await rawBackend(({ socket }) => socket.write(bytes));
    context.after(() => backend.close());
    const proxy = await relay(context, appMesh([backend.address]));
    const client = await rawClient(proxy.address);
    for (let round = 1; round <= 2; round++) {
      const from = client.text.length;
      client.send('GET / HTTP/1.1\r\nHost: app\r\n\r\n');
      await client.expect('tulle-reason: upstream-framing', from);
      assert.match(client.text.slice(from), /^HTTP\/1\.1 502 /);
      assert.equal(backend.connections.length, round);
      await until('the end of the bad connection', () => backend.connections[round - 1]?.closed === true);
    }
    client.close();
  });
}

test('an upstream that sends a second response unasked: nobody ever gets it', async (context) => {
  const { rawBackend } = await import('./fixture/backend.ts');
  const backend = await rawBackend(({ socket }) => {
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
    );
  });
  context.after(() => backend.close());
  const proxy = await relay(context, appMesh([backend.address]));
  const client = await rawClient(proxy.address);
  for (let round = 1; round <= 3; round++) {
    const from = client.text.length;
    client.send('GET / HTTP/1.1\r\nHost: app\r\n\r\n');
    await client.expect('\r\n\r\nok', from);
    await until('the end of the connection', () => backend.connections[round - 1]?.closed === true);
  }
  assert.ok(!client.text.includes('evil'));
  client.close();
});
