import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCertificateRequest } from '../protocol/certificate-request.ts';
import { temporaryDir, writeMesh } from '../test/fixture/relay.ts';
import { until } from '../test/fixture/wait.ts';
import { mintJoinToken } from './authority/join-token.ts';
import { rawSidecar } from './distribution/raw-sidecar.fixture.ts';
import { type ControlPlaneOptions, startControlPlane } from './main.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const mesh = (...names: string[]) => ({
  services: names.map((name) => ({ name, namespace: 't', port: 80 })),
});

function options(context: TestContext, more: Partial<ControlPlaneOptions> = {}): ControlPlaneOptions {
  const dir = temporaryDir(context);
  const meshFile = join(dir, 'mesh.yaml');
  writeMesh(meshFile, mesh('a'));
  return { meshFile, stateDir: join(dir, 'state'), listen: { host: '127.0.0.1', port: 0 }, log, ...more };
}

test('from token to certificate to resources, and an edit of the mesh file is told', async (context) => {
  const chosen = options(context, { leafLifeMs: 60_000 });
  const running = await startControlPlane(chosen);
  context.after(() => running.close());
  const url = `https://${running.address}`;
  const ca = readFileSync(running.bundleFile, 'utf8');
  const { keyPem, csrPem } = createCertificateRequest();
  const stranger = rawSidecar(url, { ca });
  const token = await mintJoinToken(chosen.stateDir, 't/web', 60_000);
  const identity = stranger.call('/v1/identity', JSON.stringify({ csr: csrPem, token }));
  await until('a certificate', () => identity.ended);
  stranger.session.destroy();
  const issued = JSON.parse(identity.text) as { chain: string; bundle: string; renewAfterMs: number };
  assert.equal(issued.bundle, ca);
  assert.ok(issued.renewAfterMs <= 36_000, 'the life that was chosen');

  const sidecar = rawSidecar(url, { ca, key: keyPem, cert: issued.chain });
  context.after(() => sidecar.session.destroy());
  const { stream, messages } = sidecar.call('/v1/resources');
  const resources = ['t/a', 't/b'].map((key) => ({ kind: 'service', key }));
  stream.write(`${JSON.stringify({ type: 'subscribe', resources })}\n`);
  await until('the first words', () => messages.length === 3);
  assert.deepEqual(
    messages.map(({ type }) => type),
    ['welcome', 'resource', 'absent'],
  );
  writeMesh(chosen.meshFile, mesh('a', 'b'));
  await until('the edit', () => messages.length === 4);
  const told = messages[3];
  assert.equal(told?.type === 'resource' && told.resource.key, 't/b');
  stream.on('end', () => stream.end());
});

test('a control plane that was closed can be started again on its state: with the same root', async (context) => {
  const chosen = options(context);
  const first = await startControlPlane(chosen);
  const bundle = readFileSync(first.bundleFile, 'utf8');
  await first.close();
  assert.ok(!existsSync(join(chosen.stateDir, 'authority.db-wal')), 'the store is closed');
  const second = await startControlPlane(chosen);
  context.after(() => second.close());
  assert.equal(readFileSync(second.bundleFile, 'utf8'), bundle);
});

test('an address in use is named, and nothing stays open', async (context) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  context.after(() => taken.close());
  const bound = taken.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  const chosen = options(context, { listen: { host: '127.0.0.1', port } });
  await assert.rejects(startControlPlane(chosen), {
    message: `cannot listen on 127.0.0.1:${port}: EADDRINUSE`,
  });
  assert.ok(!existsSync(join(chosen.stateDir, 'authority.db-wal')), 'the store is closed');
});

test('a mesh file that cannot be used stops the start before any state is made', async (context) => {
  const chosen = options(context);
  writeMesh(chosen.meshFile, 'services: 7');
  await assert.rejects(startControlPlane(chosen), {
    code: 'ERR_TULLE_MESH_FILE',
    message: /mesh\.yaml cannot be used:\n {2}.*mesh\.yaml:1:11 services: 7 /,
  });
  assert.ok(!existsSync(chosen.stateDir));
});

test('the state of another trust domain is refused', async (context) => {
  const chosen = options(context);
  await (await startControlPlane(chosen)).close();
  writeMesh(chosen.meshFile, { ...mesh('a'), trustDomain: 'other.test' });
  await assert.rejects(
    startControlPlane(chosen),
    /is the authority of the trust domain mesh\.local, not of other/,
  );
});
