import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { type Authority, createAuthority, openAuthority } from '../authority/authority.ts';
import { AuthorityError } from '../authority/authority-error.ts';
import type { StoredRoot } from '../authority/authority-store.ts';
import { createRoot } from '../authority/certificates.ts';
import { mintJoinToken } from '../authority/join-token.ts';
import { readTrust, type Trust } from '../authority/trust.ts';
import { MemoryRegistry } from '../registry/memory-registry.fixture.ts';
import {
  type Answer,
  type Credentials,
  credentials,
  type RawSidecar,
  rawSidecar,
} from './raw-sidecar.fixture.ts';
import { type ControlServer, type ControlServerOptions, openControlServer } from './server.ts';

const LONG_MS = 3_600_000;

interface Running {
  readonly server: ControlServer;
  readonly authority: Authority;
  readonly registry: MemoryRegistry;
  readonly stateDir: string;
  /** All that was logged, as JSON. */
  readonly logged: string[];
  sidecar(proof?: Credentials): RawSidecar;
}

async function running(
  context: TestContext,
  options: ControlServerOptions = { strangerMs: LONG_MS },
): Promise<Running> {
  const stateDir = join(temporaryDir(context), 'state');
  const authority = await openAuthority(stateDir, { trustDomain: 'mesh.local' });
  const registry = new MemoryRegistry({ services: [{ name: 'app', namespace: 't', port: 80 }] });
  const logged: string[] = [];
  const write = (details: object, message: string) =>
    void logged.push(JSON.stringify({ ...details, message }));
  const log = { debug: write, info: write, warn: write, error: write };
  const server = await openControlServer({ host: '127.0.0.1', port: 0 }, authority, registry, log, options);
  const sidecars: RawSidecar[] = [];
  context.after(async () => {
    for (const { session } of sidecars) session.destroy();
    await server.close();
    authority.close();
  });
  return {
    server,
    authority,
    registry,
    stateDir,
    logged,
    sidecar(proof) {
      const sidecar = rawSidecar(`https://${server.address}`, { ca: authority.bundlePem, ...proof });
      sidecars.push(sidecar);
      return sidecar;
    },
  };
}

async function answered(answer: Answer): Promise<{ status: number; body: Record<string, unknown> }> {
  await until('an answer', () => answer.ended || answer.closed);
  assert.notEqual(answer.text, '', `no body; status ${answer.status}`);
  return { status: answer.status, body: JSON.parse(answer.text) as Record<string, unknown> };
}

const csr = () => createCertificateRequest().csrPem;
const uriOf = (body: Record<string, unknown>) => new X509Certificate(String(body.chain)).subjectAltName;

test('the server proves to be the control plane by the authority that it serves, by TLS 1.3 and HTTP/2', async (context) => {
  const { server, authority } = await running(context);
  const [host = '', port] = server.address.split(':');
  const socket = connectTls({
    host,
    port: Number(port),
    ca: authority.bundlePem,
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  });
  context.after(() => socket.destroy());
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  assert.equal(socket.authorized, true);
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  assert.equal(socket.alpnProtocol, 'h2');
  assert.equal(
    socket.getPeerX509Certificate()?.subjectAltName,
    'URI:spiffe://mesh.local/ns/tulle-system/sa/control-plane',
  );
});

test('an attacker who offers TLS 1.2 only, or no HTTP/2, gets no connection', async (context) => {
  const { server } = await running(context);
  const [host = '', port] = server.address.split(':');
  for (const offer of [
    { maxVersion: 'TLSv1.2' as const, ALPNProtocols: ['h2'] },
    { ALPNProtocols: ['http/1.1'] },
  ]) {
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ...offer });
    const failed = await new Promise((resolve) => {
      socket.once('secureConnect', () => resolve(false));
      socket.once('error', () => resolve(true));
    });
    socket.destroy();
    assert.equal(failed, true);
  }
});

