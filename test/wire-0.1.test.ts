import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mintJoinToken } from '../control-plane/authority/join-token.ts';
import { rawSidecar } from '../control-plane/distribution/raw-sidecar.fixture.ts';
import { type RunningControlPlane, startControlPlane } from '../control-plane/main.ts';
import { createCertificateRequest } from '../protocol/certificate-request.ts';
import type { ServerMessage } from '../protocol/control-messages.ts';
import type { Resource } from '../protocol/resources.ts';
import { connectSubscription } from '../sidecar/config/control-plane.ts';
import { testAuthority } from '../sidecar/identity/authority.fixture.ts';
import { standIn } from '../sidecar/identity/control-plane.fixture.ts';
import { requestIdentity } from '../sidecar/identity/requested-identity.ts';
import { SILENT } from '../sidecar/log.ts';
import { temporaryDir, writeMesh } from './fixture/relay.ts';
import { exchangeFor } from './fixture/request-exchange.ts';
import { chosen, planned } from './fixture/routed.ts';
import { toldServices } from './fixture/told-services.ts';
import { until } from './fixture/wait.ts';
import { clientMessage, identityRequest, recordedMesh, transcript } from './fixture/wire-0.1/messages.ts';

type Line = Readonly<Record<string, unknown>>;

const linesOf = (of: 'resources' | 'identity', from: 'sidecar' | 'control-plane'): Line[] =>
  transcript(of)
    .filter((spoken) => spoken.from === from)
    .map(({ line }) => line);

/** What an old peer reads must be there as it was; more may be. Versions are hashes, and servers differ. */
function holds(now: unknown, before: unknown, where: string): void {
  if (typeof before !== 'object' || before === null) {
    if (!/\.(version|server)$/.test(where)) assert.deepEqual(now, before, where);
    return;
  }
  assert.ok(typeof now === 'object' && now !== null, `${where} is gone`);
  assert.equal(Array.isArray(now), Array.isArray(before), where);
  if (Array.isArray(before)) assert.equal((now as unknown[]).length, before.length, where);
  for (const [name, value] of Object.entries(before)) holds((now as Line)[name], value, `${where}.${name}`);
}

interface Started {
  readonly plane: RunningControlPlane;
  readonly meshFile: string;
  readonly token: string;
}

async function start(context: TestContext): Promise<Started> {
  const dir = temporaryDir(context);
  const meshFile = join(dir, 'mesh.yaml');
  const stateDir = join(dir, 'state');
  writeMesh(meshFile, recordedMesh());
  const listen = { host: '127.0.0.1', port: 0 };
  const plane = await startControlPlane({ meshFile, stateDir, listen, log: SILENT });
  return { plane, meshFile, token: await mintJoinToken(stateDir, 'shop/web', 60_000) };
}

test('a control plane answers a sidecar of 0.1.0, word for word as it spoke, with what that reads', async (context) => {
  const { plane, meshFile, token } = await start(context);
  const url = `https://${plane.address}`;
  const ca = readFileSync(plane.bundleFile, 'utf8');
  const [asked] = linesOf('identity', 'sidecar');
  const [given] = linesOf('identity', 'control-plane');
  const { keyPem, csrPem } = createCertificateRequest();
  const stranger = rawSidecar(url, { ca });
  context.after(() => stranger.session.destroy());
  const old = stranger.call('/v1/identity', JSON.stringify({ ...asked, token }));
  const own = stranger.call('/v1/identity', JSON.stringify({ ...asked, token, csr: csrPem }));
  await until('certificates', () => old.ended && own.ended);
  const response = JSON.parse(old.text) as Line;
  for (const [name, value] of Object.entries(given ?? {})) assert.equal(typeof response[name], typeof value);

  const { chain } = JSON.parse(own.text) as { chain: string };
  const sidecar = rawSidecar(url, { ca, key: keyPem, cert: chain });
  context.after(() => sidecar.session.destroy());
  const { stream, messages } = sidecar.call('/v1/resources');
  const said = linesOf('resources', 'sidecar');
  const heard = linesOf('resources', 'control-plane');
  const say = (line: Line | undefined) => stream.write(`${JSON.stringify(line)}\n`);
  said.slice(0, 2).forEach(say);
  await until('the first answers', () => messages.length === 5);
  writeMesh(meshFile, { ...recordedMesh(), ...changed() });
  await until('the change', () => messages.length === 6);
  say(said[2]);
  stream.on('end', () => stream.end());
  await plane.close();
  await until('the end', () => messages.length === heard.length);
  for (const [index, line] of heard.entries()) holds(messages[index], line, `message ${index}`);
});

