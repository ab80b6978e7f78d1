import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import type { ClientAuthorities, GatewayListener, ListenerCertificate } from '../../protocol/gateway.ts';
import { serviceOfPort } from '../../test/fixture/captured-mesh.ts';
import { freePort } from '../../test/fixture/free-port.ts';
import { until } from '../../test/fixture/wait.ts';
import { type LeafOptions, testAuthority } from '../identity/authority.fixture.ts';
import { certificateOf, gateway, passed, tls, to } from './gateway-ports.fixture.ts';

type Proof = Pick<ConnectionOptions, 'cert' | 'key'>;

/** Of the same name: only their keys tell them apart. */
const own = testAuthority('clients.test');
const other = testAuthority('clients.test');

async function proof(by = own, options: LeafOptions = {}): Promise<Proof> {
  const { chainPem, keyPem } = await (await by).issue('out/client', options);
  return { cert: chainPem, key: keyPem };
}

async function trusting(
  mode: ClientAuthorities['mode'] = 'AllowValidOnly',
  by = own,
): Promise<ClientAuthorities> {
  return { certificates: [(await by).bundlePem], mode };
}

/** A gateway with one port of HTTPS that checks its clients. */
async function checking(context: TestContext, clientAuthorities?: ClientAuthorities) {
  const edge = await gateway(context, { drainMs: 200 });
  const port = await freePort();
  const certificate = await certificateOf('shop.test');
  const routes = [to('a')];
  const listener = (
    authorities?: ClientAuthorities,
    more: Partial<GatewayListener> = {},
  ): GatewayListener => ({
    name: 'https',
    port,
    protocol: 'HTTPS',
    tls: {
      mode: 'Terminate',
      certificates: [certificate],
      ...(authorities !== undefined && { clientAuthorities: authorities }),
    },
    ...more,
  });
  const trust = (authorities?: ClientAuthorities) => edge.serve([listener(authorities)], routes);
  await trust(clientAuthorities ?? (await trusting()));
  return { ...edge, port, listener, trust };
}

interface Asking extends ConnectionOptions {
  readonly serverName?: string;
  readonly authority?: string;
  /** Further headers, each with its end. */
  readonly headers?: string;
}

/** Who answers by HTTP/1.1 on a new connection, or undefined when that is refused. */
async function ask(port: number, { serverName = 'shop.test', ...asking }: Asking = {}) {
  const socket = await tls(port, serverName, asking).catch(() => undefined);
  return socket && askOn(socket, asking);
}

