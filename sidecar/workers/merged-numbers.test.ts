import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeRegistry } from '../telemetry/edge-registry.ts';
import { MergedEdges, mergedGauges } from './merged-numbers.ts';
import { numbersOf } from './numbers.fixture.ts';

test('counters of one edge add up, edges of any worker are there', () => {
  const merged = new MergedEdges();
  merged.add(numbersOf(3).edges);
  merged.add(numbersOf(4).edges);
  const other = new EdgeRegistry();
  other.get('source', 'shop/web', 'shop/orders', true).observe(503, 1, 0, 0, 'no-endpoint');
  merged.add(other.all().map((stats) => stats.numbers()));
  const told = merged.all().map(({ edge, requests }) => `${edge.destination} ${edge.mtls} ${requests}`);
  assert.deepEqual(told, ['shop/orders false 7', 'shop/orders true 1']);
});

test('more edges than one worker may have are kept: none falls away from a sum', () => {
  const merged = new MergedEdges();
  for (const worker of [1, 2]) {
    const edges = new EdgeRegistry();
    for (let i = 0; i < 5000; i++) edges.get('source', `caller-${worker}`, `service-${i}`, false);
    merged.add(edges.all().map((stats) => stats.numbers()));
  }
  assert.equal(merged.all().length, 10_000);
});

test('connections add up, of all other gauges the worst is told', () => {
  const [first, second] = [numbersOf(7, 3).gauges, numbersOf(9, 5).gauges];
  assert.deepEqual(mergedGauges([first, { ...second, rootSecondsLeft: 60 }], '2.0.0'), {
    connections: 8,
    protections: { 'ping-flood': 8 },
    detections: { 'inbound http1': 8 },
    detectTimeouts: {},
    mirrors: { 'shop/v2 answered': 8 },
    quotas: [{ ...first.quotas[0], admitted: 16, held: 16 }],
    checkedEndpoints: [{ service: 'shop/orders', endpoint: '10.0.0.1:80', healthy: true }],
    panics: ['shop/orders'],
    ready: true,
    controlPlaneConnected: true,
    certificateSecondsLeft: 3603,
    rootSecondsLeft: 60,
    circuits: [{ service: 'shop/orders', endpoint: '10.0.0.1:80', ejected: true }],
    ejections: { 'shop/orders failures': 8 },
    version: '2.0.0',
    trustDomain: 'mesh.local',
  });
  const worse = { ...second, ready: false, controlPlaneConnected: false, trustDomain: 'unknown' };
  const { ready, controlPlaneConnected, trustDomain } = mergedGauges([worse, first], '2.0.0');
  assert.deepEqual([ready, controlPlaneConnected, trustDomain], [false, false, 'mesh.local']);
});

test('an endpoint that one worker finds unhealthy is told as unhealthy, once', () => {
  const { gauges } = numbersOf(0);
  const endpoint = (address: string, healthy: boolean) => ({
    service: 'shop/orders',
    endpoint: address,
    healthy,
  });
  const workers = [
    [endpoint('a:1', true), endpoint('b:1', true)],
    [endpoint('a:1', false), endpoint('c:1', true)],
  ].map((checkedEndpoints) => ({ ...gauges, checkedEndpoints }));
  assert.deepEqual(mergedGauges(workers, '2.0.0').checkedEndpoints, [
    endpoint('a:1', false),
    endpoint('b:1', true),
    endpoint('c:1', true),
  ]);
});

test('an endpoint that one worker ejects is told as ejected, once', () => {
  const { gauges } = numbersOf(0);
  const circuit = (endpoint: string, ejected: boolean) => ({ service: 'shop/orders', endpoint, ejected });
  const workers = [[circuit('a:1', false)], [circuit('a:1', true), circuit('b:1', false)]].map(
    (circuits) => ({
      ...gauges,
      circuits,
    }),
  );
  assert.deepEqual(mergedGauges(workers, '2.0.0').circuits, [circuit('a:1', true), circuit('b:1', false)]);
});

test('without an answer nothing is ready', () => {
  const { ready, controlPlaneConnected, certificateSecondsLeft } = mergedGauges([], '2.0.0');
  assert.deepEqual([ready, controlPlaneConnected, certificateSecondsLeft], [false, false, undefined]);
});
