import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { createAuthority, type FileAuthority, openAuthority } from './authority.ts';
import { createRoot } from './certificates.ts';
import { mintJoinToken } from './join-token.ts';
import { readTrust } from './trust.ts';

const DAY_MS = 24 * 3_600_000;

async function opened(
  context: TestContext,
  dir: string,
  options: { trustDomain?: string; leafLifeMs?: number } = {},
): Promise<FileAuthority> {
  const authority = await openAuthority(dir, { trustDomain: 'mesh.local', ...options });
  context.after(() => authority.close());
  return authority;
}

const uriOf = (chain: string) => new X509Certificate(chain).subjectAltName;

test('an authority opened again has the same root, and its old leaves are still trusted', async (context) => {
  const dir = temporaryDir(context);
  const before = await openAuthority(dir, { trustDomain: 'mesh.local' });
  const { chain } = await before.issue(createCertificateRequest().csrPem, 'shop/orders');
  before.close();
  const after = await opened(context, dir);
  assert.equal(after.bundlePem, before.bundlePem);
  const root = new X509Certificate(after.bundlePem);
  assert.ok(new X509Certificate(chain).verify(root.publicKey));
  const renewed = await after.issue(createCertificateRequest().csrPem, 'shop/orders');
  assert.ok(new X509Certificate(renewed.chain).verify(root.publicKey), 'it signs with the same key');
});

test('authorities that open one new folder at the same time end up with one root', async (context) => {
  const dir = temporaryDir(context);
  const authorities = await Promise.all(Array.from({ length: 4 }, () => opened(context, dir)));
  const root = new X509Certificate(authorities[0]?.bundlePem ?? '');
  for (const authority of authorities) {
    assert.equal(authority.bundlePem, authorities[0]?.bundlePem);
    const { chain } = await authority.issue(createCertificateRequest().csrPem, 'shop/orders');
    assert.ok(new X509Certificate(chain).verify(root.publicKey));
  }
});

test("another trust domain's authority is refused: a typing error must not make a second mesh", async (context) => {
  const dir = temporaryDir(context);
  (await openAuthority(dir, { trustDomain: 'mesh.local' })).close();
  const bundle = readFileSync(join(dir, 'bundle.pem'), 'utf8');
  await assert.rejects(openAuthority(dir, { trustDomain: 'other.test' }), {
    message: `${dir} is the authority of the trust domain mesh.local, not of other.test: give another --state, or trustDomain: mesh.local`,
  });
  const again = await opened(context, dir);
  assert.equal(again.bundlePem, bundle, 'the refused one changed nothing');
});

test('bundle.pem has the trusted root and no key, and no half written file stays', async (context) => {
  const dir = join(temporaryDir(context), 'a', 'b');
  const authority = await opened(context, dir);
  assert.equal(authority.bundleFile, join(dir, 'bundle.pem'));
  const text = readFileSync(authority.bundleFile, 'utf8');
  assert.equal(text, authority.bundlePem);
  assert.ok(!text.includes('PRIVATE'));
  const root = new X509Certificate(text);
  assert.ok(root.ca && root.checkIssued(root) && root.verify(root.publicKey));
  assert.equal(root.subjectAltName, 'URI:spiffe://mesh.local');
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.startsWith('bundle')),
    ['bundle.pem'],
  );
});

test('no leaf outlives the root, and it is renewed in its own life', async (context) => {
  const authority = await opened(context, temporaryDir(context), { leafLifeMs: 40 * 365 * DAY_MS });
  const { chain, notAfter, renewAfterMs } = await authority.issue(
    createCertificateRequest().csrPem,
    'shop/orders',
  );
  const root = new X509Certificate(authority.bundlePem);
  assert.equal(new X509Certificate(chain).validTo, root.validTo);
  assert.equal(Date.parse(notAfter), root.validToDate.getTime());
  assert.ok(renewAfterMs < root.validToDate.getTime() - Date.now(), String(renewAfterMs));
});

