import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { CoordinationV1Api } from '@kubernetes/client-node';
import { decodeJwt, SignJWT, UnsecuredJWT } from 'jose';
import { createRoot } from '../../control-plane/authority/certificates.ts';
import { openSecretRoots } from '../../control-plane/authority/secret-roots.ts';
import { rawSidecar } from '../../control-plane/distribution/raw-sidecar.fixture.ts';
import type { Readiness } from '../../control-plane/health.ts';
import { openApiServer } from '../../control-plane/kubernetes/api-server.ts';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { connectSubscription } from '../../sidecar/config/control-plane.ts';
import { requestIdentity } from '../../sidecar/identity/requested-identity.ts';
import { SILENT } from '../../sidecar/log.ts';
import { interruptibleProxy } from '../fixture/interruptible-proxy.ts';
import { temporaryDir } from '../fixture/relay.ts';
import { startTulle, type Tulle } from '../fixture/tulle.ts';
import { until } from '../fixture/wait.ts';
import { type AuthorityNamespace, makeAuthorityNamespace } from './authority-namespace.ts';

let own: AuthorityNamespace;
before(async () => {
  own = await makeAuthorityNamespace();
});
after(() => own.remove());

/** A replica as the service account of a control plane, in a process of its own. */
async function startReplica(context: TestContext, within = own, server?: string): Promise<Tulle> {
  process.env.KUBECONFIG = await within.writeKubeconfig(temporaryDir(context), server);
  return startTulle(
    context,
    'control-plane',
    '--kubernetes',
    ...['--namespace', within.name, '--namespace-selector', within.selector],
    ...['--listen', '127.0.0.1:0', '--health', '127.0.0.1:0'],
    ...['--lease', '2s', '--stop-delay', '0'],
  );
}

async function readiness({ ready }: Tulle): Promise<Readiness & { status: number }> {
  const response = await fetch(`http://${ready.health}/readyz`);
  return { ...((await response.json()) as Readiness), status: response.status };
}

/** The trust bundle as the kubelet would mount it. */
async function bundle(within = own): Promise<string> {
  let text: string | undefined;
  await until('the trust bundle', async () => {
    text = await within.bundle();
    return text !== undefined;
  });
  return text ?? '';
}

interface Answered {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
  readonly keyPem: string;
}

async function askIdentity(replica: Tulle, token: string, within = own): Promise<Answered> {
  const { keyPem, csrPem } = createCertificateRequest();
  const sidecar = rawSidecar(`https://${replica.ready.address}`, { ca: await bundle(within) });
  const answer = sidecar.call('/v1/identity', JSON.stringify({ csr: csrPem, token }));
  await until('an answer', () => answer.ended || answer.closed || sidecar.over !== undefined);
  sidecar.session.destroy();
  assert.notEqual(answer.text, '', sidecar.over ?? 'no answer');
  return { status: answer.status, body: JSON.parse(answer.text) as Record<string, string>, keyPem };
}

/** The replica that leads, and the others. */
async function leaderOf(replicas: readonly Tulle[]): Promise<{ leader: Tulle; others: Tulle[] }> {
  let leaders: Tulle[] = [];
  await until('one leader', async () => {
    const states = await Promise.all(replicas.map(readiness));
    leaders = replicas.filter((_, index) => states[index]?.leads);
    return leaders.length === 1;
  });
  const [leader] = leaders;
  assert.ok(leader);
  return { leader, others: replicas.filter((one) => one !== leader) };
}

/** A pod that no node runs: tokens can be bound to it all the same. */
async function makePod(name: string): Promise<void> {
  await own.core.createNamespacedPod({
    namespace: own.name,
    body: {
      metadata: { name },
      spec: {
        serviceAccountName: 'web',
        nodeSelector: { 'tulle-test': 'nowhere' },
        containers: [{ name: 'app', image: 'none' }],
      },
    },
  });
}

test('a projected token gets the certificate of its service account, and the log names the pod', async (context) => {
  const replica = await startReplica(context);
  await makePod('web-1');
  const { status, body } = await askIdentity(replica, await own.token('web', 'tulle', 'web-1'));
  assert.equal(status, 200, JSON.stringify(body));
  const leaf = new X509Certificate(body.chain ?? '');
  assert.equal(leaf.subjectAltName, `URI:spiffe://cluster.local/ns/${own.name}/sa/web`);
  assert.ok(leaf.verify(new X509Certificate(await bundle()).publicKey));
  await until('the log', () => replica.log.includes('"pod":"web-1"'));

  const bound = await own.token('web', 'tulle', 'web-1');
  await own.core.deleteNamespacedPod({ name: 'web-1', namespace: own.name, gracePeriodSeconds: 0 });
  await until('the refusal of the token of a pod that is gone', async () => {
    const { body: refused } = await askIdentity(replica, bound);
    return refused.code === 'ERR_TOKEN';
  });
});

