import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutDotSegments } from './dot-segments.ts';

test('dot segments are taken out as in RFC 3986 section 5.2.4, percent-encoded ones too', () => {
  for (const [path, expected] of [
    ['/a/b/c/./../../g', '/a/g'],
    ['/open/../admin', '/admin'],
    ['/open/%2e%2E/admin', '/admin'],
    ['/open/.%2e/admin', '/admin'],
    ['/open/%2e/x', '/open/x'],
    ['/../../x', '/x'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/.', '/'],
    ['/a//../b', '/a/b'],
  ] as const)
    assert.equal(withoutDotSegments(path), expected, path);
});

test('all other paths stay as they are', () => {
  for (const path of [
    '/',
    '/a/b',
    '/a//b/',
    '/.well-known/x',
    '/a/...',
    '/a..b',
    '/%2f',
    '/%2e.a',
    '/..;/x',
    '*',
    '',
  ])
    assert.equal(withoutDotSegments(path), path, path);
});

test('an attacker gains no time by many dots', () => {
  assert.equal(withoutDotSegments('/a/..'.repeat(10_000)), '/');
  assert.equal(withoutDotSegments('/a'.repeat(10_000) + '/..'.repeat(10_000)), '/');
});