test('an unknown path or method is answered 404 with its code and what there is, also if its body never ends', async (context) => {
  const { sidecar } = await running(context);
  const client = sidecar();
  const calls = [
    client.call('/v1/nothing', ''),
    client.call('/v1/nothing'),
    client.call('/', '', 'GET'),
    client.call('/v1/identity', '', 'PUT'),
    client.call('/v1/resources/', ''),
  ];
  for (const call of calls) {
    const { status, body } = await answered(call);
    assert.equal(status, 404);
    assert.deepEqual(body, {
      code: 'ERR_PATH',
      message: 'there are POST /v1/identity, POST /v1/resources and POST /v1/quotas',
    });
    await until('the end of the stream', () => call.closed);
  }
  assert.equal(client.over, undefined, 'the session stays');
});

test('an attacker without a certificate is told nothing of the mesh', async (context) => {
  const { sidecar } = await running(context);
  const call = sidecar().call('/v1/resources');
  const { status, body } = await answered(call);
  assert.equal(status, 403);
  assert.deepEqual(body, {
    code: 'ERR_NOT_ALLOWED',
    message: 'this needs a client certificate of the mesh',
  });
});

test('an attacker with a certificate of an authority of his own is a stranger, whatever it names', async (context) => {
  const { sidecar } = await running(context);
  for (const trustDomain of ['mesh.local', 'other.test']) {
    const other = await openAuthority(join(temporaryDir(context), 'state'), { trustDomain });
    context.after(() => other.close());
    const client = sidecar(await credentials(other, 'tulle-system/control-plane'));
    assert.equal((await answered(client.call('/v1/resources', ''))).status, 403);
    const renewal = await answered(client.call('/v1/identity', JSON.stringify({ csr: csr() })));
    assert.equal(renewal.status, 403);
    assert.equal(renewal.body.code, 'ERR_NOT_ALLOWED');
  }
});

test('a certificate of the mesh that has ended is none: no resources, no renewal', async (context) => {
  const { sidecar, stateDir } = await running(context);
  const brief = await openAuthority(stateDir, { trustDomain: 'mesh.local', leafLifeMs: 0 });
  context.after(() => brief.close());
  const proof = await credentials(brief, 't/web');
  await until(
    'the end of the leaf',
    () => new X509Certificate(proof.cert).validToDate.getTime() < Date.now(),
  );
  const client = sidecar(proof);
  assert.equal((await answered(client.call('/v1/resources', ''))).status, 403);
  assert.equal((await answered(client.call('/v1/identity', JSON.stringify({ csr: csr() })))).status, 403);
});

test('a join token gets the certificate of its workload, by which resources are told', async (context) => {
  const { sidecar, stateDir, logged } = await running(context);
  const token = await mintJoinToken(stateDir, 't/web', 60_000);
  const { keyPem, csrPem } = createCertificateRequest();
  const { status, body } = await answered(
    sidecar().call('/v1/identity', JSON.stringify({ csr: csrPem, token })),
  );
  assert.equal(status, 200);
  assert.equal(uriOf(body), 'URI:spiffe://mesh.local/ns/t/sa/web');
  assert.ok(Number(body.renewAfterMs) > 0);
  const stream = sidecar({ key: keyPem, cert: String(body.chain) }).call('/v1/resources');
  await until('welcome', () => stream.messages.length > 0);
  assert.equal(stream.status, 200);
  assert.equal(stream.messages[0]?.type, 'welcome');
  assert.ok(logged.some((line) => line.includes('a certificate was issued')));
  assert.ok(!logged.join('\n').includes(token), 'the log does not have the token');
});

test('a renewal keeps the workload of the certificate, even if a library asks for another by the request', async (context) => {
  const { sidecar, authority } = await running(context);
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const asking = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=bank',
    keys,
    signingAlgorithm,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://mesh.local/ns/t/sa/bank' }]),
    ],
  });
  const client = sidecar(await credentials(authority, 't/web'));
  const { status, body } = await answered(
    client.call('/v1/identity', JSON.stringify({ csr: asking.toString('pem') })),
  );
  assert.equal(status, 200);
  assert.equal(uriOf(body), 'URI:spiffe://mesh.local/ns/t/sa/web');
});

