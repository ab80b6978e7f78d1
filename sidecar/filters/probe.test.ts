import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { type Probe, unlessProbe } from './probe.ts';
import { requireMtls } from './require-mtls.ts';

const control = { resume: () => assert.fail(), answer: () => assert.fail() };

function refused(probes: readonly Probe[], target: string, method = 'GET'): boolean {
  const exchange = exchangeFor(target);
  exchange.method = method;
  const [filter] = unlessProbe(probes, [requireMtls('shop/orders:80')]);
  return filter?.onRequest?.(exchange, control) !== undefined;
}

const HTTP: Probe = { kind: 'http', path: '/healthz', query: 'full=1' };

test('the probe that the pod declares is let in without a certificate', () => {
  assert.equal(refused([HTTP], '/healthz?full=1'), false);
  assert.equal(refused([HTTP], '/healthz?full=1', 'HEAD'), false);
  assert.equal(refused([{ kind: 'grpc' }], '/grpc.health.v1.Health/Check', 'POST'), false);
});

test('an attacker gets no further by what only looks like a probe', () => {
  for (const target of [
    '/healthz',
    '/healthz?full=2',
    '/healthz/../admin',
    '/healthz%3Ffull=1',
    '/',
    '//healthz?full=1',
  ])
    assert.equal(refused([HTTP], target), true, target);
  assert.equal(refused([HTTP], '/healthz?full=1', 'POST'), true);
  assert.equal(refused([HTTP], '/grpc.health.v1.Health/Check', 'POST'), true);
  assert.equal(refused([{ kind: 'grpc' }], '/grpc.health.v1.Health/Watch', 'POST'), true);
  assert.equal(refused([{ kind: 'grpc' }], '/grpc.health.v1.Health/Check', 'GET'), true);
});

test('without probes the filters are what they were', () => {
  const filters = [requireMtls('shop/orders:80')];
  assert.equal(unlessProbe([], filters), filters);
});
