import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { GatewayListener, ListenerCertificate } from '../../protocol/gateway.ts';
import { serviceOfPort } from '../../test/fixture/captured-mesh.ts';
import { rawClient } from '../../test/fixture/client.ts';
import { freePort } from '../../test/fixture/free-port.ts';
import { until } from '../../test/fixture/wait.ts';
import {
  at,
  authority,
  certificateOf,
  gateway,
  get,
  getSecure,
  passed,
  tls,
  to,
} from './gateway-ports.fixture.ts';
import { Overload } from './overload.ts';

test('HTTPS ends here: HTTP/1.1 and HTTP/2, TLS 1.2 and 1.3, and services are told that it was https', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const certificate = await certificateOf('shop.test');
  await edge.serve(
    [{ name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates: [certificate] } }],
    [to('a')],
  );
  assert.equal(await getSecure(port, 'shop.test'), '200 a');
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await tls(port, 'shop.test', {
      minVersion: version,
      maxVersion: version,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    assert.deepEqual([socket.getProtocol(), socket.alpnProtocol], [version, 'h2']);
    socket.destroy();
  }
  await assert.rejects(tls(port, 'shop.test', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }));
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    servername: 'shop.test',
    rejectUnauthorized: false,
  });
  context.after(() => session.destroy());
  const stream = session.request({ ':path': '/', ':authority': 'shop.test' });
  let text = '';
  for await (const part of stream as AsyncIterable<Buffer>) text += part.toString();
  assert.deepEqual(JSON.parse(text), { name: 'a', host: 'shop.test', proto: 'https' });
});

test('certificates are chosen by server name: of the listener first, then by its names, else the first', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const listener = async (
    name: string,
    hostname: string | undefined,
    ...certificates: string[]
  ): Promise<GatewayListener> => ({
    name,
    port,
    protocol: 'HTTPS',
    ...(hostname !== undefined && { hostname }),
    tls: {
      mode: 'Terminate',
      certificates: await Promise.all(certificates.map((one) => certificateOf(one))),
    },
  });
  await edge.serve(
    [
      await listener('all', undefined, 'first.test', '*.second.test'),
      await listener('exact', 'shop.test', 'own.shop.test'),
      await listener('wide', '*.shop.test', '*.shop.test'),
    ],
    [to('a')],
  );
  for (const [asked, shownNames] of [
    ['first.test', 'first.test'],
    ['x.second.test', '*.second.test'],
    ['other.test', 'first.test'],
    ['', 'first.test'],
    ['shop.test', 'own.shop.test'],
    ['SHOP.test', 'own.shop.test'],
    ['x.shop.test', '*.shop.test'],
  ] as const) {
    const socket = await tls(port, asked);
    assert.equal(socket.getPeerX509Certificate()?.subjectAltName, `DNS:${shownNames}`, asked);
    socket.destroy();
  }
});

test('a request by HTTPS whose host is of another listener than its connection is told 421', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const certificates = [await certificateOf('*.test')];
  const routes = [to('a', '/', { hostnames: ['example.org'] }), to('b'), to('c')];
  const [a, b, c] = routes.map(at) as [string, string, string];
  const listener = { port, protocol: 'HTTPS' as const, tls: { mode: 'Terminate' as const, certificates } };
  await edge.serve(
    [
      { ...listener, name: 'all', routes: [a] },
      { ...listener, name: 'second', hostname: 'second-example.org', routes: [b] },
      { ...listener, name: 'wide', hostname: '*.wildcard.org', routes: [c] },
      { ...listener, name: 'fourth', hostname: 'fourth.wildcard.org', routes: [b] },
    ],
    routes,
  );
  // The cases of HTTPRouteHTTPSListenerDetectMisdirectedRequests.
  for (const [serverName, host, answer] of [
    ['example.org', 'example.org', '200 a'],
    ['example.org', 'second-example.org', '421 misdirected'],
    ['example.org', 'unknown-example.org', '404 no-route'],
    ['second-example.org', 'second-example.org', '200 b'],
    ['second-example.org', 'example.org', '421 misdirected'],
    ['second-example.org', 'unknown-example.org', '421 misdirected'],
    ['third.wildcard.org', 'third.wildcard.org', '200 c'],
    ['third.wildcard.org', 'fifth.wildcard.org', '200 c'],
    ['third.wildcard.org', 'fourth.wildcard.org', '421 misdirected'],
    ['third.wildcard.org', 'second-example.org', '421 misdirected'],
    ['fourth.wildcard.org', 'fourth.wildcard.org', '200 b'],
    ['fourth.wildcard.org', 'fifth.wildcard.org', '421 misdirected'],
    ['unknown-example.org', 'example.org', '200 a'],
    ['unknown-example.org', 'unknown-example.org', '404 no-route'],
    ['', 'example.org', '200 a'],
  ] as const)
    assert.equal(await getSecure(port, serverName, host), answer, `${serverName} ${host}`);
});

