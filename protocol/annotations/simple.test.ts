import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllow, parseCoalesce, parseCompress, parseMtls, parseOpaquePorts } from './simple.ts';

test('coalesce is a switch', () => {
  assert.deepEqual(parseCoalesce(' on '), { coalesce: true });
  assert.deepEqual(parseCoalesce('off'), { coalesce: false });
  for (const text of ['', 'true', 'yes', 'ON', '1']) {
    assert.deepEqual(parseCoalesce(text), {
      wrong: 'is not a switch',
      meant: 'write "on" or "off", in quotes',
    });
  }
});

test('compress lists content codings in their order', () => {
  assert.deepEqual(parseCompress('gzip,br, zstd'), { compress: ['gzip', 'br', 'zstd'] });
  assert.deepEqual(parseCompress('zstd'), { compress: ['zstd'] });
  assert.deepEqual(parseCompress('off'), { compress: [] });
});

test('a content coding that is not known is named', () => {
  for (const [text, odd] of [
    ['deflate', 'deflate'],
    ['gzip,', ''],
    ['gzip, identity', 'identity'],
    ['gzip br', 'gzip br'],
    ['off,gzip', 'off'],
  ]) {
    assert.deepEqual(parseCompress(text ?? ''), {
      wrong: `has "${odd}", which is no content coding here`,
      meant: 'write some of gzip,br,zstd, or off',
    });
  }
});

test('mTLS is strict or permissive; a misspelled strict is told, not taken as something weaker', () => {
  assert.deepEqual(parseMtls('strict'), { mtls: 'strict' });
  assert.deepEqual(parseMtls(' permissive '), { mtls: 'permissive' });
  for (const text of ['', 'Strict', 'stict', 'off', 'strict,permissive']) {
    assert.deepEqual(parseMtls(text), { wrong: 'is not an mTLS mode', meant: 'write strict or permissive' });
  }
});

test('allow lists callers', () => {
  assert.deepEqual(parseAllow('web, payments/checkout,admin/*'), {
    allow: ['web', 'payments/checkout', 'admin/*'],
  });
});

test('a caller pattern that means nobody or everybody is named', () => {
  for (const [text, told] of [
    ['', '""'],
    ['web,', '""'],
    ['*', '"*"'],
    ['web, */*', '"*/*"'],
    ['Web', '"Web"'],
    ['web\n*', '"web\\n*"'],
    ['spiffe://td/ns/a/sa/b', '"spiffe://td/ns/a/sa/b"'],
  ]) {
    assert.deepEqual(parseAllow(text ?? ''), {
      wrong: `has ${told}, which names no caller`,
      meant: 'write service accounts, like "web, payments/checkout" or "payments/*"',
    });
  }
});

test('opaque ports are whole decimal numbers from 1 to 65535', () => {
  assert.deepEqual(parseOpaquePorts('3306, 6379'), { opaquePorts: [3306, 6379] });
  assert.deepEqual(parseOpaquePorts('1,65535'), { opaquePorts: [1, 65535] });
  for (const text of [
    '',
    '0',
    '65536',
    '80,',
    '-1',
    '80.5',
    '80.0',
    '0x50',
    '1e3',
    'http',
    '80 81',
    '80-90',
  ]) {
    assert.deepEqual(
      parseOpaquePorts(text),
      { wrong: 'is not a list of ports', meant: 'write port numbers from 1 to 65535, like "3306,6379"' },
      text,
    );
  }
});
