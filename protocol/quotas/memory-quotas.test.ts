import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RateLimit } from '../traffic-policy.ts';
import { MemoryQuotas } from './memory-quotas.ts';
import { quotaTerms } from './quota-terms.ts';

/** The same numbers for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Use {
  readonly atMs: number;
  readonly count: number;
}

/** What sidecars use that draw, hold, give back and use as late as they may, in bursts and with pauses. */
function uses(limit: RateLimit, seed: number): Use[] {
  const chance = random(seed);
  let nowMs = 1e9 * chance();
  const quotas = new MemoryQuotas({ now: () => nowMs, bornMs: Number.NEGATIVE_INFINITY });
  const used: Use[] = [];
  const { lifeMs, returnMs } = quotaTerms(limit);
  const lagMs = lifeMs === 0 ? returnMs : lifeMs;
  for (let step = 0; step < 400; step++) {
    const pause = chance();
    nowMs += pause < 0.6 ? chance() * 5 : pause < 0.9 ? chance() * returnMs * 2 : chance() * limit.perMs;
    const member = `m${Math.floor(chance() * 3)}`;
    const want = 1 + Math.floor(chance() * limit.burst * 1.2);
    const draw = { quota: 't/a#q', subject: '', limit, want, back: [] };
    const { atMs, grants } = quotas.draw('t/a', member, false, [draw]);
    const granted = grants[0]?.granted ?? 0;
    const back = chance() < 0.3 ? Math.floor(chance() * (granted + 1)) : 0;
    if (granted > back)
      used.push({ atMs: atMs + lagMs * (chance() < 0.5 ? 1 : chance()), count: granted - back });
    if (back === 0) continue;
    nowMs += chance() * returnMs;
    quotas.draw('t/a', member, false, [{ ...draw, want: 0, back: [{ count: back, drawnMs: atMs }] }]);
  }
  return used.sort((one, other) => one.atMs - other.atMs);
}

/** The most that was used beyond `most(T)` in any time T that begins and ends with a use. */
function excess(used: readonly Use[], most: (ms: number) => number): number {
  let worst = Number.NEGATIVE_INFINITY;
  for (let from = 0; from < used.length; from++) {
    let sum = 0;
    for (const { atMs, count } of used.slice(from)) {
      sum += count;
      worst = Math.max(worst, sum - most(atMs - (used[from]?.atMs ?? 0)));
    }
  }
  return worst;
}

const bucket = (tokens: number, perMs: number, burst: number): RateLimit => ({
  algorithm: 'token-bucket',
  tokens,
  perMs,
  burst,
  by: [],
  mode: 'lease',
  onOutage: 'share',
  dryRun: false,
});

test('what is used of a bucket, late and with returns, is never more than burst + rate * T in any T', () => {
  const limits = [bucket(100, 1000, 100), bucket(10, 1000, 10), bucket(5, 60_000, 5), bucket(1000, 1000, 50)];
  for (const limit of [...limits, bucket(7, 1000, 40), bucket(13, 1000, 13)])
    for (let seed = 1; seed <= 60; seed++) {
      const over = excess(uses(limit, seed), (ms) => limit.burst + (limit.tokens / limit.perMs) * ms);
      assert.ok(over <= 1e-3, `${limit.tokens}/${limit.perMs} burst ${limit.burst}, seed ${seed}: ${over}`);
    }
});

test('what is used of a window, late and with returns, is never more than its count in any window', () => {
  for (const limit of [bucket(100, 1000, 100), bucket(10, 60_000, 10), bucket(500, 10_000, 500)])
    for (let seed = 1; seed <= 60; seed++) {
      const used = uses({ ...limit, algorithm: 'sliding-window' }, seed);
      const over = excess(used, (ms) => (ms < limit.perMs ? limit.tokens : Number.POSITIVE_INFINITY));
      assert.ok(over <= 0, `${limit.tokens}/${limit.perMs}, seed ${seed}: ${over}`);
    }
});

