import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointView, ServiceView } from '../listeners/admin-views.ts';
import { mergedConfig } from './merged-config.ts';

const endpoint = (
  address: string,
  inFlight: number,
  latencyMs: number,
  connections: number,
  idle: number,
) => ({
  address,
  weight: 1,
  inFlight,
  latencyMs,
  connections,
  idle,
});

function service(key: string, version: string | undefined, busy: number): ServiceView {
  return {
    key,
    version,
    inUse: { connections: busy, pending: 1, requests: busy * 2 },
    endpoints: [endpoint('10.0.0.1:80', busy, busy / 10, busy + 1, 1)],
  };
}

test('load adds up over the workers, latency is that of the slowest', () => {
  const merged = mergedConfig([
    { worker: 1, config: { services: [service('t/app', 'v1', 2)] } },
    { worker: 2, config: { services: [service('t/app', 'v1', 3)] } },
  ]);
  assert.deepEqual(merged, {
    workers: 2,
    services: [
      {
        key: 't/app',
        version: 'v1',
        inUse: { connections: 5, pending: 2, requests: 10 },
        endpoints: [endpoint('10.0.0.1:80', 5, 0.3, 7, 2)],
      },
    ],
  });
});

test('an endpoint that one worker finds unhealthy is shown with why', () => {
  const sick = { healthy: false, lastFailure: { at: '2026-01-02T03:04:05.000Z', why: 'it answered 503' } };
  const worker = (health: EndpointView['health']) => ({
    services: [{ ...service('t/app', 'v1', 1), endpoints: [{ ...endpoint('a:1', 1, 1, 1, 1), health }] }],
  });
  const { services } = mergedConfig([
    { worker: 1, config: worker({ healthy: true, lastFailure: undefined }) },
    { worker: 2, config: worker(sick) },
  ]);
  assert.deepEqual(
    services[0]?.endpoints?.map(({ inFlight, health }) => [inFlight, health]),
    [[2, sick]],
  );
});

test('an endpoint that one worker ejects is shown as that worker has it', () => {
  const closed = { state: 'closed', failuresInRow: 1, failures: [] } as const;
  const open = { ...closed, state: 'open', ejected: { why: '5 failures in a row', forMs: 5000 } } as const;
  const worker = (circuit: EndpointView['circuit']) => ({
    services: [{ ...service('t/app', 'v1', 1), endpoints: [{ ...endpoint('a:1', 1, 1, 1, 1), circuit }] }],
  });
  const { services } = mergedConfig([
    { worker: 1, config: worker(closed) },
    { worker: 2, config: worker(open) },
  ]);
  assert.deepEqual(
    services[0]?.endpoints?.map(({ inFlight, circuit }) => [inFlight, circuit]),
    [[2, open]],
  );
});

test('what only one worker follows is there, and what one knows is not hidden by one that does not', () => {
  const unknown = { key: 't/app', version: undefined, inUse: undefined, endpoints: undefined };
  const { services } = mergedConfig([
    { worker: 1, config: { services: [unknown] } },
    { worker: 2, config: { services: [service('t/app', 'v1', 1), service('t/other', 'v1', 1)] } },
  ]);
  assert.deepEqual(
    services.map(({ key, version, inUse }) => [key, version, inUse?.connections]),
    [
      ['t/app', 'v1', 1],
      ['t/other', 'v1', 1],
    ],
  );
});

test('workers that run on different versions are told apart', () => {
  const { services } = mergedConfig([
    { worker: 1, config: { services: [service('t/app', 'v2', 1)] } },
    { worker: 3, config: { services: [service('t/app', 'v1', 1)] } },
  ]);
  assert.deepEqual(Object.entries(services[0] ?? {}).find(([name]) => name === 'versions')?.[1], {
    'worker 1': 'v2',
    'worker 3': 'v1',
  });
});

test('a gateway is told once, and nobody who answers is an empty list', () => {
  const gateway = { key: 't/edge' };
  const merged = mergedConfig([
    { worker: 1, config: { services: [] } },
    { worker: 2, config: { gateway, services: [] } },
  ]);
  assert.deepEqual(merged, { workers: 2, gateway, services: [] });
  assert.deepEqual(mergedConfig([]), { workers: 0, services: [] });
});
