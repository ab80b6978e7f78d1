import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { QuotaDraw, QuotaDrawn } from '../../protocol/quotas/memory-quotas.ts';
import { FORGET_MS } from '../../protocol/quotas/presence.ts';
import { quotaTerms } from '../../protocol/quotas/quota-terms.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import type { QuotaStore } from './quota-store.ts';

/** A store with a clock that the test moves. Its quotas are whole at the start. */
interface TestedStore {
  readonly store: QuotaStore;
  /** Lets time pass, in ms; who is named is in contact meanwhile. */
  pass(ms: number, ...members: string[]): Promise<void>;
}

/** `clock`: what the store goes by. */
export function storeInTime(store: QuotaStore, clock: { nowMs: number }): TestedStore {
  return {
    store,
    async pass(ms, ...members) {
      for (let left = ms; left > 0; left -= 100) {
        clock.nowMs += Math.min(100, left);
        store.contact(
          SERVICE,
          members.map((name) => ({ name, told: 0 })),
        );
      }
    },
  };
}

type Open = (context: TestContext) => Promise<TestedStore>;

const SERVICE = 't/app';

const bucket: RateLimit = {
  algorithm: 'token-bucket',
  tokens: 100,
  perMs: 1000,
  burst: 100,
  by: [],
  mode: 'lease',
  onOutage: 'share',
  dryRun: false,
};
const window: RateLimit = { ...bucket, algorithm: 'sliding-window' };
const estimate: RateLimit = { ...bucket, algorithm: 'sliding-estimate' };
const places: RateLimit = { ...bucket, algorithm: 'concurrency', tokens: 10, perMs: 0, burst: 10 };

interface Asked {
  readonly limit?: RateLimit;
  readonly quota?: string;
  readonly subject?: string;
  readonly want?: number;
  readonly back?: QuotaDraw['back'];
}

function draw(
  store: QuotaStore,
  member: string,
  items: readonly Asked[],
  exact = false,
  told = 0,
  sharing = false,
): Promise<QuotaDrawn> {
  const draws = items.map(
    ({ limit = bucket, quota = `t/app#${limit.algorithm}`, subject = '', want = 0, back = [] }) => {
      return { quota, subject, limit, want, back };
    },
  );
  return store.draw(SERVICE, member, exact, draws, told, sharing);
}

/** How many a member gets of one limit. */
async function get(store: QuotaStore, member: string, limit: RateLimit, want: number, more: Asked = {}) {
  const { atMs, grants } = await draw(store, member, [{ limit, want, ...more }]);
  assert.equal(grants.length, 1);
  const [grant] = grants;
  assert.ok(grant);
  return { atMs, want, ...grant };
}