test('what is used of an estimate is less than twice its count in any window, and steady use within the count', () => {
  const limit: RateLimit = { ...bucket(100, 1000, 100), algorithm: 'sliding-estimate' };
  for (let seed = 1; seed <= 30; seed++) {
    const over = excess(uses(limit, seed), (ms) => (ms < 1000 ? 2 * limit.tokens : Number.POSITIVE_INFINITY));
    assert.ok(over <= 0, `seed ${seed}: ${over}`);
  }
  let nowMs = 0;
  const quotas = new MemoryQuotas({ now: () => nowMs, bornMs: Number.NEGATIVE_INFINITY });
  const used: Use[] = [];
  for (; nowMs < 10_000; nowMs += 2) {
    const draw = { quota: 't/a#q', subject: '', limit, want: 1, back: [] };
    const granted = quotas.draw('t/a', 'm', false, [draw]).grants[0]?.granted ?? 0;
    if (granted > 0 && nowMs > 3_000) used.push({ atMs: nowMs, count: granted });
  }
  assert.ok(excess(used, (ms) => (ms < 1000 ? 110 : Number.POSITIVE_INFINITY)) <= 0);
});

const CLAIMED: RateLimit = { ...bucket(10, 1000, 10), by: ['api-key'] };

function drawOf(quotas: MemoryQuotas, service: string, subject: string, want = 1): number {
  const draw = { quota: `${service}#q`, subject, limit: CLAIMED, want, back: [] };
  return quotas.draw(service, 'm', false, [draw]).grants[0]?.granted ?? -1;
}

test('an attacker with a name for each request takes no more memory than there is, whatever services it calls', () => {
  const quotas = new MemoryQuotas({ now: () => 0, bornMs: Number.NEGATIVE_INFINITY, maxBuckets: 100 });
  let granted = 0;
  for (const service of ['t/a', 't/b', 't/c', 't/d'])
    for (let name = 0; name < 300; name++) granted += drawOf(quotas, service, `${name}`);
  // Two hundred subjects, and one bucket of 10 for all others of each of the four.
  assert.ok(quotas.size <= 200 + 4, `${quotas.size}`);
  assert.ok(granted <= 200 + 4 * 10, `${granted}`);
});

test('what is as if never used is forgotten in passing, also of services that nobody draws on any more', () => {
  let nowMs = 0;
  const quotas = new MemoryQuotas({ now: () => nowMs, bornMs: Number.NEGATIVE_INFINITY });
  for (let name = 0; name < 1_000; name++)
    for (const service of ['t/a', 't/b', 't/c']) drawOf(quotas, service, `${name}`);
  assert.equal(quotas.size, 3_000);
  quotas.leave('t/b', 'm');
  nowMs = 2_000;
  for (let step = 0; step < 1_000; step++) drawOf(quotas, 't/a', 'regular');
  assert.equal(quotas.size, 1);
  nowMs = 1_000_000;
  for (let step = 0; step < 4; step++) drawOf(quotas, 't/a', 'regular');
  assert.equal(drawOf(quotas, 't/b', '1', 100), 10, 'a service that was forgotten is as a new one');
});

test('a quota whose bucket was forgotten, or looked at in passing, gives as much as before', () => {
  let nowMs = 0;
  const quotas = new MemoryQuotas({ now: () => nowMs, bornMs: Number.NEGATIVE_INFINITY });
  assert.equal(drawOf(quotas, 't/a', 'x', 100), 10);
  const pass = (ms: number): void => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 10) {
      drawOf(quotas, 't/b', `${nowMs}`);
      quotas.contact('t/a', [{ name: 'm', told: 0 }]);
    }
  };
  pass(500);
  assert.equal(drawOf(quotas, 't/a', 'x', 100), 4);
  pass(5_000);
  assert.equal(drawOf(quotas, 't/a', 'x', 100), 10);
});
