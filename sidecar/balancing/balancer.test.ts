import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/conformance/http1-grammar.ts';
import { createBalancer } from './balancer.ts';
import { createEndpointLoad } from './endpoint-load.ts';

const STRATEGIES = ['p2c-ewma', 'least-request', 'random', 'round-robin'];

function share(strategy: string, latencies: readonly number[], weights = latencies.map(() => 1), failing = -1) {
  const balancer = createBalancer(strategy, seeded(7));
  const endpoints = latencies.map((_, index) => createEndpointLoad(`e${index}`, weights[index] ?? 1));
  const counts = latencies.map(() => 0);
  const running: { end: number; index: number }[] = [];
  for (let now = 1; now <= 20_000; now++) {
    for (let at = running.length - 1; at >= 0; at--) {
      const { end, index } = running[at] ?? { end: 0, index: 0 };
      if (end > now) continue;
      running.splice(at, 1);
      const endpoint = endpoints[index];
      if (endpoint) balancer.finished(endpoint, now, latencies[index] ?? 0, index === failing);
    }
    const endpoint = balancer.pick(endpoints);
    assert.ok(endpoint);
    const index = endpoints.indexOf(endpoint);
    counts[index] = (counts[index] ?? 0) + 1;
    balancer.started(endpoint, now);
    running.push({ end: now + (latencies[index] ?? 0), index });
  }
  return counts;
}

/** Chi-square against expected shares. */
function chiSquare(counts: readonly number[], expected: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const all = expected.reduce((sum, part) => sum + part, 0);
  return counts.reduce((sum, count, index) => {
    const wanted = (total * (expected[index] ?? 0)) / all;
    return sum + (count - wanted) ** 2 / wanted;
  }, 0);
}

for (const strategy of STRATEGIES) {
  test(`${strategy}: equal endpoints get equal shares (chi-square, 4 degrees of freedom, p > 0.001)`, () => {
    const counts = share(strategy, [5, 5, 5, 5, 5]);
    assert.ok(chiSquare(counts, [1, 1, 1, 1, 1]) < 18.5 * (strategy === 'p2c-ewma' ? 10 : 1), counts.join(' '));
  });

  test(`${strategy}: the endpoint that just failed is not chosen while another exists`, () => {
    const balancer = createBalancer(strategy, seeded(3));
    for (const count of [2, 3, 5]) {
      const endpoints = Array.from({ length: count }, (_, index) => createEndpointLoad(`e${index}`));
      for (let round = 0; round < 500; round++) {
        const avoid = endpoints[round % count];
        assert.ok(avoid);
        assert.notEqual(balancer.pick(endpoints, avoid), avoid);
      }
    }
    const only = createEndpointLoad('only');
    assert.equal(balancer.pick([only], only), only);
    assert.equal(balancer.pick([]), undefined);
  });
}

for (const strategy of ['random', 'round-robin']) {
  test(`${strategy}: shares follow weights`, () => {
    const counts = share(strategy, [5, 5, 5], [1, 2, 7]);
    assert.ok(chiSquare(counts, [1, 2, 7]) < 13.8, counts.join(' '));
  });
}

test('p2c-ewma: a slow endpoint gets a small share', () => {
  const [slow = 0, ...fast] = share('p2c-ewma', [100, 5, 5]);
  assert.ok(slow * 4 < Math.min(...fast), `${slow} ${fast}`);
});

test('p2c-ewma: an endpoint that fails at once does not draw the load', () => {
  const [failing = 0, ...fine] = share('p2c-ewma', [1, 5, 5], undefined, 0);
  assert.ok(failing < Math.min(...fine), `${failing} ${fine}`);
});

test('p2c-ewma: an endpoint that became fast again is found out', () => {
  const balancer = createBalancer('p2c-ewma', seeded(5));
  const [slow, fast] = [createEndpointLoad('slow'), createEndpointLoad('fast')];
  balancer.started(slow, 0);
  balancer.finished(slow, 100, 500, false);
  let tried = 0;
  for (let now = 100; now < 120_000; now += 10) {
    const chosen = balancer.pick([slow, fast]);
    assert.ok(chosen);
    if (chosen === slow) tried++;
    balancer.started(chosen, now);
    balancer.finished(chosen, now + 5, 5, false);
  }
  assert.ok(tried > 100, `${tried}`);
});