test('an attacker who guesses a token is refused with its code, and neither answer nor log repeat it', async (context) => {
  const { sidecar, logged, authority } = await running(context);
  const token = 'guessed-token.guessed-token.guessed-token';
  for (const client of [sidecar(), sidecar(await credentials(authority, 't/web'))]) {
    const call = client.call('/v1/identity', JSON.stringify({ csr: csr(), token }));
    const { status, body } = await answered(call);
    assert.equal(status, 403);
    assert.equal(body.code, 'ERR_TOKEN');
    assert.ok(!call.text.includes('guessed'));
  }
  assert.ok(logged.some((line) => line.includes('ERR_TOKEN')));
  assert.ok(!logged.join('\n').includes('guessed'));
});

test('a request for a certificate that is malformed is answered 400 or 403 with a code, and what it had is not repeated', async (context) => {
  const { sidecar, authority, logged } = await running(context);
  const client = sidecar(await credentials(authority, 't/web'));
  const cases: [string, number, string][] = [
    ['', 400, 'ERR_REQUEST'],
    ['{', 400, 'ERR_REQUEST'],
    ['null', 400, 'ERR_REQUEST'],
    ['[]', 400, 'ERR_REQUEST'],
    ['{}', 400, 'ERR_REQUEST'],
    [JSON.stringify({ csr: 7 }), 400, 'ERR_REQUEST'],
    [JSON.stringify({ csr: csr(), workload: 't/secret-bank' }), 400, 'ERR_REQUEST'],
    [JSON.stringify({ csr: csr(), token: { sub: 't/secret-bank' } }), 400, 'ERR_REQUEST'],
    [JSON.stringify({ csr: 'secret'.padEnd(9000, 'x') }), 400, 'ERR_REQUEST'],
    [JSON.stringify({ csr: 'secret' }), 403, 'ERR_CSR'],
  ];
  for (const [sent, status, code] of cases) {
    const call = client.call('/v1/identity', sent);
    const answer = await answered(call);
    assert.deepEqual([answer.status, answer.body.code], [status, code], sent);
    assert.ok(!call.text.includes('secret'));
  }
  assert.ok(!logged.join('\n').includes('secret'));
});

test('an attacker who sends a body without end is told so and let go, and the server goes on', async (context) => {
  const { sidecar } = await running(context);
  const client = sidecar();
  const call = client.call('/v1/identity');
  call.stream.write('x'.repeat(40_000));
  const { status, body } = await answered(call);
  assert.deepEqual([status, body.code], [400, 'ERR_REQUEST']);
  await until('the end of the stream', () => call.closed);
  assert.equal((await answered(client.call('/v1/nothing', ''))).status, 404);
});

test('a stranger who asks for nothing is let go; who has a certificate of the mesh stays', async (context) => {
  const { sidecar, authority } = await running(context, { strangerMs: 300 });
  const peer = sidecar(await credentials(authority, 't/web'));
  const call = peer.call('/v1/nothing', '');
  await until('the answer', () => call.closed);
  // Strangers come and go all the while, one after the other: their time passes for the peer as well.
  for (let i = 0; i < 2; i++) {
    const stranger = sidecar();
    await until('the end of a stranger', () => stranger.over !== undefined);
  }
  assert.equal(peer.over, undefined);
  assert.equal((await answered(peer.call('/v1/nothing', ''))).status, 404);
});

test('an attacker with a certificate of another authority does not hold a session either', async (context) => {
  const { sidecar } = await running(context, { strangerMs: 100 });
  const other = await openAuthority(join(temporaryDir(context), 'state'), { trustDomain: 'mesh.local' });
  context.after(() => other.close());
  const stranger = sidecar(await credentials(other, 't/web'));
  await until('the end of the stranger', () => stranger.over !== undefined);
});

test('a stranger is let go after an answer too, and in the middle of a request that never ends', async (context) => {
  const { sidecar } = await running(context, { strangerMs: 1000 });
  const [polite, hanging] = [sidecar(), sidecar()];
  assert.equal((await answered(polite.call('/v1/nothing', ''))).status, 404);
  const call = hanging.call('/v1/identity');
  call.stream.write('{');
  await until('the end of both', () => polite.over !== undefined && hanging.over !== undefined);
  assert.ok(call.closed);
  assert.equal(call.status, 0);
});

