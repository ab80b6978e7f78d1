import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BalanceStrategy } from '../../protocol/traffic-policy.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import { createBalancer } from './balancer.ts';
import { createEndpointLoad } from './endpoint-load.ts';

const STRATEGIES: readonly BalanceStrategy[] = [
  'p2c-ewma',
  'least-request',
  'random',
  'round-robin',
  'ring-hash',
  'maglev',
];

function share(
  strategy: BalanceStrategy,
  latencies: readonly number[],
  weights = latencies.map(() => 1),
  failing = -1,
) {
  const balancer = createBalancer({ strategy }, seeded(7));
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

/** Requests one after the other, so that only estimates and chance decide; answers take 3 to 8 ms, first ones more. */
function sharesAtLowLoad(strategy: BalanceStrategy, count: number, firstMs: readonly number[]): number[] {
  const balancer = createBalancer({ strategy }, seeded(21));
  const latency = seeded(22);
  const endpoints = Array.from({ length: count }, (_, index) => createEndpointLoad(`e${index}`));
  const counts = endpoints.map(() => 0);
  for (let now = 0, request = 0; request < 20_000; request++, now += 20) {
    const endpoint = balancer.pick(endpoints) ?? assert.fail();
    const index = endpoints.indexOf(endpoint);
    const cold = counts[index] === 0 ? firstMs[index] : undefined;
    counts[index] = (counts[index] ?? 0) + 1;
    balancer.started(endpoint, now);
    balancer.finished(endpoint, now + 10, cold ?? 3 + 5 * latency(), false);
  }
  return counts;
}

for (const strategy of STRATEGIES) {
  test(`${strategy}: equal endpoints get equal shares (chi-square, 4 degrees of freedom, p > 0.001)`, () => {
    const counts = share(strategy, [5, 5, 5, 5, 5]);
    assert.ok(chiSquare(counts, [1, 1, 1, 1, 1]) < 18.5, counts.join(' '));
  });

  test(`${strategy}: at low load too, after first answers that were slow (chi-square, 4 degrees of freedom, p > 0.001)`, () => {
    const counts = sharesAtLowLoad(strategy, 5, [400, 30, 2]);
    assert.ok(chiSquare(counts, [1, 1, 1, 1, 1]) < 18.5, counts.join(' '));
  });

  test(`${strategy}: the endpoint that just failed is not chosen while another exists`, () => {
    const balancer = createBalancer({ strategy }, seeded(3));
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

for (const strategy of ['random', 'round-robin', 'ring-hash', 'maglev'] as const) {
  test(`${strategy}: shares follow weights`, () => {
    const counts = share(strategy, [5, 5, 5], [1, 2, 7]);
    assert.ok(chiSquare(counts, [1, 2, 7]) < 13.8, counts.join(' '));
  });
}

for (const strategy of STRATEGIES) {
  test(`${strategy}: a light endpoint beside heavy ones is neither starved nor flooded when nothing is busy`, () => {
    const balancer = createBalancer({ strategy }, seeded(11));
    const latency = seeded(12);
    const weights = [1, 2, 7];
    const endpoints = weights.map((weight, index) => createEndpointLoad(`e${index}`, weight));
    const counts = [0, 0, 0];
    for (let now = 0; now < 200_000; now += 10) {
      const endpoint = balancer.pick(endpoints);
      assert.ok(endpoint);
      const index = endpoints.indexOf(endpoint);
      counts[index] = (counts[index] ?? 0) + 1;
      balancer.started(endpoint, now);
      balancer.finished(endpoint, now + 5, 4.5 + latency(), false);
    }
    for (const [index, weight] of weights.entries()) {
      const share = (counts[index] ?? 0) / 20_000;
      // Two choices by weight w win at least when both fall on it (w squared), at most when one does.
      const w = weight / 10;
      assert.ok(share > w * w && share < 1 - (1 - w) ** 2 + 0.02, `${strategy}: ${counts}`);
    }
  });

  test(`${strategy}: with unequal weights too, the endpoint that just failed is not chosen while another exists`, () => {
    const balancer = createBalancer({ strategy }, seeded(4));
    for (const weights of [
      [1, 1000],
      [1000, 1, 1],
      [5, 1, 1, 1000],
    ]) {
      const endpoints = weights.map((weight, index) => createEndpointLoad(`e${index}`, weight));
      for (let round = 0; round < 500; round++) {
        const avoid = endpoints[round % endpoints.length];
        assert.notEqual(balancer.pick(endpoints, avoid), avoid);
      }
    }
  });

  test(`${strategy}: a new array brings new endpoints and weights into force`, () => {
    const balancer = createBalancer({ strategy }, seeded(5));
    const old = [createEndpointLoad('a'), createEndpointLoad('b'), createEndpointLoad('c', 9)];
    for (let round = 0; round < 50; round++) assert.ok(balancer.pick(old));
    const fresh = [createEndpointLoad('d'), createEndpointLoad('e')];
    for (let round = 0; round < 200; round++)
      assert.ok(fresh.includes(balancer.pick(fresh) ?? createEndpointLoad('none')));
    const gone = old[0];
    for (let round = 0; round < 200; round++)
      assert.ok(fresh.includes(balancer.pick(fresh, gone) ?? createEndpointLoad('none')));
  });
}

test('round-robin: turns are smooth: a heavy endpoint is not given its turns in a row', () => {
  const balancer = createBalancer({ strategy: 'round-robin' }, seeded(6));
  const endpoints = [createEndpointLoad('light', 1), createEndpointLoad('a', 2), createEndpointLoad('b', 2)];
  let row = 0;
  let longest = 0;
  let before: unknown;
  for (let turn = 0; turn < 1000; turn++) {
    const endpoint = balancer.pick(endpoints);
    row = endpoint === before ? row + 1 : 1;
    longest = Math.max(longest, row);
    before = endpoint;
  }
  assert.ok(longest <= 2, `${longest} in a row`);
});

test('round-robin: the proxies of a fleet do not all begin with the same endpoint', () => {
  const endpoints = ['a', 'b', 'c', 'd'].map((address) => createEndpointLoad(address));
  const begun = new Set(
    Array.from(
      { length: 40 },
      (_, seed) => createBalancer({ strategy: 'round-robin' }, seeded(seed + 1)).pick(endpoints)?.address,
    ),
  );
  assert.equal(begun.size, 4);
});
