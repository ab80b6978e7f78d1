import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { ExplanationEntry } from './explanation-entry.ts';

test('an entry holds what the exchange held, and its time by the wall clock', () => {
  const exchange = exchangeFor('/a?secret=1', [], { listener: 'outbound', method: 'PUT', startMs: 1000 });
  Object.assign(exchange, {
    id: 'id-1',
    peer: 'shop/web',
    peerAddress: '10.0.0.9:1',
    route: 'shop/r',
    routeWhy: 'path prefix /',
    service: 'shop/orders',
    status: 502,
    reason: 'upstream-reset',
    detail: 'the upstream closed',
    requestBytes: 1,
    responseBytes: 2,
    mtls: true,
  });
  const attempt = {
    endpoint: '10.0.0.1:80',
    startMs: 0,
    durationMs: 3,
    result: 'upstream-reset',
    connectionReused: true,
  };
  exchange.attempts.push(attempt);
  exchange.note('retries', 'retried', 'on reset');
  const entry = new ExplanationEntry();
  entry.fill(exchange, 4.5);
  const { at, ...rest } = entry.explanation();
  assert.equal(at, performance.timeOrigin + 1000);
  assert.deepEqual(rest, {
    id: 'id-1',
    listener: 'outbound',
    peer: 'shop/web',
    peerAddress: '10.0.0.9:1',
    method: 'PUT',
    host: 'app',
    path: '/a',
    route: 'shop/r',
    routeWhy: 'path prefix /',
    service: 'shop/orders',
    attempts: [attempt],
    policies: [{ policy: 'retries', decision: 'retried', detail: 'on reset' }],
    status: 502,
    reason: 'upstream-reset',
    detail: 'the upstream closed',
    durationMs: 4.5,
    requestBytes: 1,
    responseBytes: 2,
    mtls: true,
  });
});

test('an attacker who sends a long path, host, method or header fills no memory: texts are clipped', () => {
  const exchange = exchangeFor(`/${'p'.repeat(30_000)}`, [`X-Long: ${'x'.repeat(20_000)}`], {
    method: 'M'.repeat(5000),
    host: 'h'.repeat(5000),
  });
  exchange.detail = 'd'.repeat(100_000);
  exchange.note('policy', 'decision', 'n'.repeat(100_000));
  const entry = new ExplanationEntry();
  entry.fill(exchange, 1);
  const { path, host, method, detail, policies } = entry.explanation();
  assert.equal(path, `/${'p'.repeat(508)}...`);
  assert.equal(host, `${'h'.repeat(252)}...`);
  assert.equal(method, `${'M'.repeat(29)}...`);
  assert.equal(detail, `${'d'.repeat(1021)}...`);
  assert.equal(policies[0]?.detail, `${'n'.repeat(1021)}...`);
});

test('a text that just fits is told whole', () => {
  const exchange = exchangeFor(`/${'p'.repeat(511)}`, [], { method: 'M'.repeat(32), host: 'h'.repeat(255) });
  exchange.detail = 'd'.repeat(1024);
  const entry = new ExplanationEntry();
  entry.fill(exchange, 1);
  const { path, host, method, detail } = entry.explanation();
  assert.deepEqual([path.length, host.length, method.length, detail.length], [512, 255, 32, 1024]);
  assert.ok(![path, host, method, detail].some((text) => text.endsWith('...')));
});

test('no more than sixteen attempts and notes are kept', () => {
  const exchange = exchangeFor();
  for (let i = 0; i < 40; i++) {
    exchange.note('policy', 'decision', String(i));
    exchange.attempts.push({
      endpoint: `e${i}`,
      startMs: i,
      durationMs: 1,
      result: '',
      connectionReused: false,
    });
  }
  const entry = new ExplanationEntry();
  entry.fill(exchange, 1);
  const { attempts, policies } = entry.explanation();
  assert.deepEqual(
    [attempts.length, policies.length, attempts[15]?.endpoint, policies[15]?.detail],
    [16, 16, 'e15', '15'],
  );
});

test('nothing of one request is told of the next one of the same place', () => {
  const first = exchangeFor('/one', [], { method: 'POST' });
  Object.assign(first, {
    id: '1',
    status: 500,
    reason: 'no-route',
    detail: 'words',
    mtls: true,
    peer: 'a/b',
  });
  first.note('p', 'd', 'words');
  for (const endpoint of ['a', 'b'])
    first.attempts.push({ endpoint, startMs: 0, durationMs: 0, result: '', connectionReused: false });
  const second = exchangeFor('/two');
  const [reused, fresh] = [new ExplanationEntry(), new ExplanationEntry()];
  reused.fill(first, 1);
  reused.fill(second, 2);
  fresh.fill(second, 2);
  assert.deepEqual(reused.explanation(), fresh.explanation());
});

test('what the connection does with its exchange later does not change what is told', () => {
  const exchange = exchangeFor();
  for (const endpoint of ['a', 'b'])
    exchange.attempts.push({ endpoint, startMs: 0, durationMs: 0, result: '', connectionReused: false });
  exchange.note('p', 'd', 'words');
  const entry = new ExplanationEntry();
  entry.fill(exchange, 1);
  exchange.attempts.length = 0;
  exchange.policies.length = 0;
  const { attempts, policies } = entry.explanation();
  assert.deepEqual([attempts.length, policies.length], [2, 1]);
});