test('the pods of one tenant, and strangers, do not keep out those of others by their number', async (context) => {
  const { sidecar, authority } = await running(context, { strangerMs: LONG_MS, maxSessions: 8 });
  const open = async (proof: Credentials | undefined, count: number) => {
    const sessions = Array.from({ length: count }, () => sidecar(proof));
    const isSettled = ({ session, over }: RawSidecar) =>
      over !== undefined || Object.keys(session.remoteSettings ?? {}).length > 0;
    await until('an answer to each', () => sessions.every(isSettled));
    for (const one of sessions) if (one.over === undefined) one.call('/v1/nothing', '');
    return sessions;
  };
  const evil = await open(await credentials(authority, 'evil/a'), 4);
  const more = await open(await credentials(authority, 'evil/b'), 2);
  await until('the end of what is too much', () => more.every(({ over }) => over !== undefined));
  assert.ok(evil.every(({ over }) => over === undefined));
  const strangers = await open(undefined, 4);
  await until('the end of two', () => strangers.filter(({ over }) => over !== undefined).length === 2);
  const [peer] = await open(await credentials(authority, 't/web'), 1);
  assert.equal((await answered((peer as RawSidecar).call('/v1/nothing', ''))).status, 404);
  evil[0]?.session.destroy();
  await until('room for another', async () => {
    const [next] = await open(await credentials(authority, 'evil/a'), 1);
    return next?.over === undefined;
  });
});

test('what the pods of one tenant follow takes no memory that those of others need', async (context) => {
  const { sidecar, authority } = await running(context, { strangerMs: LONG_MS, subscriptionBytes: 10_000 });
  const follow = async (workload: string, names: number) => {
    const { stream, ...answer } = sidecar(await credentials(authority, workload)).call('/v1/resources');
    const resources = Array.from({ length: names }, (_, index) => ({ kind: 'service', key: `t/s${index}` }));
    stream.write(`${JSON.stringify({ type: 'subscribe', resources })}\n`);
    return { stream, ...answer };
  };
  const words = ({ messages }: Pick<Answer, 'messages'>) => messages.map(({ type }) => type);
  const first = await follow('evil/a', 15);
  await until('a word about each', () => words(first).length === 16);
  const second = await follow('evil/b', 15);
  await until('it to be sent away', () => words(second).includes('bye'));
  const other = await follow('t/web', 15);
  await until('a word about each', () => words(other).length === 16);
  first.stream.close();
  await until('room for another', async () => {
    const next = await follow('evil/b', 15);
    await until('a word', () => words(next).length >= 2);
    return !words(next).includes('bye');
  });
});

test('an attacker does not follow the same again and again in one session', async (context) => {
  const { sidecar, authority, server } = await running(context);
  const peer = sidecar(await credentials(authority, 't/web'));
  const streams = Array.from({ length: 4 }, () => peer.call('/v1/resources'));
  await until('all streams', () => server.numbers.sidecars === 4);
  assert.equal((await answered(peer.call('/v1/resources', ''))).status, 429);
  streams[0]?.stream.close();
  await until('the end of one', () => server.numbers.sidecars === 3);
  peer.call('/v1/resources');
  await until('another one', () => server.numbers.sidecars === 4);
  assert.equal(streams[1]?.closed, false);
});

test('an attacker who connects and never says hello is let go', async (context) => {
  const { server } = await running(context, { strangerMs: 30 });
  const [host = '', port] = server.address.split(':');
  const socket = connect({ host, port: Number(port) });
  context.after(() => socket.destroy());
  let closed = false;
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  await until('the end of the connection', () => closed);
});

