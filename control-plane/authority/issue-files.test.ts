import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { issueFiles } from './issue-files.ts';

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

test('certificate, key and bundle of a workload belong together; two workloads share the root', async (context) => {
  const dir = temporaryDir(context);
  const orders = await issueFiles(dir, 'mesh.local', 'shop/orders');
  const web = await issueFiles(dir, 'mesh.local', 'shop/web', 60_000);
  assert.equal(orders.cert, join(dir, 'shop.orders', 'cert.pem'));
  assert.equal(readFileSync(orders.bundle, 'utf8'), readFileSync(web.bundle, 'utf8'));
  const root = new X509Certificate(readFileSync(orders.bundle));
  for (const files of [orders, web]) {
    const leaf = new X509Certificate(readFileSync(files.cert));
    assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey));
    assert.ok(leaf.checkPrivateKey(createPrivateKey(readFileSync(files.key))));
  }
  const { validToDate, subjectAltName } = new X509Certificate(readFileSync(web.cert));
  assert.equal(subjectAltName, 'URI:spiffe://mesh.local/ns/shop/sa/web');
  assert.ok(validToDate.getTime() <= Date.now() + 60_000);
});

test('the key is for the owner only, and so are the folders', async (context) => {
  const umask = process.umask(0);
  context.after(() => process.umask(umask));
  const dir = join(temporaryDir(context), 'identities');
  const files = await issueFiles(dir, 'mesh.local', 'shop/orders');
  assert.equal(modeOf(files.key), '600');
  assert.equal(modeOf(dirname(files.key)), '700');
  assert.equal(modeOf(join(dir, 'authority')), '700');
  assert.equal(modeOf(dir), '700');
});

test('a key file that others could read is not filled with a new key', async (context) => {
  const dir = temporaryDir(context);
  const { key } = await issueFiles(dir, 'mesh.local', 'shop/orders');
  const before = readFileSync(key, 'utf8');
  chmodSync(key, 0o644);
  await issueFiles(dir, 'mesh.local', 'shop/orders');
  assert.notEqual(readFileSync(key, 'utf8'), before);
  assert.equal(modeOf(key), '600');
});

test('a name that would leave the folder is no workload, and nothing is written for it', async (context) => {
  const dir = join(temporaryDir(context), 'identities');
  for (const name of ['../x', '..', 'a/../../x', 'Shop/orders', '/x']) {
    await assert.rejects(issueFiles(dir, 'mesh.local', name), /is not NAMESPACE\/SERVICEACCOUNT/);
  }
  assert.deepEqual(readdirSync(dir), ['authority']);
  assert.ok(!existsSync(join(dir, '..', 'x')));
});