test('an attacker gets nothing by tokens for others, forged ones, those of another cluster, or none; and no token is logged', async (context) => {
  const replica = await startReplica(context);
  const right = await own.token('web', 'tulle');
  const claims = decodeJwt(right);
  const [header = '', payload = '', signature = ''] = right.split('.');
  const flipped = `${signature.slice(0, -8)}${signature.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA'}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const admin = { ...claims, sub: 'system:serviceaccount:kube-system:default' };
  const changed = Buffer.from(JSON.stringify(admin)).toString('base64url');
  const tokens: [string, string][] = [
    ['for another audience', await own.token('web', 'vault')],
    ['for the API server', await own.token('web')],
    ['with another signature', `${header}.${payload}.${flipped}`],
    ['with another subject', `${header}.${changed}.${signature}`],
    ['without a signature', new UnsecuredJWT(claims).encode()],
    ['of another cluster', await new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(privateKey)],
    ['that is no JWT', 'guess'],
    ['that is empty', ''],
  ];
  for (const [what, token] of tokens) {
    const { status, body } = await askIdentity(replica, token);
    assert.deepEqual([status, body.code], [403, 'ERR_TOKEN'], `a token ${what}: ${JSON.stringify(body)}`);
    if (token !== '') assert.ok(!JSON.stringify(body).includes(token), `a token ${what} is in the answer`);
  }
  const { status } = await askIdentity(replica, right);
  assert.equal(status, 200, 'the right one is still taken');
  await until('the log', () => replica.log.includes('a certificate was issued'));
  for (const [, token] of tokens) if (token !== '') assert.ok(!replica.log.includes(token));
  assert.ok(!replica.log.includes(right));
  assert.ok(!replica.log.includes('PRIVATE KEY'));
});

test('replicas that start at once on no Secret give certificates of one root; kill -9 of the leader makes another the leader, which restores the bundle', async (context) => {
  const fresh = await makeAuthorityNamespace();
  context.after(() => fresh.remove());
  const replicas = await Promise.all([1, 2, 3].map(() => startReplica(context, fresh)));
  const roots = new X509Certificate(await bundle(fresh));
  for (const replica of replicas) {
    const { status, body } = await askIdentity(replica, await fresh.token('web', 'tulle'), fresh);
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(new X509Certificate(body.chain ?? '').verify(roots.publicKey));
    assert.equal(body.bundle, await bundle(fresh));
  }
  const { leader, others } = await leaderOf(replicas);
  await leader.end('SIGKILL');
  const text = await bundle(fresh);
  await fresh.core.deleteNamespacedConfigMap({ name: 'tulle-trust', namespace: fresh.name });
  const { leader: next, others: rest } = await leaderOf(others);
  await until('the restored bundle', async () => (await fresh.bundle()) === text);

  // A leader that stops gives the lease back, and says so.
  const leases = fresh.admin.makeApiClient(CoordinationV1Api);
  const transitions = async () => {
    const lease = await leases.readNamespacedLease({ name: 'control-plane', namespace: fresh.name });
    return lease.spec?.leaseTransitions ?? 0;
  };
  const known = await transitions();
  await next.end('SIGTERM');
  const { leader: last } = await leaderOf(rest);
  assert.equal((await readiness(last)).ready, true);
  assert.ok((await transitions()) > known);
});

test('the trust ConfigMap comes to a new namespace, and is restored when it is edited or deleted', async (context) => {
  await startReplica(context);
  const text = await bundle();
  const other = await own.addNamespace('later');
  await until('the bundle of a new namespace', async () => (await own.bundle(other)) === text);
  await own.core.replaceNamespacedConfigMap({
    name: 'tulle-trust',
    namespace: other,
    body: { metadata: { name: 'tulle-trust' }, data: { 'bundle.pem': 'of an attacker' } },
  });
  await until('the restored text', async () => (await own.bundle(other)) === text);
  await own.core.deleteNamespacedConfigMap({ name: 'tulle-trust', namespace: other });
  await until('the restored object', async () => (await own.bundle(other)) === text);
  assert.equal(await own.bundle('kube-system'), undefined);
});

test('while the API server is away a replica is ready and says so, renews, tells who asks by token to try again; then all goes on', async (context) => {
  const cluster = own.admin.getCurrentCluster();
  const { hostname, port } = new URL(cluster?.server ?? '');
  const proxy = await interruptibleProxy(context, hostname, Number(port));
  const replica = await startReplica(context, own, `https://${proxy.address}`);
  const ca = await bundle();
  const token = await own.token('web', 'tulle');
  const first = await askIdentity(replica, token);
  assert.equal(first.status, 200, JSON.stringify(first.body));

  proxy.interrupt();
  const word = /^the API server is away \(.+\): running on what is known/;
  // Its registry may notice before it.
  await until('the word of it', async () =>
    (await readiness(replica)).degraded.some((line) => word.test(line)),
  );
  const state = await readiness(replica);
  assert.deepEqual([state.status, state.ready], [200, true]);
  const away = await askIdentity(replica, token);
  assert.deepEqual([away.status, away.body.code], [503, 'ERR_UNAVAILABLE']);
  assert.match(away.body.message ?? '', /^the API server cannot review the token now \(.+\): try again$/);
  const cert = first.body.chain ?? '';
  const known = rawSidecar(`https://${replica.ready.address}`, { ca, key: first.keyPem, cert });
  context.after(() => known.session.destroy());
  const renewal = known.call('/v1/identity', JSON.stringify({ csr: createCertificateRequest().csrPem }));
  await until('a renewal by certificate', () => renewal.ended);
  assert.equal(renewal.status, 200, renewal.text);
  const resources = known.call('/v1/resources');
  await until('resources', () => resources.messages.length > 0);

  // A sidecar that starts now goes on trying.
  const identity = requestIdentity({
    controlPlane: [replica.ready.address ?? ''],
    bundle: () => ca,
    token: () => token,
    log: SILENT,
  });
  context.after(() => identity.close());
  await until('its failure', () => identity.lastError()?.includes('try again') === true);
  proxy.resume();
  await until('its certificate', () => identity.current() !== undefined);
  await until('the end of it', async () => (await readiness(replica)).degraded.length === 0);
});