test('a sidecar that answers no pings any more is let go; one that does stays', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { server, sidecar, authority, registry } = await running(context);
  const proof = await credentials(authority, 't/web');
  const answering = sidecar(proof);
  const call = answering.call('/v1/resources');
  await until('welcome', () => call.messages.length > 0);
  const [host = '', port] = server.address.split(':');
  const silent = connectTls({
    host,
    port: Number(port),
    ca: authority.bundlePem,
    ...proof,
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  });
  context.after(() => silent.destroy());
  let closed = false;
  let received = 0;
  silent.on('error', () => {});
  silent.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  silent.on('close', () => {
    closed = true;
  });
  // The preface and an empty SETTINGS frame (RFC 9113 section 3.4), and no word more.
  silent.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.from('000000040000000000', 'hex'),
    ]),
  );
  await until('the settings of the server', () => received > 0);
  for (let i = 0; i < 2; i++) {
    context.mock.timers.tick(5_000);
    await new Promise((resolve) => answering.session.ping(resolve)); // its own answer came before
  }
  await until('the end of the silent one', () => closed);
  assert.equal(answering.over, undefined);
  registry.change({ services: [] }, 't/app');
  call.stream.write(
    `${JSON.stringify({ type: 'subscribe', resources: [{ kind: 'service', key: 't/app' }] })}\n`,
  );
  await until('a word', () => call.messages.length > 1);
});

test('close() says bye on every stream and ends the sessions', async (context) => {
  const { server, sidecar, authority } = await running(context);
  const clients = [
    sidecar(await credentials(authority, 't/web')),
    sidecar(await credentials(authority, 't/b')),
  ];
  const streams = clients.map((client) => client.call('/v1/resources'));
  await until('welcome', () => streams.every(({ messages }) => messages.length > 0));
  for (const { stream } of streams) stream.on('end', () => stream.end());
  await server.close();
  await until('the end', () => clients.every(({ over }) => over !== undefined));
  for (const { messages } of streams)
    assert.deepEqual(messages.slice(1), [{ type: 'bye', reason: 'the control plane stops' }]);
});

test('close() does not wait for a sidecar that will not go', async (context) => {
  const { server, sidecar, authority } = await running(context);
  const client = sidecar(await credentials(authority, 't/web'));
  const stream = client.call('/v1/resources');
  await until('welcome', () => stream.messages.length > 0);
  await server.close();
  await until('the end', () => client.over !== undefined);
});

test('an attacker who connects and never says hello does not hold up close()', async (context) => {
  const { server } = await running(context);
  const [host = '', port] = server.address.split(':');
  const socket = connect({ host, port: Number(port) });
  let closed = false;
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  await server.close();
  await until('the end of the connection', () => closed);
});

test('an address that cannot be used is named', async (context) => {
  const { server, authority, registry } = await running(context);
  const [host = '', port] = server.address.split(':');
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  await assert.rejects(openControlServer({ host, port: Number(port) }, authority, registry, log), {
    message: `cannot listen on ${server.address}: EADDRINUSE`,
  });
});

test('who cannot be judged now is told to try again by 503; refusals and certificates are counted', async (context) => {
  const { server, sidecar, authority } = await running(context);
  const judged = context.mock.method(authority, 'answer');
  const asked = (code: 'ERR_UNAVAILABLE' | 'ERR_TOKEN') => {
    judged.mock.mockImplementationOnce(async () => {
      throw new AuthorityError(code, 'why');
    });
    return answered(sidecar().call('/v1/identity', JSON.stringify({ csr: csr(), token: 'x' })));
  };
  const away = await asked('ERR_UNAVAILABLE');
  assert.deepEqual([away.status, away.body], [503, { code: 'ERR_UNAVAILABLE', message: 'why' }]);
  assert.equal((await asked('ERR_TOKEN')).status, 403);
  const peer = sidecar(await credentials(authority, 't/web'));
  await answered(peer.call('/v1/identity', JSON.stringify({ csr: csr() })));
  const stream = peer.call('/v1/resources');
  await until('welcome', () => stream.messages.length > 0);
  const { sidecars, issued, refused } = server.numbers;
  assert.deepEqual([sidecars, issued], [1, 1]);
  assert.deepEqual(
    [...refused],
    [
      ['ERR_UNAVAILABLE', 1],
      ['ERR_TOKEN', 1],
    ],
  );
});