/** What every store must do as time goes by. */
export function timedStoreContract(name: string, open: Open): void {
  const contract = (what: string, body: (store: QuotaStore, tested: TestedStore) => Promise<void>): void => {
    test(`${name}: ${what}`, async (context) => {
      const tested = await open(context);
      await body(tested.store, tested);
    });
  };

  contract('a token bucket gives its burst after a rest, then its rate', async (store, { pass }) => {
    assert.equal((await get(store, 'a', bucket, 1000)).granted, 100);
    const none = await get(store, 'a', bucket, 1);
    assert.equal(none.granted, 0);
    assert.ok(none.retryAfterMs > 0 && none.retryAfterMs <= 110, `${none.retryAfterMs}`);
    assert.ok(Math.abs(none.resetMs - 1100) < 1, `${none.resetMs}`);
    await pass(250, 'a');
    // Leases lag by 100 ms: a tenth of the burst is filled up first.
    assert.equal((await get(store, 'a', bucket, 1000)).granted, 15);
    await pass(10_000, 'a');
    const whole = await get(store, 'a', bucket, 0);
    assert.deepEqual([whole.remaining, whole.resetMs, whole.lifeMs], [100, 0, 100]);
  });

  contract('what comes back to a bucket is there also while much of it is out', async (store, { pass }) => {
    assert.equal((await get(store, 'a', bucket, 100)).granted, 100);
    await pass(155, 'a');
    assert.equal((await get(store, 'a', bucket, 100)).granted, 5);
  });

  contract('a bucket of one, and mode exact, are granted for at once', async (store) => {
    const one = { ...bucket, burst: 1 };
    assert.deepEqual(await lives(store, 'one', one), [0, 1]);
    assert.deepEqual(await lives(store, 'exact', { ...bucket, mode: 'exact' }), [0, 100]);
  });

  contract(
    'a sliding window gives its tokens, and each again when the window and a lease have passed',
    async (store, { pass }) => {
      assert.equal((await get(store, 'a', window, 60)).granted, 60);
      await pass(500, 'a');
      assert.equal((await get(store, 'a', window, 60)).granted, 40);
      const none = await get(store, 'a', window, 1);
      assert.equal(none.granted, 0);
      assert.ok(none.retryAfterMs > 515 && none.retryAfterMs < 525, `${none.retryAfterMs}`);
      await pass(524, 'a');
      assert.equal((await get(store, 'a', window, 1000)).granted, 60);
      await pass(5_000, 'a');
      assert.equal((await get(store, 'a', window, 1000)).granted, 100);
    },
  );

  contract('of a window that is looked at only, what has ended is there again', async (store, { pass }) => {
    assert.equal((await get(store, 'a', window, 50)).granted, 50);
    await pass(500, 'a');
    assert.equal((await get(store, 'a', window, 30)).granted, 30);
    await pass(600, 'a');
    assert.equal((await get(store, 'a', window, 0)).remaining, 70);
    assert.equal((await get(store, 'a', window, 0)).remaining, 70);
    assert.equal((await get(store, 'a', window, 100)).granted, 70);
  });

  contract('an estimate counts the last window by what is in sight of it', async (store, { pass }) => {
    assert.equal((await get(store, 'a', estimate, 1000)).granted, 100);
    assert.equal((await get(store, 'a', estimate, 1)).granted, 0);
    await pass(2_100, 'a');
    assert.equal((await get(store, 'a', estimate, 1000)).granted, 100);
    const { retryAfterMs } = await get(store, 'a', estimate, 1);
    await pass(retryAfterMs + 20, 'a');
    const some = (await get(store, 'a', estimate, 1000)).granted;
    assert.ok(some >= 1 && some < 10, `${some}`);
  });

  contract(
    'places are held until they are given up, or their holder is not heard of',
    async (store, { pass }) => {
      assert.equal((await get(store, 'a', places, 6)).granted, 6);
      assert.equal((await get(store, 'b', places, 8)).granted, 2); // half of what is free
      assert.equal((await get(store, 'b', places, 8)).granted, 3);
      assert.equal((await get(store, 'a', places, 2)).granted, 2);
      assert.equal((await get(store, 'b', places, 5)).granted, 5);
      await pass(700, 'a', 'b');
      assert.equal((await get(store, 'b', places, 5)).granted, 5);
      await pass(700, 'a', 'b');
      const { granted, remaining } = await get(store, 'b', places, 10);
      assert.deepEqual([granted, remaining], [10, 0]);
    },
  );

  contract(
    'places of who left are held for a while: only its connection may be gone, and its requests go on',
    async (store, { pass }) => {
      assert.equal((await get(store, 'a', places, 10)).granted, 10);
      store.leave(SERVICE, 'a');
      assert.equal((await get(store, 'b', places, 10)).granted, 0);
      await pass(600, 'b');
      assert.equal((await get(store, 'a', places, 10)).granted, 10);
      await pass(600, 'a', 'b');
      assert.equal((await get(store, 'b', places, 10)).granted, 0);
      store.leave(SERVICE, 'a');
      await pass(600, 'b');
      assert.ok((await get(store, 'b', places, 10)).granted > 0);
    },
  );

  contract('tokens that come back are there for others, if they come soon', async (store, { pass }) => {
    for (const limit of [bucket, window, estimate]) {
      const { atMs, granted } = await get(store, 'a', limit, 1000);
      assert.equal((await get(store, 'b', limit, 1000)).granted, 0);
      await get(store, 'a', limit, 0, { back: [{ count: 30, drawnMs: atMs }] });
      const again = await get(store, 'b', limit, 1000);
      assert.ok(
        again.granted >= 9 && again.granted <= 30,
        `${limit.algorithm}: ${again.granted} of ${granted}`,
      );
      await pass(150, 'a', 'b');
      const before = (await get(store, 'a', limit, 0)).remaining;
      const late = await get(store, 'a', limit, 0, { back: [{ count: 30, drawnMs: atMs }] });
      assert.equal(late.remaining, before, `${limit.algorithm}: late returns count for nothing`);
    }
  });

  contract(
    'tokens that come back to a bucket that filled up meanwhile are not there twice',
    async (store, { pass }) => {
      let used = 0;
      for (let round = 0; round < 40; round++) {
        const { atMs, granted } = await get(store, 'a', bucket, 60);
        await pass(50, 'a');
        await get(store, 'a', bucket, 0, { back: [{ count: granted, drawnMs: atMs }] });
      }
      for (let i = 0; i < 5; i++) used += (await get(store, 'a', bucket, 1000)).granted;
      assert.ok(used <= 90, `${used}`);
    },
  );

  contract('several limits of one request are granted all or not at all', async (store) => {
    const few = { ...bucket, burst: 5, tokens: 5, mode: 'exact' as const };
    const both = [
      { limit: bucket, want: 3 },
      { limit: few, quota: 't/app#few', want: 3 },
    ];
    const first = await draw(store, 'a', both, true);
    assert.deepEqual(
      first.grants.map(({ granted }) => granted),
      [3, 3],
    );
    const second = await draw(store, 'a', both, true);
    assert.deepEqual(
      second.grants.map(({ granted }) => granted),
      [0, 0],
    );
    assert.equal(second.grants[0]?.remaining, 87);
    assert.equal(second.grants[0]?.retryAfterMs, 0);
    assert.ok((second.grants[1]?.retryAfterMs ?? 0) > 0);
    const held = [
      { limit: places, want: 4 },
      { limit: few, quota: 't/app#few', want: 4 },
    ];
    const third = await draw(store, 'a', held, true);
    assert.deepEqual(
      third.grants.map(({ granted }) => granted),
      [0, 0],
    );
  });

  contract('who shares a bucket gets a part, and all are told how many share the service', async (store) => {
    assert.equal((await get(store, 'a', bucket, 10)).sharers, 1);
    // The first has the whole share until it draws again.
    assert.equal((await get(store, 'b', bucket, 10)).sharers, 1_000_000);
    assert.equal((await get(store, 'a', bucket, 0)).sharers, 2);
    assert.equal((await get(store, 'b', bucket, 0)).sharers, 2);
    const { granted } = await get(store, 'c', bucket, 1000);
    assert.equal(granted, 22); // a third of 70 but for 3 in reserve
    store.leave(SERVICE, 'b');
    store.leave(SERVICE, 'c');
    assert.equal((await get(store, 'a', bucket, 0)).sharers, 1);
  });

  contract(
    'of a bucket that is used up all who want more get their part of what comes back, and are told when it is worth asking',
    async (store, { pass }) => {
      const many = { ...bucket, tokens: 10_000, burst: 10_000 };
      const members = ['a', 'b', 'c', 'd'];
      const got = new Map(members.map((member) => [member, 0]));
      for (let round = 0; round < 40; round++) {
        // In another order each time.
        for (let at = 0; at < 4; at++) {
          const member = members[(at + round) % 4] ?? '';
          const grant = await get(store, member, many, member === 'd' ? 50 : 400);
          if (round >= 20) got.set(member, (got.get(member) ?? 0) + grant.granted);
          const pause = grant.granted === grant.want ? 0 : 50;
          if (round >= 20) assert.ok(Math.abs(grant.retryAfterMs - pause) < 1, `${grant.retryAfterMs}`);
        }
        await pass(50, ...members);
      }
      // 500 come back in each round: d wants less than its part, and the others get the same.
      assert.equal(got.get('d'), 20 * 50);
      for (const member of ['a', 'b', 'c'])
        assert.ok(Math.abs((got.get(member) ?? 0) - 20 * 150) <= 400, JSON.stringify([...got]));
      const all = [...got.values()].reduce((sum, one) => sum + one, 0);
      assert.ok(Math.abs(all - 20 * 500) <= 400, `${all} of ${20 * 500}`);
    },
  );

  contract(
    'the share of a sidecar without contact is set aside until it is back',
    async (store, { pass }) => {
      for (let i = 0; i < 2; i++) for (const member of ['a', 'b']) await get(store, member, bucket, 0);
      await pass(2_000, 'a');
      // b may use half by itself now.
      assert.equal((await get(store, 'a', bucket, 1000)).granted, 50);
      await pass(1_000, 'a');
      assert.equal((await get(store, 'a', bucket, 1000)).granted, 45);
      await get(store, 'b', bucket, 0);
      await pass(300, 'a', 'b');
      await pass(2_000, 'a', 'b');
      assert.equal((await get(store, 'a', bucket, 1000)).granted, 100);
    },
  );

  contract(
    'who comes back from its share has it until the answer is there: others get nothing of it before it draws again',
    async (store, { pass }) => {
      for (let i = 0; i < 2; i++) for (const member of ['a', 'b']) await get(store, member, bucket, 0);
      await pass(2_000, 'a');
      await draw(store, 'b', [{}], false, 2, true);
      await pass(500, 'a');
      await draw(store, 'b', [{}], false, 2, true);
      await pass(500, 'a');
      assert.equal((await get(store, 'a', bucket, 1000)).granted, 50, 'half of it is of b');
      await pass(1_000, 'a');
      assert.ok((await get(store, 'a', bucket, 1000)).granted <= 50);
      await draw(store, 'b', [{}], false, 2);
      await pass(300, 'a', 'b');
      await pass(2_000, 'a', 'b');
      assert.equal((await get(store, 'a', bucket, 1000)).granted, 100);
    },
  );

  contract(
    'after all were without contact nothing is saved up: they have used their shares',
    async (store, { pass }) => {
      for (let i = 0; i < 2; i++) for (const member of ['a', 'b']) await get(store, member, bucket, 0);
      await pass(3_000);
      assert.equal((await get(store, 'a', bucket, 1000)).granted, 0);
      assert.equal((await get(store, 'a', window, 1000)).granted, 0);
      await get(store, 'b', bucket, 0);
      await pass(300, 'a', 'b');
      const soon = (await get(store, 'a', bucket, 1000)).granted;
      assert.ok(soon > 0 && soon <= 30, `${soon}`);
    },
  );

  contract(
    'who is refused because others are away asks again when they may be back',
    async (store, { pass }) => {
      for (const limit of [window, estimate].map((one) => ({ ...one, perMs: 3_600_000 }))) {
        for (let i = 0; i < 2; i++) for (const member of ['a', 'b']) await get(store, member, limit, 0);
        assert.equal((await get(store, 'a', limit, 60)).granted, 60);
        await pass(2_000, 'a');
        const none = await get(store, 'a', limit, 1);
        assert.equal(none.granted, 0);
        assert.ok(none.retryAfterMs >= 59_000 && none.retryAfterMs <= 60_000, `${none.retryAfterMs}`);
        await get(store, 'b', limit, 0);
        await pass(300, 'a', 'b');
        await pass(60_000, 'a', 'b');
        assert.ok((await get(store, 'a', limit, 40)).granted > 0);
      }
    },
  );

  contract('subjects are told apart, and services', async (store) => {
    assert.equal((await get(store, 'a', bucket, 1000, { subject: 'x' })).granted, 100);
    assert.equal((await get(store, 'a', bucket, 1000, { subject: 'y' })).granted, 100);
    const other = await store.draw('t/other', 'a', false, [
      { quota: 't/app#token-bucket', subject: 'x', limit: bucket, want: 1000, back: [] },
    ]);
    assert.equal(other.grants[0]?.granted, 100);
  });

  contract('a limit that is made smaller holds at once', async (store) => {
    assert.equal((await get(store, 'a', bucket, 10)).granted, 10);
    const { granted } = await get(store, 'a', { ...bucket, tokens: 20, burst: 20 }, 1000);
    assert.equal(granted, 8);
  });

  contract('control planes that do not agree on a limit yet use it up no sooner', async (store) => {
    const small = { ...bucket, tokens: 50, burst: 50 };
    assert.equal((await get(store, 'a', bucket, 10)).granted, 10);
    for (let round = 0; round < 10; round++)
      for (const limit of [small, bucket]) await get(store, 'a', limit, 0);
    assert.equal((await get(store, 'a', bucket, 1000)).granted, 80);
  });

  contract(
    'of random draws no window ever holds more than the quota, nor an estimate twice as much',
    async (store, { pass }) => {
      const random = seeded(7);
      for (const limit of [bucket, window, estimate]) {
        const used: { atMs: number; count: number }[] = [];
        for (let step = 0; step < 150; step++) {
          const member = `m${Math.floor(random() * 3)}`;
          const { atMs, granted } = await get(store, member, limit, Math.floor(random() * 60));
          await pass(Math.floor(random() ** 3 * 60), 'm0', 'm1', 'm2');
          const count = random() < 0.2 ? Math.floor(granted * random()) : granted;
          if (count < granted)
            await get(store, member, limit, 0, { back: [{ count: granted - count, drawnMs: atMs }] });
          used.push({ atMs, count });
          if (random() < 0.03) await pass(1_500, 'm0', 'm1', 'm2');
        }
        check(limit, used);
      }
    },
  );
}