test('a replica that stops sends sidecars to another one, which goes on where it left off', async (context) => {
  const [first, second] = await Promise.all([startReplica(context), startReplica(context)]);
  const addresses = [first, second].map(({ ready }) => ready.address ?? '');
  const ca = await bundle();
  const token = await own.token('web', 'tulle');
  const identity = requestIdentity({
    controlPlane: addresses,
    bundle: () => ca,
    token: () => token,
    log: SILENT,
  });
  context.after(() => identity.close());
  const logged: string[] = [];
  const write = (details: object, message: string) =>
    void logged.push(`${message} ${JSON.stringify(details)}`);
  const subscription = connectSubscription({
    controlPlane: addresses,
    identity,
    workload: `${own.name}/web`,
    log: { ...SILENT, info: write, warn: write },
  });
  context.after(() => subscription.close());
  await until('the first connection', () => subscription.state().endpoint === addresses[0]);
  await until('its welcome', () => subscription.state().connected);
  await first.end('SIGTERM');
  await until(
    'the other one',
    () => subscription.state().connected && subscription.state().endpoint === addresses[1],
  );
  assert.ok(logged.some((line) => line.startsWith('the control plane sends elsewhere')));
  assert.ok(!logged.some((line) => line.includes('is away')));
});

test('the Secret is restored when it is gone, other roots are learned, and a broken one leaves those before', async (context) => {
  const api = openApiServer(own.admin);
  context.after(() => api.close());
  const namespace = await own.addNamespace('secret');
  const options = { api, namespace, trustDomain: 'cluster.local', log: SILENT, rereadMs: 20 };
  const roots = await openSecretRoots(options);
  context.after(() => roots.close());
  const { bundlePem } = roots.current();
  const secret = { name: 'tulle-authority', namespace };
  await own.core.deleteNamespacedSecret(secret);
  await until('the restored Secret', async () => {
    const { items } = await own.core.listNamespacedSecret({ namespace });
    return items.length === 1;
  });
  const kept = await own.core.readNamespacedSecret(secret);
  assert.equal(Buffer.from(kept.data?.['ca.crt'] ?? '', 'base64').toString(), bundlePem);

  // First a second root is trusted, then it signs.
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const second = await createRoot('cluster.local');
  const both = `${bundlePem}${second.certificatePem}`;
  const told: string[] = [];
  roots.onChange((trust) => told.push(trust.bundlePem));
  const write = async (data: Record<string, string>) => {
    const now = await own.core.readNamespacedSecret(secret);
    await own.core.replaceNamespacedSecret({ ...secret, body: { ...now, data: { ...now.data, ...data } } });
  };
  await write({ 'ca.crt': encode(both) });
  await until('both roots', () => roots.current().bundlePem === both);
  await write({ 'tls.crt': encode(second.certificatePem), 'tls.key': encode(second.keyPem) });
  const serial = new X509Certificate(second.certificatePem).serialNumber.toLowerCase();
  await until('the second signer', () => roots.current().signer.certificate.serialNumber === serial);
  assert.deepEqual(told, [both, both]);

  await write({ 'tls.key': encode('garbage') });
  await until('the word of it', () => roots.problem() !== undefined);
  assert.match(roots.problem() ?? '', /tulle-authority cannot be used: its content is not PEM/);
  assert.equal(roots.current().signer.certificate.serialNumber, serial);
  await assert.rejects(openSecretRoots({ ...options, trustDomain: 'other.test' }), {
    message: `the Secret ${namespace}/tulle-authority is the authority of the trust domain cluster.local, not of other.test`,
  });
});
