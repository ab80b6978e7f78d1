import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { NO_HASH, textHash } from '../http/text-hash.ts';
import { hashKey } from './hash-key.ts';

function bearer(claims: object | string): string {
  const text = typeof claims === 'string' ? claims : JSON.stringify(claims);
  return `Authorization: Bearer e30.${Buffer.from(text).toString('base64url')}.c2ln`;
}

const read = (hashOn: string, ...lines: string[]): number => hashKey(hashOn)(exchangeFor('/', lines));

test('a header, a cookie: whole values, names of headers in any case', () => {
  assert.equal(read('header:X-User', 'x-user: ann'), textHash('ann'));
  assert.equal(read('cookie:sid', 'Cookie: a=1; sid=s3; xsid=9'), textHash('s3'));
  assert.equal(read('header:x-user', 'x-other: ann'), NO_HASH);
  assert.equal(read('header:x-user', 'x-user:'), NO_HASH);
  assert.equal(read('cookie:sid', 'Cookie: xsid=9'), NO_HASH);
});

test('the source is the IP of the caller, whatever its port', () => {
  const of = (peerAddress: string): number =>
    hashKey('source')(Object.assign(exchangeFor(), { peerAddress }));
  assert.equal(of('10.0.0.1:999'), textHash('10.0.0.1'));
  assert.equal(of('10.0.0.1:1000'), of('10.0.0.1:2'));
  assert.notEqual(of('10.0.0.2:999'), of('10.0.0.1:999'));
  assert.equal(of('[fd00::1]:1'), of('[fd00::1]:2'));
  assert.equal(of(''), NO_HASH);
});

test('a claim of a bearer token, by its whole name or as a way into objects', () => {
  assert.equal(read('claim:sub', bearer({ sub: 'ann' })), textHash('ann'));
  assert.equal(read('claim:tenant', bearer({ tenant: 7 })), textHash('7'));
  assert.equal(read('claim:act.sub', bearer({ act: { sub: 'bob' } })), textHash('bob'));
  assert.equal(read('claim:act.sub', bearer({ 'act.sub': 'eve', act: { sub: 'bob' } })), textHash('eve'));
});

test('a caller who sends something else than a token with the claim is balanced as one without a key', () => {
  for (const line of [
    'X: 1',
    'Authorization: Basic YTpi',
    'Authorization: Bearer opaque',
    'Authorization: Bearer a.b',
    'Authorization: Bearer a.!.c',
    bearer('not json'),
    bearer('null'),
    bearer({}),
    bearer({ sub: { deep: 1 } }),
    bearer('{"__proto__":{"sub":"x"}}'),
    bearer({ sub: 'x'.repeat(20_000) }),
  ])
    assert.equal(read('claim:sub', line), NO_HASH, line.slice(0, 60));
  assert.equal(read('claim:toString', bearer({ sub: 'x' })), NO_HASH);
});

test('an attacker with a new token each time fills no memory, and is told apart all the same', () => {
  const key = hashKey('claim:sub');
  for (let user = 0; user < 2_000; user++)
    assert.equal(key(exchangeFor('/', [bearer({ sub: `u${user}` })])), textHash(`u${user}`));
});
