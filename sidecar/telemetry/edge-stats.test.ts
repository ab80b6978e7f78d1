import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { BUCKETS_BYTES, BUCKETS_MS, bucketOf } from './buckets.ts';
import { addNamed, EdgeStats, type Outcome } from './edge-stats.ts';

function stats(): EdgeStats {
  return new EdgeStats({
    reporter: 'source',
    source: 'shop/web',
    destination: 'shop/orders',
    protocol: 'http',
    mtls: false,
  });
}

const sorted = (outcomes: Outcome[]) =>
  [...outcomes].sort((a, b) => a.status - b.status || a.reason.localeCompare(b.reason));

test('outcomes are counted by status and reason', () => {
  const one = stats();
  one.observe(200, 1, 0, 0, '');
  one.observe(200, 1, 0, 0, '');
  one.observe(503, 1, 0, 0, 'pool-full');
  one.observe(503, 1, 0, 0, 'no-endpoint');
  one.observe(503, 1, 0, 0, 'pool-full');
  one.observe(503, 1, 0, 0, '');
  assert.deepEqual(sorted(one.outcomes()), [
    { status: 200, grpcStatus: -1, reason: '', count: 2 },
    { status: 503, grpcStatus: -1, reason: '', count: 1 },
    { status: 503, grpcStatus: -1, reason: 'no-endpoint', count: 1 },
    { status: 503, grpcStatus: -1, reason: 'pool-full', count: 2 },
  ]);
});

test('gRPC calls are counted by their gRPC status too, and one without status as any request', () => {
  const one = stats();
  one.observe(200, 1, 0, 0, '', 0);
  one.observe(200, 1, 0, 0, '', 14);
  one.observe(200, 1, 0, 0, '', 0);
  one.observe(503, 1, 0, 0, 'no-endpoint', 14);
  one.observe(200, 1, 0, 0, '');
  assert.deepEqual(
    one.outcomes().map(({ status, grpcStatus, reason, count }) => [status, grpcStatus, reason, count]),
    [
      [200, -1, '', 1],
      [200, 0, '', 2],
      [200, 14, '', 1],
      [503, 14, 'no-endpoint', 1],
    ],
  );
});

test('an upstream that invents gRPC statuses makes no counters without end', () => {
  const one = stats();
  for (let status = 100; status < 1100; status++) one.observe(200, 1, 0, 0, '', status);
  for (let i = 0; i < 1000; i++) one.observe(200, 1, 0, 0, '', Number.NaN);
  assert.ok(one.outcomes().length <= 20, `${one.outcomes().length} counters`);
});

test('statuses that another edge saw first do not appear here', () => {
  const [first, second] = [stats(), stats()];
  for (let status = 100; status < 600; status++) first.observe(status, 1, 0, 0, '');
  second.observe(599, 1, 0, 0, '');
  assert.deepEqual(second.outcomes(), [{ status: 599, grpcStatus: -1, reason: '', count: 1 }]);
  assert.equal(first.outcomes().length, 500);
});

test('an upstream that invents statuses makes no new counters: they count as none', () => {
  const one = stats();
  for (const status of [0, -1, 600, 999, 65_536]) one.observe(status, 1, 0, 0, '');
  assert.deepEqual(one.outcomes(), [{ status: 0, grpcStatus: -1, reason: '', count: 5 }]);
});

test('durations and sizes are counted by bucket and summed, at random', () => {
  const random = seeded(11);
  const one = stats();
  const durations = new Float64Array(BUCKETS_MS.length + 1);
  const requests = new Float64Array(BUCKETS_BYTES.length + 1);
  const responses = new Float64Array(BUCKETS_BYTES.length + 1);
  const sums = [0, 0, 0];
  const add = (counts: Float64Array, bounds: readonly number[], value: number, sum: number) => {
    const bucket = bucketOf(bounds, value);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    sums[sum] = (sums[sum] ?? 0) + value;
  };
  for (let i = 0; i < 1000; i++) {
    const [ms, sent, got] = [random() * 20_000, Math.floor(random() * 3e7), Math.floor(random() * 3000)];
    one.observe(200, ms, sent, got, i % 3 === 0 ? 'upstream-reset' : '');
    add(durations, BUCKETS_MS, ms, 0);
    add(requests, BUCKETS_BYTES, sent, 1);
    add(responses, BUCKETS_BYTES, got, 2);
  }
  assert.deepEqual(one.durations, durations);
  assert.deepEqual(one.requestSizes, requests);
  assert.deepEqual(one.responseSizes, responses);
  assert.deepEqual([one.durationSumMs, one.requestBytes, one.responseBytes], sums);
  assert.equal(one.requests, 1000);
});

/** Requests at random, among them such of every kind of outcome. */
function observeSome(one: EdgeStats, seed: number): void {
  const random = seeded(seed);
  for (let i = 0; i < 300; i++) {
    const [ms, sent, got] = [random() * 20_000, Math.floor(random() * 3e7), Math.floor(random() * 3000)];
    one.observe(200 + (i % 7) * 50, ms, sent, got, i % 3 === 0 ? `reason-${i % 5}` : '', (i % 4) - 1);
  }
  one.retries += seed;
  one.delays += seed;
  one.tcpOpened += seed + 1;
  one.tcpClosed += seed;
  one.tcpReceivedBytes += seed * 10;
  one.tcpSentBytes += seed * 20;
  addNamed(one.tcpFailures, `reason-${seed}`, seed);
  addNamed(one.tcpFailures, 'tcp-idle', 1);
  addNamed(one.withheld, 'budget', seed);
  addNamed(one.hedges, `result-${seed}`, 1);
}

test('counters that were sent as JSON and added to others are as if all had been counted in one place', () => {
  const [together, first, second] = [stats(), stats(), stats()];
  observeSome(first, 3);
  observeSome(second, 4);
  observeSome(together, 3);
  observeSome(together, 4);
  const sum = stats();
  for (const one of [first, second]) sum.add(JSON.parse(JSON.stringify(one.numbers())));
  const shown = (one: EdgeStats) => ({
    ...one.numbers(),
    outcomes: sorted(one.outcomes()),
    durationSumMs: 0,
  });
  assert.deepEqual(shown(sum), shown(together));
  assert.ok(Math.abs(sum.durationSumMs - together.durationSumMs) < 1e-3);
});

test('no counter of an edge is left out of its numbers', () => {
  const one = stats();
  observeSome(one, 5);
  const counters = Object.keys(one).filter((name) => !['plain', 'special'].includes(name));
  assert.deepEqual(
    Object.keys(one.numbers())
      .filter((name) => name !== 'outcomes')
      .sort(),
    counters.sort(),
    'plain and special are its outcomes',
  );
});
