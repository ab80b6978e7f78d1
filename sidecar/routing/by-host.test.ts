import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByHost } from './by-host.ts';

function of(...hostnames: (string | undefined)[]): (host: string) => string | undefined {
  const index = new ByHost<{ name: string }>();
  for (const hostname of hostnames) index.add(hostname, { name: hostname ?? 'all' });
  return (host) => index.find(host)?.name;
}

test('an exact name comes before wildcards, the longest of them before others, and what is for all comes last', () => {
  const find = of(undefined, '*.com', '*.example.com', '*.foo.example.com', 'abc.foo.example.com');
  for (const [host, found] of [
    ['abc.foo.example.com', 'abc.foo.example.com'],
    ['x.abc.foo.example.com', '*.foo.example.com'],
    ['bar.foo.example.com', '*.foo.example.com'],
    ['foo.example.com', '*.example.com'],
    ['example.com', '*.com'],
    ['com', 'all'],
    ['other.test', 'all'],
    ['', 'all'],
  ] as const)
    assert.equal(find(host), found, host);
});

test('a wildcard stands for one label or more, never for none', () => {
  const find = of('*.example.com');
  assert.equal(find('a.example.com'), '*.example.com');
  assert.equal(find('a.b.example.com'), '*.example.com');
  for (const host of ['example.com', '.example.com', 'badexample.com', 'example.com.evil', ''])
    assert.equal(find(host), undefined, host);
});

test('names are compared in lower case, and the first that takes one keeps it', () => {
  const index = new ByHost<{ by: number }>();
  index.add('Shop.Test', { by: 1 });
  index.add('shop.test', { by: 2 });
  index.add('*.TEST', { by: 3 });
  index.add('*.test', { by: 4 });
  index.add(undefined, { by: 5 });
  index.add('*', { by: 6 });
  index.add('', { by: 7 });
  assert.deepEqual(
    ['shop.test', 'x.test', 'x'].map((host) => index.find(host)?.by),
    [1, 3, 5],
  );
  assert.deepEqual(
    [...index.values()].map(({ by }) => by),
    [1, 3, 5],
  );
});

test('nothing is found where nothing was put', () => {
  const index = new ByHost();
  assert.ok(index.isEmpty);
  assert.equal(index.find('shop.test'), undefined);
  index.add('*.test', {});
  assert.ok(!index.isEmpty);
});

test('an attacker who names a host of thousands of labels has none of them looked up', (context) => {
  const names = new ByHost<{ name: string }>();
  names.add('*.example.test', { name: 'below' });
  names.add(undefined, { name: 'all' });
  const looks = context.mock.method(Map.prototype, 'get').mock;
  const found = names.find(`${'a.'.repeat(30_000)}example.test`);
  const count = looks.callCount();
  looks.restore();
  assert.deepEqual(found, { name: 'all' });
  assert.ok(count < 10, `${count} looks`);
});
