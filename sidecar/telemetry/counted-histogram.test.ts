import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { readPrometheusText } from '../../test/fixture/prometheus-text.ts';
import { type CountedSeries, countedHistogram } from './counted-histogram.ts';

async function exposed(bounds: readonly number[], series: () => Iterable<CountedSeries>) {
  const registry = new Registry();
  registry.registerMetric(countedHistogram('h', 'Help.', bounds, series));
  return { registry, family: readPrometheusText(await registry.metrics()).get('h') };
}

test('counts of single buckets become the cumulative buckets of Prometheus', async () => {
  const { family } = await exposed([1, 2.5, 10], () => [
    { labels: { a: 'x' }, counts: Float64Array.of(1, 0, 4, 2), sum: 77.5 },
  ]);
  assert.equal(family?.type, 'histogram');
  assert.equal(family?.help, 'Help.');
  assert.deepEqual(family?.samples, [
    { name: 'h_bucket', labels: { a: 'x', le: '1' }, value: 1 },
    { name: 'h_bucket', labels: { a: 'x', le: '2.5' }, value: 1 },
    { name: 'h_bucket', labels: { a: 'x', le: '10' }, value: 5 },
    { name: 'h_bucket', labels: { a: 'x', le: '+Inf' }, value: 7 },
    { name: 'h_sum', labels: { a: 'x' }, value: 77.5 },
    { name: 'h_count', labels: { a: 'x' }, value: 7 },
  ]);
});

test('series are read at each scrape, and several stand beside each other', async () => {
  const counts = Float64Array.of(0, 0);
  const { registry, family } = await exposed([1], () => [
    { labels: { a: 'x' }, counts, sum: 0 },
    { labels: { a: 'y' }, counts: Float64Array.of(3, 0), sum: 1 },
  ]);
  assert.equal(family?.samples.length, 8);
  counts[1] = 9;
  const again = readPrometheusText(await registry.metrics()).get('h');
  assert.equal(again?.samples.find(({ name, labels }) => name === 'h_count' && labels.a === 'x')?.value, 9);
});

test('no series, no samples', async () => {
  const { family } = await exposed([1], () => []);
  assert.deepEqual(family?.samples, []);
});
