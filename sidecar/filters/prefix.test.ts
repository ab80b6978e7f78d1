import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixReplacer } from './prefix.ts';

test('replacements are those of the table of the Gateway API', () => {
  for (const [path, prefix, replacement, expected] of [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
  ] as const) {
    const matches = [{ path: { type: 'PathPrefix' as const, value: prefix }, headers: [], query: [] }];
    assert.equal(
      prefixReplacer(matches, replacement)(path),
      expected,
      `${path}: ${prefix} by ${replacement}`,
    );
  }
});