async function lives(store: QuotaStore, quota: string, limit: RateLimit): Promise<number[]> {
  const { granted, lifeMs } = await get(store, 'a', limit, 1000, { quota: `t/app#${quota}` });
  return [lifeMs, granted];
}

/** All windows that begin with a debit. Uses come up to `returnMs` after their debit: that is what the store keeps back. */
function check(limit: RateLimit, used: readonly { atMs: number; count: number }[]): void {
  const { capacity, burst, rate, windowMs } = quotaTerms(limit);
  const sum = used.reduce((total, { count }) => total + count, 0);
  assert.ok(sum > 300, `${limit.algorithm} gave hardly anything: ${sum}`);
  for (const [from, { atMs }] of used.entries()) {
    let total = 0;
    for (const later of used.slice(from)) {
      total += later.count;
      const ms = later.atMs - atMs;
      if (limit.algorithm === 'token-bucket')
        assert.ok(total <= burst + rate * ms + 1e-3, `${total} in ${ms} ms of ${burst} + ${rate * ms}`);
      else if (ms < windowMs)
        assert.ok(total <= capacity * (limit.algorithm === 'sliding-window' ? 1 : 2), `${total} in ${ms} ms`);
    }
  }
  if (limit.algorithm !== 'sliding-estimate') return;
  const aligned = new Map<number, number>();
  for (const { atMs, count } of used) {
    const index = Math.floor(atMs / windowMs);
    aligned.set(index, (aligned.get(index) ?? 0) + count);
  }
  for (const count of aligned.values()) assert.ok(count <= capacity, `${count} in one window`);
}