/** The edit that was made while 0.1.0 was recorded. */
function changed(): { services: { port: number }[] } {
  const [orders, ...others] = recordedMesh().services;
  assert.ok(orders);
  return { services: [{ ...orders, port: 8081 }, ...others] };
}

test('a sidecar understands a control plane of 0.1.0, and says nothing that it does not', async (context) => {
  const authority = await testAuthority();
  const plane = await standIn(context, authority);
  const [given] = linesOf('identity', 'control-plane');
  plane.onIdentity = async ({ csr }) => {
    const { chainPem } = await authority.issue('shop/web', { csrPem: csr });
    return { status: 200, body: { ...given, chain: chainPem, bundle: authority.bundlePem } };
  };
  const said = linesOf('resources', 'control-plane') as unknown as ServerMessage[];
  plane.onResources = (told) => told.say(...said.slice(0, 1));
  const identity = requestIdentity({
    controlPlane: [plane.address],
    bundle: () => authority.bundlePem,
    token: () => 'token',
    log: SILENT,
  });
  context.after(() => identity.close());
  const errors: string[] = [];
  const error = (details: object) => void errors.push(JSON.stringify(details));
  const subscription = connectSubscription({
    controlPlane: [plane.address],
    identity,
    workload: 'shop/web',
    log: { ...SILENT, error },
  });
  context.after(() => subscription.close());
  const words: (Resource | string)[] = [];
  subscription.onResource((resource) => words.push(resource));
  subscription.onAbsent((kind, key) => words.push(`absent ${kind} ${key}`));
  for (const key of ['shop/orders', 'shop/db', 'shop/none']) subscription.want('service', key);
  subscription.want('gateway', 'shop/edge');
  await until('the stream', () => subscription.state().connected);
  const [told] = plane.streams;
  assert.ok(told);
  told.say(...said.slice(1, 6));
  await until('the words', () => words.length === 5);
  subscription.drop('service', 'shop/db');
  await until('the drop', () => told.messages.some(({ type }) => type === 'unsubscribe'));
  told.say(...said.slice(6));
  await until('another connection, with what is known', () => {
    const [, next] = plane.streams;
    return next?.messages.some(({ type }) => type === 'subscribe') === true;
  });
  assert.deepEqual(errors, []);
  assert.equal(words[2], 'absent service shop/none');
  for (const { messages } of plane.streams)
    for (const message of messages) assert.deepEqual(clientMessage.parse(message), message);
  const { peer: _, ...request } = plane.asked[0] ?? { peer: undefined };
  assert.deepEqual(identityRequest.parse(request), request);
});

test('resources of 0.1.0 become tables that route, rewrite and balance', (context) => {
  const { told, services } = toldServices(context);
  const said = linesOf('resources', 'control-plane') as unknown as ServerMessage[];
  const service = services.use('shop/orders', 0);
  for (const message of said) if (message.type === 'resource') told.tell(message.resource);
  const request = exchangeFor('/v1/list?q=1', ['X-A: b'], { host: 'orders.test' });
  const plan = planned(service.planFor(request));
  const addresses = chosen(plan.backend()).endpoints.map(({ address }) => address);
  assert.deepEqual(addresses, ['127.0.0.1:9001', '127.0.0.1:9002']);
});