function askOn(
  socket: TLSSocket,
  { authority = 'shop.test', headers = '' }: Asking,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      const found = /"name":"(\w+)"|"code":"([\w-]+)"/.exec(text);
      if (found === null) return;
      socket.destroy();
      resolve(found[1] ?? found[2]);
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve(undefined));
    if (socket.closed) resolve(undefined);
    socket.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\n${headers}\r\n`);
  });
}

/** What a client keeps of a connection, to resume it. */
async function sessionsOf(port: number, asking: Asking): Promise<Buffer[]> {
  const sessions: Buffer[] = [];
  const socket = await tls(port, 'shop.test', asking).catch(() => undefined);
  if (socket === undefined) return sessions;
  socket.on('session', (session: Buffer) => sessions.push(session));
  const early = socket.getSession();
  if (early !== undefined) sessions.push(early);
  await askOn(socket, asking);
  return sessions;
}

async function selfSigned(): Promise<Proof> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Root of clients.test',
    notAfter: new Date(Date.now() + 3_600_000),
    keys,
    signingAlgorithm: algorithm,
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
  return { cert: certificate.toString('pem'), key: keyPem };
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  const versions = { minVersion: version, maxVersion: version };

  test(`with ${version}, a client whose certificate an authority signed is let in`, async (context) => {
    const { port } = await checking(context);
    assert.equal(await ask(port, { ...versions, ...(await proof()) }), 'a');
    assert.equal(await ask(port, { ...versions, ...(await proof()), serverName: '' }), 'a');
  });

  for (const [what, by] of [
    ['no certificate', () => ({})],
    ['one of another authority of the same name', () => proof(other)],
    ['one that has ended', () => proof(own, { lifeMs: -1_000 })],
    ['one that it signed itself', selfSigned],
  ] as [string, () => Proof | Promise<Proof>][])
    test(`with ${version}, an attacker with ${what} is refused`, async (context) => {
      const { port } = await checking(context);
      const headers = 'X-Forwarded-Client-Cert: URI=spiffe://clients.test/ns/out/sa/client\r\n';
      for (const serverName of ['shop.test', '', 'other.test'])
        assert.equal(await ask(port, { ...versions, ...(await by()), serverName, headers }), undefined);
      assert.equal(await ask(port, { ...versions, ...(await proof()) }), 'a');
    });

  test(`with ${version}, an attacker who was refused, or let in before, resumes no session`, async (context) => {
    const edge = await checking(context);
    for (const first of [{}, await proof(other), await proof()]) {
      const sessions = await sessionsOf(edge.port, { ...versions, ...first });
      for (const session of sessions)
        assert.equal(await ask(edge.port, { ...versions, session }), undefined, 'nothing but the session');
    }
    await edge.trust(); // of nobody: sessions are to be had
    const sessions = await sessionsOf(edge.port, versions);
    assert.ok(sessions.length > 0);
    await edge.trust(await trusting());
    for (const session of sessions) assert.equal(await ask(edge.port, { ...versions, session }), undefined);
  });

  test(`with ${version}, an attacker whose authority is trusted no more has no use of sessions`, async (context) => {
    const edge = await checking(context, await trusting('AllowValidOnly', other));
    const before = { ...versions, ...(await proof(other)) };
    const sessions = await sessionsOf(edge.port, before);
    assert.equal(await ask(edge.port, before), 'a');
    await edge.trust(await trusting());
    for (const session of [undefined, ...sessions])
      assert.equal(await ask(edge.port, { ...before, ...(session && { session }) }), undefined);
    assert.equal(await ask(edge.port, { ...versions, ...(await proof()) }), 'a');
  });

  test(`with ${version}, AllowInsecureFallback lets in clients without a good certificate too`, async (context) => {
    const { port } = await checking(context, await trusting('AllowInsecureFallback'));
    for (const one of [{}, await proof(), await proof(other), await proof(own, { lifeMs: -1_000 })])
      assert.equal(await ask(port, { ...versions, ...one }), 'a');
  });
}

test('a connection that was let in by an authority drains once that is trusted no more', async (context) => {
  const edge = await checking(context, await trusting('AllowValidOnly', other));
  const open = await tls(edge.port, 'shop.test', await proof(other));
  open.on('error', () => {});
  open.resume();
  await edge.trust(await trusting());
  await until('the connection to be closed', () => open.closed);
});

test('an authority that cannot be read lets nobody in, says so, and leaves the others in force', async (context) => {
  const edge = await checking(context);
  const good = await trusting();
  const wide = edge.listener(undefined, { name: 'wide' });
  for (const mode of ['AllowValidOnly', 'AllowInsecureFallback'] as const)
    for (const certificates of [
      [],
      [''],
      ['no certificate'],
      [...good.certificates, 'garbage'],
      ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ]) {
      const broken = edge.listener({ mode, certificates }, { hostname: 'shop.test' });
      await edge.serve([broken, wide], [to('a')]);
      for (const one of [{}, await proof()]) assert.equal(await ask(edge.port, one), undefined);
      assert.equal(await ask(edge.port, { serverName: 'other.test', authority: 'other.test' }), 'a');
      const { status, text } = await edge.readyz();
      assert.equal(status, 200);
      assert.match(text, /listener https refuses its clients: .*authority/);
    }
  await edge.trust(good);
  assert.equal(await ask(edge.port, await proof()), 'a');
});

test('listeners of one port check their clients each by its own', async (context) => {
  const edge = await checking(context);
  const named = async (name: string, authorities?: ClientAuthorities) =>
    edge.listener(authorities, { name, hostname: `${name}.test` });
  await edge.serve(
    [
      await named('own', await trusting()),
      await named('other', await trusting('AllowValidOnly', other)),
      await named('open'),
    ],
    [to('b')],
  );
  for (const [host, by, expected] of [
    ['own.test', await proof(), 'b'],
    ['own.test', await proof(other), undefined],
    ['other.test', await proof(other), 'b'],
    ['other.test', await proof(), undefined],
    ['own.test', {}, undefined],
    ['open.test', {}, 'b'],
  ] as const)
    assert.equal(await ask(edge.port, { ...by, serverName: host, authority: host }), expected, host);
});

test('an attacker at a listener that asks for nothing does not get to one that does', async (context) => {
  const edge = await checking(context);
  await edge.serve(
    [
      edge.listener(undefined, { name: 'open', hostname: 'open.test' }),
      edge.listener(await trusting(), { name: 'closed', hostname: 'shop.test' }),
      edge.listener(undefined, { name: 'wide' }),
    ],
    [to('a')],
  );
  const open = { serverName: 'open.test', authority: 'open.test' };
  assert.equal(await ask(edge.port, open), 'a');
  assert.equal(await ask(edge.port, { ...open, authority: 'shop.test' }), 'misdirected');
  // Whom a hello in two pieces is for is not known before it is put together.
  for (const cut of [20, 80, 120, 160, 200]) {
    const inPieces = await splittingHello(context, edge.port, cut);
    assert.equal(await ask(inPieces, open), 'a', `cut at ${cut}`);
    assert.equal(await ask(inPieces), undefined, `cut at ${cut}`);
  }
});

test('a certificate that cannot be used leaves the last in force, with the authorities of now', async (context) => {
  const edge = await checking(context, await trusting('AllowValidOnly', other));
  const broken: ListenerCertificate[] = [{ certificate: 'none', key: 'none' }];
  const authorities = await trusting();
  await edge.serve(
    [
      edge.listener(undefined, {
        tls: { mode: 'Terminate', certificates: broken, clientAuthorities: authorities },
      }),
    ],
    [to('a')],
  );
  assert.equal(await ask(edge.port, await proof(other)), undefined);
  assert.equal(await ask(edge.port, await proof()), 'a');
});

test('HTTP/2 asks too, and a header that claims a certificate does not get to the service', async (context) => {
  const { port } = await checking(context, await trusting('AllowInsecureFallback'));
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    servername: 'shop.test',
    rejectUnauthorized: false,
  });
  context.after(() => session.destroy());
  const stream = session.request({
    ':path': '/',
    ':authority': 'shop.test',
    'x-forwarded-client-cert': 'URI=spiffe://clients.test/ns/out/sa/client',
  });
  let text = '';
  for await (const part of stream as AsyncIterable<Buffer>) text += part.toString();
  assert.deepEqual(JSON.parse(text), { name: 'a', host: 'shop.test', proto: 'https' });
});

test('a listener of TLS checks its clients before a byte of theirs goes on', async (context) => {
  const edge = await checking(context);
  const port = await freePort();
  let heard = 0;
  const server = createTcpServer((socket) => {
    heard++;
    socket.on('error', () => {});
    socket.end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const { port: behind } = server.address() as AddressInfo;
  edge.mesh.tell(serviceOfPort('t/plain:443', [`127.0.0.1:${behind}`], { protocol: 'tcp' }));
  const told = edge.listener(await trusting(), { name: 'tls', port, protocol: 'TLS' });
  await edge.serve([told], [passed('plain', ['plain.test'])]);
  const read = async (more: Proof) => {
    const socket = await tls(port, 'plain.test', more).catch(() => undefined);
    let text = '';
    socket
      ?.on('error', () => {})
      .on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
    if (socket !== undefined && !socket.closed) await new Promise((resolve) => socket.once('close', resolve));
    return text;
  };
  for (const one of [{}, await proof(other)]) assert.equal(await read(one), '');
  assert.equal(heard, 0);
  assert.equal(await read(await proof()), 'hello');
});

test('the admin port shows who vouches for clients', async (context) => {
  const { admin } = await checking(context);
  const config = await (await fetch(`http://${admin}/config`)).text();
  assert.match(config, /"clientAuthorities":\s*\{\s*"mode":\s*"AllowValidOnly"/);
});

/** A port that leads to another, with the first record of TLS made two: the first has `cut` bytes. */
async function splittingHello(context: TestContext, port: number, cut: number): Promise<number> {
  const server = createTcpServer((client) => {
    const onward = connectTcp({ port, host: '127.0.0.1' });
    for (const [one, two] of [
      [client, onward],
      [onward, client],
    ] as const) {
      one.on('error', () => {});
      one.once('close', () => two.destroy());
    }
    onward.pipe(client);
    client.once('data', (bytes: Buffer) => {
      const end = 5 + bytes.readUInt16BE(3);
      const half = 5 + cut;
      for (const part of [bytes.subarray(5, half), bytes.subarray(half, end)]) {
        const head = Buffer.from(bytes.subarray(0, 5));
        head.writeUInt16BE(part.length, 3);
        onward.write(Buffer.concat([head, part]));
      }
      onward.write(bytes.subarray(end));
      client.pipe(onward);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
