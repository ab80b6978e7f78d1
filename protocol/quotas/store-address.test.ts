import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStoreAddress } from './store-address.ts';

const node = (host: string, port: number) => ({ host, port });

test('a store is memory, one Redis, one behind Sentinels, or a cluster', () => {
  assert.deepEqual(parseStoreAddress('memory'), { kind: 'memory' });
  const one = { kind: 'single', nodes: [node('redis', 6379)], tls: false, db: 0 };
  assert.deepEqual(parseStoreAddress('redis://redis'), one);
  assert.deepEqual(parseStoreAddress('rediss://tulle@[::1]:7000/3'), {
    ...one,
    nodes: [node('::1', 7000)],
    tls: true,
    user: 'tulle',
    db: 3,
  });
  assert.deepEqual(parseStoreAddress('redis+sentinel://a,b:1/main/2'), {
    ...one,
    kind: 'sentinel',
    nodes: [node('a', 26_379), node('b', 1)],
    master: 'main',
    db: 2,
  });
  assert.deepEqual(parseStoreAddress('rediss+cluster://a,b'), {
    ...one,
    kind: 'cluster',
    nodes: [node('a', 6379), node('b', 6379)],
    tls: true,
  });
});

test('what is no store is refused, with words for why', () => {
  for (const [text, why] of [
    ['', /no store/],
    ['file:///etc/passwd', /no store/],
    ['redis://', /no store/],
    ['redis://a,b', /several hosts/],
    ['redis://a:0', /host/],
    ['redis://a:99999', /host/],
    ['redis://a b', /host/],
    ['redis://a/x', /database/],
    ['redis://a b@c', /user/],
    ['redis+sentinel://a/m n', /no store/],
    ['redis+sentinel://a', /master/],
    ['redis+cluster://a/1', /cluster/],
  ] as const)
    assert.match(String(parseStoreAddress(text)), why, text);
});

test('a password in an address is refused and not repeated', () => {
  const wrong = String(parseStoreAddress('redis://user:hunter2@host'));
  assert.match(wrong, /password/);
  assert.doesNotMatch(wrong, /hunter2/);
});
