import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numbersOf } from './numbers.fixture.ts';
import { readNumbers } from './worker-numbers.ts';

/** As it comes from another process, with one thing changed. */
function changed(change: (numbers: Record<string, unknown>, edge: Record<string, unknown>) => void): unknown {
  const numbers = JSON.parse(JSON.stringify(numbersOf(3)));
  change(numbers, numbers.edges[0]);
  return numbers;
}

test('numbers of a worker are taken as they are', () => {
  const sent = changed(() => {});
  assert.deepEqual(readNumbers(sent), sent);
});

test('one wrong number, and none is taken: a sum would never be right again', () => {
  const wrong: Parameters<typeof changed>[0][] = [
    (numbers) => delete numbers.edges,
    (numbers) => delete numbers.gauges,
    (numbers) => delete numbers.process,
    (numbers) => Object.assign(numbers.gauges as object, { connections: -1 }),
    (numbers) => Object.assign(numbers.gauges as object, { ready: 'yes' }),
    (numbers) => Object.assign(numbers.gauges as object, { checkedEndpoints: {} }),
    (numbers) => Object.assign(numbers.gauges as object, { panics: [1] }),
    (numbers) => Object.assign(numbers.gauges as object, { checkedEndpoints: [{ healthy: 1 }] }),
    (numbers) => Object.assign(numbers.gauges as object, { circuits: [{ ejected: 1 }] }),
    (numbers) => Object.assign(numbers.gauges as object, { ejections: { 'shop/orders failures': '1' } }),
    (numbers) => Object.assign(numbers.gauges as object, { mirrors: { 'shop/v2 answered': '1' } }),
    (numbers) => Object.assign(numbers.gauges as object, { quotas: [{ quota: 'q', admitted: 1 }] }),
    (numbers) => Object.assign(numbers.process as object, { residentBytes: null }),
    (_, edge) => Object.assign(edge, { requests: '3' }),
    (_, edge) => Object.assign(edge, { retries: null }),
    (_, edge) => Object.assign(edge, { durations: [] }),
    (_, edge) => Object.assign(edge, { requestSizes: 3 }),
    (_, edge) => (edge.responseSizes as unknown[]).push(0),
    (_, edge) => Object.assign(edge.edge as object, { reporter: 'nobody' }),
    (_, edge) => Object.assign(edge.edge as object, { mtls: 0 }),
    (_, edge) => Object.assign(edge, { outcomes: [{ status: 600, grpcStatus: -1, reason: '', count: 1 }] }),
    (_, edge) => Object.assign(edge, { outcomes: [{ status: 200, grpcStatus: -1, reason: '', count: -1 }] }),
  ];
  for (const change of wrong) assert.equal(readNumbers(changed(change)), undefined, String(change));
  assert.equal(readNumbers(null), undefined);
});
