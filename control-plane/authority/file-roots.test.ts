import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { credentials, rawSidecar } from '../distribution/raw-sidecar.fixture.ts';
import { openControlServer } from '../distribution/server.ts';
import { MemoryRegistry } from '../registry/memory-registry.fixture.ts';
import { createAuthority } from './authority.ts';
import { openFileRoots, type SignerFiles } from './file-roots.ts';
import { type TestSigner, testSigner } from './signers.fixture.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };

function written(context: TestContext, root: TestSigner, signer: TestSigner): SignerFiles {
  const dir = temporaryDir(context);
  const files = { certificate: join(dir, 'tls.crt'), key: join(dir, 'tls.key'), roots: join(dir, 'ca.crt') };
  writeFileSync(files.certificate, signer.certificatePem);
  writeFileSync(files.key, signer.keyPem);
  writeFileSync(files.roots, root.certificatePem);
  return files;
}

test('a mesh below a given intermediate: both sides believe each other by the root alone', async (context) => {
  const root = await testSigner('rsa');
  const roots = await openFileRoots(written(context, root, await testSigner('rsa', root)), log);
  const authority = createAuthority(roots, {
    trustDomain: 'mesh.local',
    verifyToken: async () => ({ workload: 't/web' }),
  });
  const registry = new MemoryRegistry({ services: [] });
  const server = await openControlServer({ host: '127.0.0.1', port: 0 }, authority, registry, log);
  const proof = await credentials(authority, 't/web');
  const sidecar = rawSidecar(`https://${server.address}`, { ca: root.certificatePem, ...proof });
  context.after(async () => {
    sidecar.session.destroy();
    await server.close();
    authority.close();
  });
  const call = sidecar.call('/v1/resources');
  await until('welcome', () => call.messages.length > 0 || sidecar.over !== undefined);
  assert.equal(sidecar.over, undefined);
});

test('a signer that is renewed is followed; half of one leaves the one before, and is told', async (context) => {
  const root = await testSigner('p256');
  const files = written(context, root, await testSigner('p256', root));
  const roots = await openFileRoots(files, log, 10);
  context.after(() => roots.close());
  const before = roots.current().signer.certificate.serialNumber;
  let told = 0;
  roots.onChange(() => told++);
  const next = await testSigner('p256', root);
  writeFileSync(files.certificate, next.certificatePem);
  await until('the word of it', () => roots.problem() !== undefined);
  assert.match(roots.problem() ?? '', /tls\.crt, .*cannot be used: the authority's key is not that of its/);
  assert.equal(roots.current().signer.certificate.serialNumber, before);
  writeFileSync(files.key, next.keyPem);
  await until('the next one', () => told === 1);
  assert.equal(roots.current().signer.certificate.serialNumber, next.certificate.serialNumber);
  await until('no problem', () => roots.problem() === undefined);
});

test('files that cannot be used are named, and nothing of a key is told', async (context) => {
  const root = await testSigner('p256');
  const files = written(context, root, root);
  await assert.rejects(openFileRoots({ ...files, key: `${files.key}.none` }, log), /ENOENT/);
  writeFileSync(files.key, root.keyPem.replace(/MI/, 'XX'));
  await assert.rejects(openFileRoots(files, log), (error: Error) => {
    assert.match(error.message, /tls\.key.* cannot be used: their content is not PEM that can be read$/);
    return !error.message.includes(root.keyPem.slice(40, 60));
  });
});
