import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TelemetrySummary, telemetrySummarySchema } from './telemetry-summary.ts';

const EDGE = {
  source: 'shop/web',
  destination: 'shop/orders',
  requests: 10,
  failures: 1,
  retries: 0,
  p50Ms: 1.5,
  p99Ms: 20,
  mtls: 1,
};
const SUMMARY: TelemetrySummary = { node: 'web-1', workload: 'shop/web', windowMs: 5000, edges: [EDGE] };

test('a window of time with its edges', () => {
  assert.deepEqual(telemetrySummarySchema.parse(SUMMARY), SUMMARY);
  const idle = { ...SUMMARY, workload: '', edges: [] };
  assert.deepEqual(telemetrySummarySchema.parse(idle), idle);
});

test('a sidecar that reports impossible numbers is refused', () => {
  for (const edge of [
    { requests: -1 },
    { requests: 1.5 },
    { requests: Number.NaN },
    { failures: -1 },
    { retries: '0' },
    { p50Ms: -0.1 },
    { p99Ms: Number.POSITIVE_INFINITY },
    { mtls: 1.01 },
    { mtls: -0.01 },
    { source: undefined },
    { path: '/' },
  ]) {
    const edges = [{ ...EDGE, ...edge }];
    assert.equal(
      telemetrySummarySchema.safeParse({ ...SUMMARY, edges }).success,
      false,
      JSON.stringify(edge),
    );
  }
});

test('a window without length, a nameless node, and names of boundless length are refused', () => {
  for (const more of [
    { windowMs: 0 },
    { windowMs: -1 },
    { node: '' },
    { node: 'x'.repeat(254) },
    { workload: 'x'.repeat(321) },
    { edges: [{ ...EDGE, destination: 'x'.repeat(321) }] },
    { edges: undefined },
    { admin: true },
  ]) {
    assert.equal(
      telemetrySummarySchema.safeParse({ ...SUMMARY, ...more }).success,
      false,
      JSON.stringify(more),
    );
  }
});

test('a sidecar that reports more than 10000 edges is refused', () => {
  const edges = Array.from({ length: 10_001 }, () => EDGE);
  assert.equal(telemetrySummarySchema.safeParse({ ...SUMMARY, edges }).success, false);
  assert.equal(telemetrySummarySchema.safeParse({ ...SUMMARY, edges: edges.slice(1) }).success, true);
});