test('a certificate is replaced without dropping connections, and one that cannot be used leaves the last in force', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const routes = [to('a')];
  const serve = (...certificates: ListenerCertificate[]) =>
    edge.serve(
      [{ name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } }],
      routes,
    );
  const serial = async (): Promise<string | undefined> => {
    const socket = await tls(port, 'shop.test');
    const found = socket.getPeerX509Certificate()?.serialNumber;
    socket.destroy();
    return found;
  };
  const [first, second] = [await certificateOf('shop.test'), await certificateOf('shop.test')];
  await serve(first);
  const before = await serial();
  const open = await tls(port, 'shop.test');
  let text = '';
  open.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  const ask = async (): Promise<void> => {
    const from = text.length;
    open.write('GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n');
    await until('an answer', () => text.slice(from).includes('"name":"a"'));
  };
  await ask();
  await serve(second);
  const after = await serial();
  assert.notEqual(after, before);
  await ask();
  await serve({ certificate: first.certificate, key: second.key });
  assert.equal(await serial(), after);
  await ask();
  const { status, text: said } = await edge.readyz();
  assert.equal(status, 200);
  assert.match(
    said,
    /certificate 1 of 1 of listener https cannot be used: the key is not that of the certificate/,
  );
  assert.doesNotMatch(said, /PRIVATE/);
  open.destroy();
});

test('a certificate that cannot be used breaks its listener alone', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const good = await certificateOf('good.test');
  const listener = (name: string, ...certificates: ListenerCertificate[]): GatewayListener => ({
    name,
    port,
    protocol: 'HTTPS',
    hostname: `${name}.test`,
    tls: { mode: 'Terminate', certificates },
  });
  const all: GatewayListener = { ...listener('all', good) };
  await edge.serve(
    [
      listener('good', good),
      listener('bad', { certificate: 'no certificate', key: good.key }),
      listener('half', { certificate: good.certificate, key: 'no key' }, good),
      { name: all.name, port, protocol: 'HTTPS', ...(all.tls && { tls: all.tls }) },
    ],
    [to('a')],
  );
  assert.equal(await getSecure(port, 'good.test'), '200 a');
  assert.equal(await getSecure(port, 'half.test'), '200 a');
  assert.equal(await getSecure(port, 'other.test'), '200 a');
  await assert.rejects(getSecure(port, 'bad.test'));
  const { status, text } = await edge.readyz();
  assert.equal(status, 200);
  assert.match(text, /listener bad cannot be used: the certificate is not PEM/);
  assert.match(text, /listener half cannot be used: the key is not PEM/);
});

test('a certificate that has ended is said', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const { chainPem, keyPem } = await (await authority).issue('t/edge', {
    names: [{ type: 'dns', value: 'shop.test' }],
    lifeMs: -1_000,
  });
  const certificates = [{ certificate: chainPem, key: keyPem }];
  await edge.serve(
    [{ name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } }],
    [],
  );
  const { status, text } = await edge.readyz();
  assert.equal(status, 200);
  assert.match(text, /a certificate of listener https ended at 2/);
});

