import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { NO_HASH, textHash } from '../http/text-hash.ts';
import { createBalancer } from './balancer.ts';
import { createEndpointLoad, type EndpointLoad } from './endpoint-load.ts';

const KEYS = 10_000;

function endpointsOf(count: number, weight: (index: number) => number = () => 1): EndpointLoad[] {
  return Array.from({ length: count }, (_, index) => createEndpointLoad(`10.0.0.${index}:80`, weight(index)));
}

function owners(strategy: 'ring-hash' | 'maglev', endpoints: readonly EndpointLoad[]): string[] {
  const balancer = createBalancer({ strategy }, seeded(1));
  return Array.from(
    { length: KEYS },
    (_, key) => balancer.pick(endpoints, undefined, textHash(`user-${key}`))?.address ?? 'none',
  );
}

for (const strategy of ['ring-hash', 'maglev'] as const) {
  test(`${strategy}: a key has one endpoint, the same in every proxy, in whatever order it heard of them`, () => {
    const endpoints = endpointsOf(7);
    assert.deepEqual(owners(strategy, endpoints), owners(strategy, endpoints.toReversed()));
  });

  test(`${strategy}: when one of ten endpoints goes, its keys move and few others; when it comes back all return`, () => {
    const endpoints = endpointsOf(10);
    const before = owners(strategy, endpoints);
    const without = endpoints.filter((_, index) => index !== 3);
    const after = owners(strategy, without);
    const moved = before.filter((owner, key) => owner !== after[key]).length;
    const its = before.filter((owner) => owner === '10.0.0.3:80').length;
    assert.ok(its > KEYS * 0.07 && its < KEYS * 0.13, `${its}`);
    // A ring moves no other; Maglev's table some (section 5.3 of the paper).
    const most = strategy === 'ring-hash' ? its : its + KEYS * 0.03;
    assert.ok(moved >= its && moved <= most, `${moved} moved, ${its} had to`);
    assert.deepEqual(owners(strategy, endpoints), before);
  });

  test(`${strategy}: keys follow weights`, () => {
    const found = owners(
      strategy,
      endpointsOf(4, (index) => index + 1),
    );
    for (let index = 0; index < 4; index++) {
      const share = found.filter((owner) => owner === `10.0.0.${index}:80`).length / KEYS;
      const fair = (index + 1) / 10;
      assert.ok(Math.abs(share - fair) < fair * (strategy === 'maglev' ? 0.05 : 0.4), `${index}: ${share}`);
    }
  });

  test(`${strategy}: of one hot key no endpoint has more in flight than its bounded share, and the first ones go to its own`, () => {
    const balancer = createBalancer({ strategy, boundedPercent: 150 }, seeded(2));
    const endpoints = endpointsOf(10);
    const hash = textHash('hot');
    const own = balancer.pick(endpoints, undefined, hash) ?? assert.fail();
    for (let requests = 1; requests <= 1000; requests++) {
      const endpoint = balancer.pick(endpoints, undefined, hash) ?? assert.fail();
      if (requests === 1) assert.equal(endpoint, own);
      balancer.started(endpoint, 0);
      const bound = Math.max(4, Math.ceil((requests / 10) * 1.5));
      for (const { inFlight } of endpoints) assert.ok(inFlight <= bound, `${inFlight} of ${requests}`);
    }
    assert.equal(own.inFlight, 150);
    for (const endpoint of endpoints) while (endpoint.inFlight > 0) balancer.finished(endpoint, 1, 1, false);
    assert.equal(balancer.pick(endpoints, undefined, hash), own, 'and it is its own again');
  });

  test(`${strategy}: a key's own endpoint that just failed is passed over, for the same other each time`, () => {
    const balancer = createBalancer({ strategy }, seeded(3));
    const endpoints = endpointsOf(5);
    for (let key = 0; key < 200; key++) {
      const hash = textHash(`k${key}`);
      const own = balancer.pick(endpoints, undefined, hash);
      const other = balancer.pick(endpoints, own, hash);
      assert.notEqual(other, own);
      assert.equal(balancer.pick(endpoints, own, hash), other);
    }
  });

  test(`${strategy}: endpoints of a whole fleet are looked through in few steps, with thousands of them too`, () => {
    const balancer = createBalancer({ strategy }, seeded(4));
    const endpoints = endpointsOf(3_000);
    const found = new Set<string | undefined>();
    for (let key = 0; key < 20_000; key++)
      found.add(balancer.pick(endpoints, undefined, textHash(`k${key}`))?.address);
    assert.ok(found.size > 2_500, `${found.size}`);
  });

  test(`${strategy}: without a key any endpoint, by chance`, () => {
    const balancer = createBalancer({ strategy }, seeded(5));
    const endpoints = endpointsOf(5);
    const found = new Set<string | undefined>();
    for (let i = 0; i < 100; i++) found.add(balancer.pick(endpoints, undefined, NO_HASH)?.address);
    assert.equal(found.size, 5);
  });
}

test('requests that end at an endpoint that is gone do not make the others look less busy', () => {
  const balancer = createBalancer({ strategy: 'maglev' }, seeded(3));
  const endpoints = endpointsOf(4);
  const [gone = assert.fail(), ...stay] = endpoints;
  const hash = textHash('hot');
  balancer.pick(endpoints, undefined, hash);
  for (const endpoint of endpoints) for (let i = 0; i < 100; i++) balancer.started(endpoint, 0);
  for (let i = 0; i < 400; i++) balancer.started(gone, 0);
  balancer.pick(stay, undefined, hash);
  for (let i = 0; i < 500; i++) balancer.finished(gone, 0, 0, false);
  const own = balancer.pick(stay, undefined, hash) ?? assert.fail();
  // At its share of all, and so within the bound: as many have the others.
  for (let i = 0; i < 20; i++) {
    assert.equal(balancer.pick(stay, undefined, hash), own);
    balancer.started(own, 0);
  }
  for (let i = 0; i < 60; i++) balancer.started(own, 0);
  assert.notEqual(balancer.pick(stay, undefined, hash), own);
});