/** What every store must do that has just begun without memory, while sidecars that it does not know may be on their shares. */
export function youngStoreContract(name: string, open: Open): void {
  const left = async (store: QuotaStore, member: string, told: number): Promise<number> =>
    (await draw(store, member, [{}], false, told)).grants[0]?.remaining ?? 0;

  test(`${name}: a store that forgot does not give away the share of who is cut off and was told one`, async (context) => {
    const { store, pass } = await open(context);
    await left(store, 'a', 2);
    await pass(10_000, 'a');
    assert.equal(await left(store, 'a', 2), 50);
    const newcomer = await draw(store, 'new', [{}]);
    assert.equal(newcomer.grants[0]?.sharers, 1_000_000, 'no share is free for it');
    assert.equal((await draw(store, 'a', [{}])).grants[0]?.sharers, 3);
    await pass(10_000, 'a', 'new');
    assert.equal(await left(store, 'b', 2), 50);
    await pass(10_000, 'a', 'b', 'new');
    assert.equal(await left(store, 'b', 2), 100, 'all who had a share are back');
  });

  test(`${name}: who does not come back to a store that forgot has no share after two minutes`, async (context) => {
    const { store, pass } = await open(context);
    await left(store, 'a', 2);
    await pass(FORGET_MS - 5_000, 'a');
    assert.equal(await left(store, 'a', 2), 50);
    await pass(15_000, 'a');
    assert.equal(await left(store, 'a', 2), 100);
  });

  test(`${name}: a store that forgot hears from control planes who was told what, though they do not draw`, async (context) => {
    const { store, pass } = await open(context);
    await left(store, 'a', 2);
    store.contact(SERVICE, [{ name: 'idle', told: 2 }]);
    await pass(10_000, 'a', 'idle');
    assert.equal(await left(store, 'a', 2), 100);
  });

  test(`${name}: nobody gets more by saying that all was told to it`, async (context) => {
    const { store, pass } = await open(context);
    await left(store, 'a', 2);
    await left(store, 'b', 2);
    assert.equal((await draw(store, 'liar', [{}], false, 1)).grants[0]?.sharers, 1_000_000);
    await pass(10_000, 'a', 'b', 'liar');
    assert.equal(await left(store, 'a', 2), 100);
  });
}