test('an attacker who reads the admin port or the log gets nothing of the private keys', async (context) => {
  const lines: string[] = [];
  const write = (details: object, message: string): void => {
    lines.push(`${JSON.stringify(details)} ${message}`);
  };
  const port = await freePort();
  const good = await certificateOf('shop.test');
  const bad = { certificate: good.certificate, key: (await certificateOf('x.test')).key };
  const edge = await gateway(
    context,
    { accessLog: true },
    { debug: write, info: write, warn: write, error: write },
  );
  await edge.serve(
    [
      { name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates: [good, bad] } },
      {
        name: 'tls',
        port,
        protocol: 'TLS',
        hostname: 'db.test',
        tls: { mode: 'Terminate', certificates: [bad] },
      },
    ],
    [to('a')],
  );
  await getSecure(port, 'shop.test');
  await getSecure(port, 'shop.test', 'db.test');
  for (const path of ['config', 'certs', 'explain', 'readyz', 'metrics'])
    lines.push(await (await fetch(`http://${edge.admin}/${path}`)).text());
  const said = lines.join('\n');
  assert.match(said, /shop\.test/);
  assert.match(said, /the key is not that of the certificate/);
  for (const { key } of [good, bad]) {
    for (const line of key.split('\n').filter((one) => one.length > 10 && !one.startsWith('-')))
      assert.ok(!said.includes(line), 'a part of a key');
  }
  assert.doesNotMatch(said, /PRIVATE KEY/);
});

test('TLS listeners pass through or end TLS by server name, on one port', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const inner = await certificateOf('pass.test');
  const passing = createTlsServer({ cert: inner.certificate, key: inner.key }, (socket) => {
    socket.on('error', () => {});
    socket.end('passed through');
  });
  const plain = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => socket.write(`plain ${bytes.toString()}`));
    socket.on('end', () => socket.end());
  });
  for (const server of [passing, plain]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
  }
  const portOf = (server: typeof plain): number => (server.address() as AddressInfo).port;
  edge.mesh.tell(
    serviceOfPort('t/pass:443', [`127.0.0.1:${portOf(passing)}`], { protocol: 'tcp' }),
    serviceOfPort('t/plain:443', [`127.0.0.1:${portOf(plain)}`], { protocol: 'tcp' }),
  );
  const outer = await certificateOf('plain.test');
  await edge.serve(
    [
      {
        name: 'pass',
        port,
        protocol: 'TLS',
        hostname: 'pass.test',
        tls: { mode: 'Passthrough', certificates: [] },
      },
      {
        name: 'end',
        port,
        protocol: 'TLS',
        hostname: '*.test',
        tls: { mode: 'Terminate', certificates: [outer] },
      },
    ],
    [passed('pass', ['*.test']), passed('plain', ['plain.test'])].map((route, index) => ({
      ...route,
      parents: [{ kind: 'Gateway' as const, key: 't/edge', sectionName: index === 0 ? 'pass' : 'end' }],
    })),
  );
  const one = await tls(port, 'pass.test');
  assert.equal(one.getPeerX509Certificate()?.subjectAltName, 'DNS:pass.test');
  let text = '';
  for await (const part of one as AsyncIterable<Buffer>) text += part.toString();
  assert.equal(text, 'passed through');
  const two = await tls(port, 'plain.test');
  assert.equal(two.getPeerX509Certificate()?.subjectAltName, 'DNS:plain.test');
  let answer = '';
  two.on('data', (bytes: Buffer) => {
    answer += bytes.toString();
  });
  two.write('hello');
  await until('the answer of the plain service', () => answer === 'plain hello');
  two.end();
  // No route of the listener names it; no listener is for it.
  for (const name of ['other.test', 'elsewhere.example', ''])
    await assert.rejects(tls(port, name), { code: 'ECONNRESET' }, name);
  // What cannot be ended is not passed on as it is either.
  const broken = { certificate: 'none', key: 'none' };
  await edge.serve(
    [{ name: 'other', port, protocol: 'TLS', tls: { mode: 'Terminate', certificates: [broken] } }],
    [passed('plain', [])],
  );
  await assert.rejects(tls(port, 'plain.test'), { code: 'ECONNRESET' });
});

