import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type TestAuthority, testAuthority } from '../identity/authority.fixture.ts';
import type { Identity } from '../identity/identity.ts';
import type { IdentityMessage } from './messages.ts';
import { ToldIdentity } from './told-identity.ts';

let authority: TestAuthority;
before(async () => {
  authority = await testAuthority();
});

async function message(): Promise<IdentityMessage> {
  const { chainPem, keyPem, bundlePem } = await authority.identity('shop/orders');
  return {
    type: 'identity',
    chainPem,
    keyPem,
    bundlePem,
    ticketKeys: Buffer.alloc(48, 7).toString('base64'),
  };
}

test('none before the first word, then what was told last, each told on', async () => {
  const source = new ToldIdentity();
  assert.equal(source.current(), undefined);
  assert.equal(source.lastError(), 'the supervisor has none yet');
  const heard: Identity[] = [];
  const stop = source.onChange((identity) => heard.push(identity));
  const [first, second, third] = [await message(), await message(), await message()];
  source.take(first);
  assert.equal(source.lastError(), undefined);
  source.take(second);
  stop();
  source.take(third);
  assert.deepEqual(
    heard.map(({ keyPem }) => keyPem),
    [first.keyPem, second.keyPem],
  );
  assert.equal(source.current()?.keyPem, third.keyPem);
  assert.equal(source.current()?.workload, 'shop/orders');
  assert.deepEqual(source.current()?.ticketKeys, Buffer.alloc(48, 7));
});

test('a key of another certificate, or half a key of tickets, leaves the last good identity', async () => {
  const source = new ToldIdentity();
  const [good, other] = [await message(), await message()];
  source.take(good);
  assert.throws(
    () => source.take({ ...other, keyPem: good.keyPem }),
    /the key is not that of the certificate/,
  );
  assert.throws(
    () => source.take({ ...other, ticketKeys: 'AAAA' }),
    /3 bytes are no keys of session tickets/,
  );
  assert.equal(source.current()?.chainPem, good.chainPem);
});
