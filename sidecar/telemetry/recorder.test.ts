import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { SILENT } from '../log.ts';
import { Recorder } from './recorder.ts';

function edges(recorder: Recorder): string[] {
  return recorder.edges
    .all()
    .map(
      ({ edge, requests }) =>
        `${edge.reporter} ${edge.source} -> ${edge.destination} ${edge.mtls}: ${requests}`,
    );
}

test('what goes out is counted from the own workload, what comes in from the caller', () => {
  const recorder = new Recorder('shop/web', undefined);
  for (const [listener, peer, service] of [
    ['outbound', '', 'shop/orders'],
    ['outbound', '', 'shop/orders'],
    ['gateway', 'pay/liar', 'shop/orders'],
    ['inbound', 'pay/checkout', 'shop/web'],
    ['inbound', '', 'shop/web'],
    ['outbound', '', ''],
  ] as const) {
    const exchange = exchangeFor('/', [], { listener });
    Object.assign(exchange, { peer, service, status: 200, mtls: peer !== '' });
    recorder.record(exchange, 5);
  }
  assert.deepEqual(edges(recorder), [
    'source shop/web -> shop/orders false: 2',
    'source shop/web -> shop/orders true: 1',
    'destination pay/checkout -> shop/web true: 1',
    'destination unknown -> shop/web false: 1',
    'source shop/web -> unknown false: 1',
  ]);
});

test('an edge that alternates with others is counted in one place', () => {
  const recorder = new Recorder('shop/web', undefined);
  for (let i = 0; i < 30; i++) {
    const exchange = exchangeFor('/', [], { listener: i % 2 === 0 ? 'outbound' : 'inbound' });
    Object.assign(exchange, { service: `s/${i % 3}`, peer: 'shop/web', mtls: i % 5 === 0 });
    recorder.record(exchange, 5);
  }
  const keys = recorder.edges.all().map(({ edge }) => JSON.stringify(edge));
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(
    recorder.edges.all().reduce((sum, { requests }) => sum + requests, 0),
    30,
  );
});

test('a workload that calls itself is counted on both sides', () => {
  const recorder = new Recorder('shop/web', undefined);
  for (const listener of ['outbound', 'inbound', 'outbound'] as const) {
    const exchange = exchangeFor('/', [], { listener });
    Object.assign(exchange, { peer: 'shop/web', service: 'shop/web', mtls: true });
    recorder.record(exchange, 5);
  }
  assert.deepEqual(edges(recorder), [
    'source shop/web -> shop/web true: 2',
    'destination shop/web -> shop/web true: 1',
  ]);
});

test('status, time, bytes, reason and retries are counted, and the request can be explained', () => {
  const recorder = new Recorder('shop/web', undefined);
  const exchange = exchangeFor('/', [], { listener: 'outbound', startMs: 100 });
  Object.assign(exchange, {
    id: 'id-1',
    service: 'shop/orders',
    status: 503,
    reason: 'connect-failed',
    requestBytes: 3,
    responseBytes: 4,
  });
  for (let i = 0; i < 3; i++)
    exchange.attempts.push({ endpoint: 'e', startMs: 0, durationMs: 0, result: '', connectionReused: false });
  recorder.record(exchange, 107);
  const [stats] = recorder.edges.all();
  assert.deepEqual(stats?.outcomes(), [{ status: 503, grpcStatus: -1, reason: 'connect-failed', count: 1 }]);
  assert.deepEqual(
    [stats?.retries, stats?.durationSumMs, stats?.requestBytes, stats?.responseBytes],
    [2, 7, 3, 4],
  );
  assert.equal(recorder.explanations.find('id-1')?.durationMs, 7);
});

test('gRPC calls and others of the same caller are two edges', () => {
  const recorder = new Recorder('shop/web', undefined);
  for (const [grpc, grpcStatus] of [
    [true, 14],
    [false, -1],
    [true, 14],
  ] as const) {
    const exchange = exchangeFor('/', [], { listener: 'outbound' });
    Object.assign(exchange, { id: 'id', service: 'shop/orders', status: 200, grpc, grpcStatus });
    recorder.record(exchange, 1);
  }
  assert.deepEqual(
    [...recorder.edges.all()].map((stats) => [stats.edge.protocol, stats.outcomes()]),
    [
      ['grpc', [{ status: 200, grpcStatus: 14, reason: '', count: 2 }]],
      ['http', [{ status: 200, grpcStatus: -1, reason: '', count: 1 }]],
    ],
  );
});

test('a line is logged for each request if a log is given', () => {
  const ids: unknown[] = [];
  const recorder = new Recorder('shop/web', {
    ...SILENT,
    info: (details) => ids.push((details as { id: string }).id),
  });
  for (const id of ['a', 'b']) {
    const exchange = exchangeFor();
    exchange.id = id;
    recorder.record(exchange, 1);
  }
  assert.deepEqual(ids, ['a', 'b']);
});
