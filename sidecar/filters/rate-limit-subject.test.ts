import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_SUBJECT } from '../../protocol/quotas/messages.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { networkOf, subjectOf } from './rate-limit-subject.ts';

function subject(
  by: string,
  lines: readonly string[] = [],
  more: { peer?: string; peerAddress?: string } = {},
) {
  return subjectOf(by.split(','))(Object.assign(exchangeFor('/p?q=1', lines), more));
}

test('all together are one subject', () => {
  assert.equal(subjectOf([])(exchangeFor()), '');
});

test('a client is who proved to be it, a stranger his address', () => {
  const peerAddress = '10.1.2.3:555';
  assert.equal(subject('client', [], { peer: 'shop/web', peerAddress }), 'shop/web');
  assert.equal(subject('client', [], { peerAddress }), '10.1.2.3');
  assert.equal(subject('ip', ['X-Forwarded-For: 9.9.9.9'], { peer: 'shop/web', peerAddress }), '10.1.2.3');
});

test('an attacker who changes his IPv6 address in his network stays the same', () => {
  assert.equal(networkOf('[2001:db8:1:2:3:4:5:6]:80'), '2001:db8:1:2::/64');
  assert.equal(networkOf('2001:db8:1:2::9:80'), '2001:db8:1:2::/64');
  assert.equal(networkOf('2001:db8::9:80'), '2001:db8:0:0::/64');
  assert.equal(networkOf('::1:80'), '0:0:0:0::/64');
  assert.equal(networkOf('::ffff:10.0.0.1:80'), '10.0.0.1');
});

test('parts of one subject cannot be shifted into one another', () => {
  const of = (a: string, b: string) => subject('header:a,header:b', [`A: ${a}`, `B: ${b}`]);
  assert.notEqual(of('x', 'y z'), of('x y', 'z'));
  assert.equal(subject('path,header:a', ['A: v']), '/p\nv');
});

test('a long value is hashed, and so is what is secret', () => {
  const long = subject('header:a', [`A: ${'x'.repeat(1000)}`]);
  assert.match(long, /^sha256:[\w-]{43}$/);
  assert.ok(long.length <= MAX_SUBJECT);
  for (const [by, line] of [
    ['api-key', 'X-Api-Key: hunter2'],
    ['header:authorization', 'Authorization: hunter2'],
    ['header:cookie', 'Cookie: hunter2'],
  ] as const)
    assert.match(subject(by, [line]), /^sha256:/);
  assert.equal(subject('api-key'), '');
});

test('claims of what is no token, or holds none, are those of nobody', () => {
  const bearer = (payload: string) => [
    `Authorization: Bearer e30.${Buffer.from(payload).toString('base64url')}.sig`,
  ];
  assert.equal(subject('claim:org.id', bearer('{"org":{"id":7}}')), '7');
  assert.equal(subject('claim:sub', bearer('{"sub":"a\\nb"}')), 'a b');
  for (const payload of ['', '{', 'null', '[]', '{"sub":{}}', '{"sub":null}', '"x"'])
    assert.equal(subject('claim:sub', bearer(payload)), '', payload);
  assert.equal(subject('claim:toString', bearer('{}')), '');
  assert.equal(subject('claim:sub', ['Authorization: Basic abc']), '');
});