test('one who speaks plain HTTP to an HTTPS port is told so; garbage gets no further', async (context) => {
  const edge = await gateway(context);
  const [https, only] = [await freePort(), await freePort()];
  const certificates = [await certificateOf('shop.test')];
  await edge.serve(
    [
      { name: 'https', port: https, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } },
      { name: 'tls', port: only, protocol: 'TLS', tls: { mode: 'Terminate', certificates } },
    ],
    [to('a')],
  );
  assert.equal(await get(https, 'shop.test'), '400 tls-required');
  for (const port of [https, only]) {
    for (const garbage of [
      '\x00\x01\x02\x03garbage\r\n\r\n',
      '\x16\x03\x01\x00\x05hello',
      `\x16\x03\x01\x00\x2a\x01\x00\x00\x26${'x'.repeat(38)}`,
      'x'.repeat(100_000),
    ]) {
      const client = await rawClient(`127.0.0.1:${port}`);
      client.send(garbage);
      client.socket.end();
      await client.untilEnd();
      assert.ok(!client.text.includes('200 OK'));
      client.close();
    }
  }
  assert.equal(await getSecure(https, 'shop.test'), '200 a');
});

test('an attacker who never finishes a handshake does not keep its connection', async (context) => {
  const edge = await gateway(context, { limits: { headMs: 200 } });
  const port = await freePort();
  const certificates = [await certificateOf('shop.test')];
  await edge.serve(
    [{ name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } }],
    [to('a')],
  );
  const hello = await clientHello('shop.test');
  for (const sent of [hello, hello.subarray(0, 20), Buffer.from([0x16]), Buffer.alloc(0)]) {
    const client = await rawClient(`127.0.0.1:${port}`);
    client.socket.write(sent);
    await client.untilEnd();
    client.close();
  }
  await until('nothing to be left', () => edge.sidecar.view.gauges().connections === 0);
});

test('an attacker who has TLS 1.2 negotiated again, to make work or to change the server name, is cut off', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const certificates = [await certificateOf('shop.test')];
  for (const hostname of ['shop.test', undefined]) {
    const named = hostname === undefined ? {} : { hostname };
    await edge.serve(
      [{ ...named, name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } }],
      [to('a')],
    );
    const socket = await tls(port, 'shop.test', { maxVersion: 'TLSv1.2' });
    const outcome = await new Promise((resolve) => {
      socket.on('error', ({ message }) => resolve(message));
      socket.renegotiate({ rejectUnauthorized: false }, (error) => {
        if (error === null || error === undefined) resolve('it was negotiated again');
      });
    });
    assert.match(String(outcome), /no.renegotiation|ECONNRESET/i);
    socket.destroy();
    assert.equal(await getSecure(port, 'shop.test'), '200 a');
  }
});

test('an attacker who floods a gateway with handshakes has none begun that waited too long, and that is told', async (context) => {
  const edge = await gateway(context);
  const port = await freePort();
  const certificates = [await certificateOf('shop.test')];
  await edge.serve(
    [{ name: 'https', port, protocol: 'HTTPS', tls: { mode: 'Terminate', certificates } }],
    [to('a')],
  );
  const flooded = context.mock.method(Overload.prototype, 'excess', () => 300);
  await assert.rejects(tls(port, 'shop.test'));
  flooded.mock.restore();
  const [refused] = edge.sidecar.view.recent(1);
  assert.deepEqual([refused?.reason, refused?.host], ['overloaded', 'shop.test']);
  assert.equal(await getSecure(port, 'shop.test'), '200 a');
  await until('nothing to be left', () => edge.sidecar.view.gauges().connections === 0);
});

/** The first bytes of a TLS client. */
function clientHello(servername: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes: Buffer) => {
        socket.destroy();
        server.close();
        resolve(bytes);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      connectTls({ port, host: '127.0.0.1', servername }).on('error', () => {});
    });
  });
}
