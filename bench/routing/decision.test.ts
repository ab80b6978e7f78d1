import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureDecision } from './decision.ts';
import { hostName, layOutRoutes, routesByHost } from './layout.ts';

test('every route has a service of its own and a host and prefix that no other has', () => {
  const routes = layOutRoutes(25);
  assert.deepEqual(routes.at(-1), { host: 2, prefix: '/p4', service: 24 });
  assert.equal(new Set(routes.map(({ host, prefix }) => hostName(host) + prefix)).size, 25);
  assert.deepEqual(
    routesByHost(25).map(({ length }) => length),
    [10, 10, 5],
  );
});

test('the decision is measured on requests that all find their route', () => {
  const { routes, p50Ns, p99Ns } = measureDecision(25);
  assert.equal(routes, 25);
  assert.ok(p50Ns > 0 && p99Ns >= p50Ns);
});
