import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SignJWT, UnsecuredJWT } from 'jose';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { AuthorityError } from './authority-error.ts';
import { type AuthorityStore, openStore } from './authority-store.ts';
import { mintJoinToken, mintToken, verifyToken } from './join-token.ts';

function store(context: TestContext, dir = temporaryDir(context)): AuthorityStore {
  const opened = openStore(dir);
  context.after(() => opened.close());
  return opened;
}

/** The key that the store signs with, once a token was made. */
async function keyOf(authority: AuthorityStore): Promise<Buffer> {
  await mintToken(authority, 'shop/orders', 60_000);
  const key = authority.secret('join-token');
  assert.ok(key !== undefined && key.length === 32);
  return key;
}

/** A token with everything right but for what `change` does. */
async function signed(
  key: Uint8Array,
  change: (token: SignJWT) => SignJWT,
  header: { alg: string } = { alg: 'HS256' },
): Promise<string> {
  const right = new SignJWT()
    .setProtectedHeader(header)
    .setSubject('shop/orders')
    .setAudience('tulle')
    .setIssuedAt()
    .setExpirationTime('1m');
  return change(right).sign(key);
}

/** Why the token is refused. No part of it that only its owner knows may be told. */
async function refusal(authority: AuthorityStore, token: string): Promise<string> {
  try {
    await verifyToken(authority, token);
  } catch (error) {
    assert.ok(error instanceof AuthorityError);
    assert.equal(error.code, 'ERR_TOKEN');
    for (const part of token.split('.').filter((text) => text.length > 3))
      assert.ok(!`${error.message}${error.stack}${error.cause}`.includes(part), error.message);
    return error.message;
  }
  throw new assert.AssertionError({ message: 'the token was believed' });
}

const NOT_OURS = 'the join token is not one of this authority for audience tulle';

test('a token says whose it is, in the process that made it and in another that opens the same state', async (context) => {
  const dir = temporaryDir(context);
  await assert.rejects(mintJoinToken(dir, 'shop/orders', 60_000), {
    message: `${dir} is not the state of a control plane: there is no authority.db in it`,
  });
  store(context, dir);
  const token = await mintJoinToken(dir, 'shop/orders', 60_000);
  assert.equal(await verifyToken(store(context, dir), token), 'shop/orders');
  assert.equal(await verifyToken(store(context, dir), token), 'shop/orders');
  const other = await mintJoinToken(dir, 'shop/orders', 60_000);
  assert.notEqual(other, token, 'no two tokens are the same');
});

test('an attacker with a token that has expired is refused, and told what to do', async (context) => {
  const authority = store(context);
  const token = await mintToken(authority, 'shop/orders', -1000);
  assert.equal(
    await refusal(authority, token),
    'the join token has expired: make another with `tulle token`',
  );
});

test('an attacker with a token of another authority is refused', async (context) => {
  const token = await mintToken(store(context), 'shop/orders', 60_000);
  assert.equal(await refusal(store(context), token), NOT_OURS);
});

test('a token of the right key for another audience is refused, or without any', async (context) => {
  const authority = store(context);
  const key = await keyOf(authority);
  assert.equal(await verifyToken(authority, await signed(key, (token) => token)), 'shop/orders');
  assert.equal(await refusal(authority, await signed(key, (token) => token.setAudience('vault'))), NOT_OURS);
  const bare = new SignJWT().setProtectedHeader({ alg: 'HS256' }).setSubject('shop/orders');
  assert.equal(await refusal(authority, await bare.setExpirationTime('1m').sign(key)), NOT_OURS);
});

test('a token that never ends, or names nobody, is refused although its key is right', async (context) => {
  const authority = store(context);
  const key = await keyOf(authority);
  const endless = new SignJWT().setProtectedHeader({ alg: 'HS256' }).setSubject('shop/orders');
  assert.equal(await refusal(authority, await endless.setAudience('tulle').sign(key)), NOT_OURS);
  const nobody = new SignJWT().setProtectedHeader({ alg: 'HS256' }).setAudience('tulle');
  assert.equal(await refusal(authority, await nobody.setExpirationTime('1m').sign(key)), NOT_OURS);
});

test('an attacker who takes the signature away is refused: alg none, and an empty signature', async (context) => {
  const authority = store(context);
  const unsigned = new UnsecuredJWT()
    .setSubject('shop/orders')
    .setAudience('tulle')
    .setIssuedAt()
    .setExpirationTime('1m')
    .encode();
  assert.equal(await refusal(authority, unsigned), NOT_OURS);
  const token = await mintToken(authority, 'shop/orders', 60_000);
  assert.equal(await refusal(authority, token.slice(0, token.lastIndexOf('.') + 1)), NOT_OURS);
});

test('another algorithm than HS256 is refused, with the right key too', async (context) => {
  const authority = store(context);
  const key = Buffer.concat([await keyOf(authority), Buffer.alloc(32)]);
  // HMAC pads keys with zeros: HS512 by the same secret.
  assert.equal(await refusal(authority, await signed(key, (token) => token, { alg: 'HS512' })), NOT_OURS);
});

test('an attacker who changes the subject of a good token is refused', async (context) => {
  const authority = store(context);
  const [header, payload = '', signature] = (await mintToken(authority, 'shop/web', 60_000)).split('.');
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const forged = Buffer.from(JSON.stringify(Object.assign({}, claims, { sub: 'shop/bank' })));
  assert.equal(await refusal(authority, `${header}.${forged.toString('base64url')}.${signature}`), NOT_OURS);
});

test('what is no token, or too long for one, is refused before it is looked at', async (context) => {
  const authority = store(context);
  for (const text of ['', 'a', 'a.b.c', '....', '\0'.repeat(100), `${'x'.repeat(4000)}.y.z`])
    assert.equal(await refusal(authority, text), NOT_OURS);
  const token = await mintToken(authority, 'shop/orders', 60_000);
  assert.equal(await refusal(authority, token.padEnd(8193, 'x')), 'the join token is too long');
});

test('only a workload gets a token, and only the name of one is believed', async (context) => {
  const authority = store(context);
  const key = await keyOf(authority);
  for (const name of ['orders', 'shop/orders/x', 'Shop/orders', 'shop/', '../x', 'shop/a\nb', 'shop/*']) {
    await assert.rejects(mintToken(authority, name, 60_000), { code: 'ERR_TOKEN' });
    assert.equal(
      await refusal(authority, await signed(key, (token) => token.setSubject(name))),
      'the join token names no workload',
    );
  }
});
