import assert from 'node:assert/strict';
import { test } from 'node:test';
import { subset } from './subset.ts';

const NAMINGS = {
  'pods by address': {
    proxy: (number: number) => `shop/web-7f9c-${number}`,
    address: (number: number) => `10.2.${number >> 8}.${number & 255}:8080`,
  },
  'processes of one host': {
    proxy: (number: number) => `shop/web host ${1000 + number}`,
    address: (number: number) => `127.0.0.1:${20_000 + number}`,
  },
};

/** How many of so many proxies use each of so many endpoints. */
function users(
  { proxy, address }: (typeof NAMINGS)[keyof typeof NAMINGS],
  proxies: number,
  endpoints: number,
  size: number,
): number[] {
  const all = Array.from({ length: endpoints }, (_, index) => ({
    address: address(index),
    available: true,
    users: 0,
  }));
  for (let number = 0; number < proxies; number++) {
    const used = subset(all, size, proxy(number));
    assert.equal(new Set(used).size, size);
    for (const endpoint of used) endpoint.users++;
  }
  return all.map((endpoint) => endpoint.users);
}

for (const [how, naming] of Object.entries(NAMINGS))
  for (const [proxies, endpoints, size] of [
    [1000, 1000, 20],
    [2000, 100, 20],
    [3000, 40, 3],
  ] as const)
    test(`${proxies} proxies of subset ${size} use ${endpoints} endpoints as evenly as chance does: ${how}`, () => {
      const counts = users(naming, proxies, endpoints, size);
      const mean = (proxies * size) / endpoints;
      const variance = mean * (1 - size / endpoints);
      const chiSquare = counts.reduce((sum, count) => sum + (count - mean) ** 2 / variance, 0);
      const freedom = endpoints - 1;
      // Four standard deviations of chi-square.
      const off = (chiSquare - freedom) / Math.sqrt(2 * freedom);
      assert.ok(Math.abs(off) < 4, `chi-square ${chiSquare} of ${freedom} degrees of freedom`);
      // Five of an endpoint's count.
      const most = mean + 5 * Math.sqrt(variance);
      assert.ok(Math.max(...counts) <= most, `${Math.max(...counts)} of at most ${most}`);
      assert.ok(Math.min(...counts) > 0, 'each is used');
    });

test('an endpoint that comes takes one place of few proxies, and gives it back when it goes', () => {
  const { proxy, address } = NAMINGS['pods by address'];
  const before = Array.from({ length: 100 }, (_, index) => ({ address: address(index), available: true }));
  const after = [...before, { address: address(100), available: true }];
  let moved = 0;
  for (let number = 0; number < 1000; number++) {
    const had = new Set(subset(before, 10, proxy(number)));
    const has = new Set(subset(after, 10, proxy(number)));
    const left = had.difference(has).size;
    assert.ok(left <= 1, `${left} places of one proxy`);
    moved += left;
  }
  // 10 of 101 proxies have it: 99, give or take four times 9.4.
  assert.ok(moved > 60 && moved < 140, `${moved} proxies`);
});
