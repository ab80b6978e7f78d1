import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { type TestAuthority, testAuthority } from './authority.fixture.ts';
import { openFileIdentity } from './file-identity.ts';
import type { Identity, IdentitySource } from './identity.ts';

let authority: TestAuthority;
before(async () => {
  authority = await testAuthority();
});

interface Files {
  readonly cert: string;
  readonly key: string;
  readonly bundle: string;
}

async function written(context: TestContext): Promise<Files> {
  const dir = temporaryDir(context);
  const files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem'), bundle: join(dir, 'bundle.pem') };
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  writeFileSync(files.cert, chainPem);
  writeFileSync(files.key, keyPem);
  writeFileSync(files.bundle, authority.bundlePem);
  return files;
}

async function opened(
  context: TestContext,
): Promise<{ files: Files; source: IdentitySource; told: Identity[] }> {
  const files = await written(context);
  const source = openFileIdentity(files.cert, files.key, files.bundle);
  context.after(() => source.close());
  const told: Identity[] = [];
  source.onChange((identity) => told.push(identity));
  return { files, source, told };
}

function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

test('an identity is read from its files, and its successor is told', async (context) => {
  const { files, source, told } = await opened(context);
  const first = source.current();
  assert.equal(first?.workload, 'shop/orders');
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  replace(files.key, keyPem);
  replace(files.cert, chainPem);
  await until('the successor', () => told.length > 0);
  assert.equal(told[0]?.chainPem, chainPem);
  assert.equal(told[0]?.keyPem, keyPem);
  assert.equal(source.current(), told[0]);
  assert.equal(source.lastError(), undefined);
});

test('certificate first or key first, however slowly: no identity with a key of another is ever in force', async (context) => {
  for (const order of ['key first', 'certificate first']) {
    const { files, source, told } = await opened(context);
    const first = source.current();
    const { keyPem, chainPem } = await authority.issue('shop/orders');
    if (order === 'key first') writeFileSync(files.key, keyPem);
    else writeFileSync(files.cert, chainPem);
    await until('the first half', () => source.lastError() !== undefined);
    assert.equal(source.lastError(), 'the key is not that of the certificate');
    assert.equal(source.current(), first);
    if (order === 'key first') writeFileSync(files.cert, chainPem);
    else writeFileSync(files.key, keyPem);
    await until('the second half', () => told.length > 0);
    assert.deepEqual([told[0]?.chainPem, told[0]?.keyPem], [chainPem, keyPem]);
    assert.equal(source.lastError(), undefined);
  }
});

test('a new bundle alone is a change', async (context) => {
  const { files, source, told } = await opened(context);
  const both = authority.bundlePem + (await testAuthority()).bundlePem;
  replace(files.bundle, both);
  await until('the bundle', () => told.length > 0);
  assert.equal(source.current()?.bundlePem, both);
});

test('a file that is broken, emptied or of another workload without its key keeps the last good one, until it is mended', async (context) => {
  const { files, source, told } = await opened(context);
  const first = source.current();
  const original = {
    cert: first?.chainPem ?? '',
    key: first?.keyPem ?? '',
    bundle: first?.bundlePem ?? '',
  };
  for (const part of ['cert', 'key', 'bundle'] as const) {
    for (const broken of ['', 'garbage', original[part].slice(0, 100)]) {
      writeFileSync(files[part], broken);
      await until(`the broken ${part}`, () => source.lastError() !== undefined);
      assert.match(source.lastError() ?? '', /is not PEM that can be read/);
      assert.equal(source.current(), first);
      writeFileSync(files[part], original[part]);
      await until(`the mended ${part}`, () => source.lastError() === undefined);
    }
  }
  assert.deepEqual(told, []);
});

test('files that go away keep the last good identity', async (context) => {
  const { files, source, told } = await opened(context);
  rmSync(files.cert);
  const both = authority.bundlePem + (await testAuthority()).bundlePem;
  replace(files.bundle, both);
  await until('the missing file', () => source.lastError() !== undefined);
  assert.match(source.lastError() ?? '', /ENOENT.*cert\.pem/);
  assert.equal(source.current()?.bundlePem, authority.bundlePem);
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  writeFileSync(files.key, keyPem);
  replace(files.cert, chainPem);
  await until('the files that came back', () => told.length > 0);
  assert.deepEqual([source.current()?.chainPem, source.current()?.bundlePem], [chainPem, both]);
});

test('who stopped listening is told no more, and a closed source follows no files', async (context) => {
  const { files, source, told } = await opened(context);
  const told2: Identity[] = [];
  const stop = source.onChange((identity) => told2.push(identity));
  stop();
  replace(files.bundle, authority.bundlePem + authority.bundlePem);
  await until('the change', () => told.length === 1);
  assert.deepEqual(told2, []);
  const witness = openFileIdentity(files.cert, files.key, files.bundle);
  context.after(() => witness.close());
  source.close();
  replace(files.bundle, authority.bundlePem);
  await until('the change elsewhere', () => witness.current()?.bundlePem === authority.bundlePem);
  assert.equal(told.length, 1);
});

test('files that are broken at the start are refused', async (context) => {
  const files = await written(context);
  const open = () => openFileIdentity(files.cert, files.key, files.bundle);
  writeFileSync(files.bundle, '');
  assert.throws(open, /^Error: the bundle of trusted roots is not PEM/);
  rmSync(files.key);
  assert.throws(open, { code: 'ENOENT' });
});