test('a stream of some age is sent to another replica, by chance sooner or later; a new one is taken', async (context) => {
  const { sidecar, authority } = await running(context, { strangerMs: LONG_MS, streamAgeMs: 20 });
  const peer = sidecar(await credentials(authority, 't/web'));
  for (let i = 0; i < 2; i++) {
    const stream = peer.call('/v1/resources');
    stream.stream.on('end', () => stream.stream.end());
    await until('bye', () => stream.ended);
    assert.deepEqual(
      stream.messages.map((message) => (message.type === 'bye' ? message.reason : message.type)),
      ['welcome', 'connections are spread anew'],
    );
  }
});

test('sidecars are sent away one after the other, and who comes meanwhile is still served', async (context) => {
  const { server, sidecar, authority } = await running(context);
  const peer = sidecar(await credentials(authority, 't/web'));
  const streams = [1, 2, 3].map(() => peer.call('/v1/resources'));
  await until('welcome', () => streams.every(({ messages }) => messages.length > 0));
  await server.sendAway(30);
  await until('bye', () => streams.every(({ messages }) => messages.at(-1)?.type === 'bye'));
  const late = peer.call('/v1/resources');
  await until('its welcome', () => late.messages.length > 0);
  assert.equal(late.ended, false);
});

test('when the roots change, the server proves itself by the new one at once', async (context) => {
  const before = await readTrust(...(await rootOf('mesh.local')));
  const next = await readTrust(...(await rootOf('mesh.local')));
  let trust = before;
  const listeners: ((trust: Trust) => void)[] = [];
  const authority = createAuthority(
    {
      current: () => trust,
      onChange: (listener) => void listeners.push(listener),
      problem: () => undefined,
      close() {},
    },
    { trustDomain: 'mesh.local', verifyToken: async () => ({ workload: 't/web' }) },
  );
  const registry = new MemoryRegistry({ services: [] });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const server = await openControlServer({ host: '127.0.0.1', port: 0 }, authority, registry, log);
  context.after(() => server.close());
  const connects = async (ca: string): Promise<boolean> => {
    const { session } = rawSidecar(`https://${server.address}`, { ca });
    const outcome = await new Promise<boolean>((resolve) => {
      session.on('connect', () => resolve(true));
      session.on('error', () => resolve(false));
    });
    session.destroy();
    return outcome;
  };
  assert.equal(await connects(before.bundlePem), true);
  assert.equal(await connects(next.bundlePem), false);
  trust = next;
  for (const listener of listeners) listener(next);
  await until('the new root', () => connects(next.bundlePem));
});

test('an attacker who asks for certificates again and again does not take all the turns of the API server', async (context) => {
  const [certificatePem, root] = await rootOf('mesh.local');
  const trust = await readTrust(certificatePem, root);
  const { promise, resolve } = Promise.withResolvers<void>();
  let reviews = 0;
  const authority = createAuthority(
    { current: () => trust, onChange() {}, problem: () => undefined, close() {} },
    {
      trustDomain: 'mesh.local',
      async verifyToken() {
        reviews++;
        await promise;
        return { workload: 't/web' };
      },
    },
  );
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const registry = new MemoryRegistry({ services: [] });
  const server = await openControlServer({ host: '127.0.0.1', port: 0 }, authority, registry, log);
  context.after(() => server.close());
  const client = rawSidecar(`https://${server.address}`, { ca: trust.bundlePem });
  context.after(() => client.session.destroy());
  const ask = () => client.call('/v1/identity', JSON.stringify({ csr: csr(), token: 'forged' }));
  const calls = Array.from({ length: 8 }, ask);
  await until('all reviews', () => reviews === 8);
  const { status, body } = await answered(ask());
  assert.deepEqual([status, body.code], [503, 'ERR_UNAVAILABLE']);
  resolve();
  for (const call of calls) assert.equal((await answered(call)).status, 200);
  assert.equal((await answered(ask())).status, 200);
});

async function rootOf(trustDomain: string): Promise<[string, StoredRoot]> {
  const root = await createRoot(trustDomain);
  return [root.certificatePem, root];
}
