import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHealthCheck } from './health-check.ts';
import { isWrong } from './parsed.ts';

/** What is wrong with `text`; fails if nothing is. */
function wrong(text: string): string {
  const parsed = parseHealthCheck(text);
  assert.ok(isWrong(parsed), text);
  assert.match(
    parsed.meant,
    /^write grpc, grpc SERVICE, http PATH or tcp, and how often, like "grpc every 10s"/,
  );
  return parsed.wrong;
}

test('each way to check, with what it asks for and how often', () => {
  const times = { everyMs: 10_000, timeoutMs: 1_000 };
  for (const [text, kind, target] of [
    ['grpc every 10s', 'grpc', ''],
    ['grpc my.pkg.Service every 10s', 'grpc', 'my.pkg.Service'],
    ['http /healthz every 10s', 'http', '/healthz'],
    ['http / every 10s', 'http', '/'],
    ['http /every?a=b&c=%20 every 10s', 'http', '/every?a=b&c=%20'],
    ['  tcp   every  10s ', 'tcp', ''],
  ] as const) {
    assert.deepEqual(parseHealthCheck(text), { healthCheck: { kind, target, ...times } }, text);
  }
});

test('a timeout of its own, up to the time between two checks', () => {
  for (const [text, everyMs, timeoutMs] of [
    ['tcp every 5s timeout 250ms', 5_000, 250],
    ['tcp every 1s timeout 1s', 1_000, 1_000],
    ['tcp every 2m timeout 1.5m', 120_000, 90_000],
  ] as const) {
    assert.deepEqual(
      parseHealthCheck(text),
      { healthCheck: { kind: 'tcp', target: '', everyMs, timeoutMs } },
      text,
    );
  }
});

test('off takes back what a policy set', () => {
  assert.deepEqual(parseHealthCheck(' off '), { unset: 'healthCheck' });
});

test('what is wrong is named', () => {
  for (const text of ['', 'on', 'grpc', 'tcp 5s', 'off off', '__proto__'])
    assert.equal(wrong(text), 'is not a health check', text);
  assert.equal(wrong('ping every 5s'), 'is not a health check: "ping" is no way to check');
  assert.equal(wrong('every 5s'), 'is not a health check: "" is no way to check');
  assert.equal(wrong('off every 5s'), 'is not a health check: "off" is no way to check');
  assert.equal(wrong('http every 5s'), 'is not a health check: http needs a path');
  assert.equal(wrong('http healthz every 5s'), 'is not a health check: "healthz" is no path');
  assert.equal(wrong('http /a#b every 5s'), 'is not a health check: "/a#b" is no path');
  assert.equal(wrong('http /a /b every 5s'), 'is not a health check: "/b" is one word too many');
  assert.equal(wrong('tcp 80 every 5s'), 'is not a health check: tcp asks for nothing, not for "80"');
  assert.equal(wrong('grpc a:b every 5s'), 'is not a health check: "a:b" is no name of a gRPC service');
});

test('times that are none, too short, or at odds with each other are refused', () => {
  for (const text of [
    'tcp every',
    'tcp every 5',
    'tcp every 0s',
    'tcp every 25h',
    'tcp every 5s within 1s',
    'tcp every 5s timeout',
    'tcp every 5s timeout 1',
    'tcp every 5s timeout 1s more',
    'tcp every every 5s',
  ])
    assert.equal(wrong(text), 'has other times than those of a health check', text);
  assert.equal(wrong('tcp every 999ms timeout 1ms'), 'checks more often than once a second');
  assert.equal(wrong('tcp every 2s timeout 2.001s'), 'has a timeout above the time between two checks');
});

test('nobody writes a header of their own into the probe: line ends and other than visible ASCII are no path', () => {
  for (const path of ['/a\r\nx-evil:', '/a\u0000', '/\u00e9', '/a\u2028b', '/a\tb'])
    assert.ok(isWrong(parseHealthCheck(`http ${path} every 5s`)), JSON.stringify(path));
  assert.ok(isWrong(parseHealthCheck('grpc a\u0000b every 5s')));
  assert.ok(isWrong(parseHealthCheck(`grpc ${'a'.repeat(201)} every 5s`)));
});