test('a leaf lives as long as was asked, a day by default, and is to be renewed at 60 % of it', async (context) => {
  for (const leafLifeMs of [undefined, 60_000]) {
    const lifeMs = leafLifeMs ?? DAY_MS;
    const authority = await opened(context, temporaryDir(context), {
      ...(leafLifeMs !== undefined && { leafLifeMs }),
    });
    const from = Date.now();
    const { chain, notAfter, renewAfterMs } = await authority.issue(
      createCertificateRequest().csrPem,
      'shop/orders',
    );
    const to = Date.now();
    const end = new X509Certificate(chain).validToDate.getTime();
    assert.equal(Date.parse(notAfter), end);
    // Certificates count in whole seconds.
    assert.ok(end >= from + lifeMs - 1000 && end <= to + lifeMs, `${end - from}`);
    assert.ok(renewAfterMs <= lifeMs * 0.6 && renewAfterMs >= (end - to) * 0.6 - 1, String(renewAfterMs));
  }
});

test('who asks is known by the token, else by the certificate; a stranger without either gets nothing', async (context) => {
  const dir = temporaryDir(context);
  const authority = await opened(context, dir);
  const csr = createCertificateRequest().csrPem;
  const token = await mintJoinToken(dir, 'shop/orders', 60_000);
  assert.equal(
    uriOf((await authority.answer({ csr, token }, undefined)).response.chain),
    'URI:spiffe://mesh.local/ns/shop/sa/orders',
  );
  assert.equal(
    uriOf((await authority.answer({ csr }, 'shop/web')).response.chain),
    'URI:spiffe://mesh.local/ns/shop/sa/web',
  );
  await assert.rejects(authority.answer({ csr }, undefined), { code: 'ERR_NOT_ALLOWED' });
  await assert.rejects(authority.answer({ csr, token: `${token}x` }, 'shop/web'), { code: 'ERR_TOKEN' });
  await assert.rejects(authority.answer({ csr, token: '' }, 'shop/web'), { code: 'ERR_TOKEN' });
});

test('an authority that cannot be opened leaves no store open behind it', async (context) => {
  const dir = temporaryDir(context);
  (await openAuthority(dir, { trustDomain: 'mesh.local' })).close();
  await assert.rejects(openAuthority(dir, { trustDomain: 'other.test' }));
  // SQLite removes the journal when the last handle is closed.
  assert.ok(!existsSync(join(dir, 'authority.db-wal')));
});

test('an attacker with a token, or an old certificate, of the name of the control plane does not become it', async (context) => {
  const dir = temporaryDir(context);
  const authority = await opened(context, dir);
  const csr = createCertificateRequest().csrPem;
  const token = await mintJoinToken(dir, 'tulle-system/control-plane', 60_000);
  const message = 'the identity of the control plane is given to nobody';
  await assert.rejects(authority.answer({ csr, token }, undefined), { code: 'ERR_NOT_ALLOWED', message });
  await assert.rejects(authority.answer({ csr }, 'tulle-system/control-plane'), { code: 'ERR_NOT_ALLOWED' });
});

test('an attacker with the certificate of a workload that is gone does not live on by it', async () => {
  const root = await createRoot('mesh.local');
  const trust = await readTrust(root.certificatePem, root);
  const running = new Set(['shop/orders']);
  const authority = createAuthority(
    { current: () => trust, onChange() {}, problem: () => undefined, close() {} },
    {
      trustDomain: 'mesh.local',
      verifyToken: async () => ({ workload: 'shop/orders' }),
      mayRenew: (workload) => running.has(workload),
    },
  );
  const csr = createCertificateRequest().csrPem;
  assert.equal((await authority.answer({ csr }, 'shop/orders')).workload, 'shop/orders');
  running.clear();
  await assert.rejects(authority.answer({ csr }, 'shop/orders'), {
    code: 'ERR_NOT_ALLOWED',
    message: /no pod of shop\/orders is known any more/,
  });
  assert.equal((await authority.answer({ csr, token: 't' }, 'shop/orders')).workload, 'shop/orders');
});
