import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { limitOf } from '../../protocol/quotas/limits.fixture.ts';
import type { QuotaDraw } from '../../protocol/quotas/memory-quotas.ts';
import { until } from '../../test/fixture/wait.ts';
import type { QuotaStore } from './quota-store.ts';

/** A store for one test, in which every quota is whole. */
export type OpenStore = (context: TestContext) => Promise<QuotaStore>;

export function draw(text: string, want: number, rest: Partial<QuotaDraw> = {}): QuotaDraw {
  return { quota: `t/app#${text}`, subject: '', limit: limitOf(text), want, back: [], ...rest };
}

async function granted(
  store: QuotaStore,
  draws: QuotaDraw[],
  { member = 'a', exact = false, service = 't/app' } = {},
): Promise<number[]> {
  return (await store.draw(service, member, exact, draws)).grants.map((grant) => grant.granted);
}

/** What every store does, whatever it is made of. Limits are by the day, so that nothing comes back meanwhile. */
export function storeContract(name: string, open: OpenStore): void {
  for (const text of ['100/d', 'window 100/d', 'estimate 100/d']) {
    test(`${name}: ${text}: all of a quota is granted and no more, and then it says when there is more`, async (context) => {
      const store = await open(context);
      assert.deepEqual(await granted(store, [draw(text, 60)]), [60]);
      const { grants } = await store.draw('t/app', 'a', false, [draw(text, 60)]);
      assert.equal(grants[0]?.granted, 40);
      assert.equal(grants[0]?.remaining, 0);
      const [none] = (await store.draw('t/app', 'a', false, [draw(text, 1)])).grants;
      assert.equal(none?.granted, 0);
      assert.ok((none?.retryAfterMs ?? 0) > 1_000, `retryAfterMs ${none?.retryAfterMs}`);
      assert.ok((none?.resetMs ?? 0) > 1_000, `resetMs ${none?.resetMs}`);
    });

    test(`${name}: ${text}: what is given back is there again, once`, async (context) => {
      const store = await open(context);
      const { atMs } = await store.draw('t/app', 'a', false, [draw(text, 100)]);
      const back = [{ count: 30, drawnMs: atMs }];
      assert.deepEqual(await granted(store, [draw(text, 0, { back })]), [0]);
      assert.deepEqual(await granted(store, [draw(text, 100)]), [30]);
    });

    test(`${name}: ${text}: an attacker who gives back more than was ever drawn gets no more than the quota`, async (context) => {
      const store = await open(context);
      const { atMs } = await store.draw('t/app', 'a', false, [draw(text, 10)]);
      const back = [{ count: 1_000_000, drawnMs: atMs }];
      await store.draw('t/app', 'a', false, [draw(text, 0, { back })]);
      assert.deepEqual(await granted(store, [draw(text, 1_000)]), [100]);
    });

    test(`${name}: ${text}: who draws at the same time gets a fair share`, async (context) => {
      const store = await open(context);
      await granted(store, [draw(text, 1)], { member: 'a' });
      await granted(store, [draw(text, 1)], { member: 'b' });
      assert.deepEqual(await granted(store, [draw(text, 100)], { member: 'a' }), [49]);
    });

    test(`${name}: ${text}: each subject has all of it`, async (context) => {
      const store = await open(context);
      const subjects = ['x', 'y', 'x y', 'x}{', '\u0000'];
      for (const subject of subjects)
        assert.deepEqual(await granted(store, [draw(text, 100, { subject })]), [100]);
      for (const subject of subjects)
        assert.deepEqual(await granted(store, [draw(text, 100, { subject })]), [0]);
    });

    test(`${name}: ${text}: a quota with other numbers keeps what was used of it`, async (context) => {
      const store = await open(context);
      await granted(store, [draw(text, 50)]);
      const smaller = { ...draw(text, 100), limit: limitOf(text.replace('100', '60')) };
      const [{ granted: left } = { granted: -1 }] = (await store.draw('t/app', 'a', false, [smaller])).grants;
      assert.ok(left <= 50 && left >= 9, `${left} were left`);
    });
  }

  test(`${name}: the same quota of another service is another`, async (context) => {
    const store = await open(context);
    assert.deepEqual(await granted(store, [draw('10/d', 10)]), [10]);
    assert.deepEqual(await granted(store, [draw('10/d', 10)], { service: 't/other' }), [10]);
  });

  test(`${name}: of several limits at once all are granted, or none`, async (context) => {
    const store = await open(context);
    const both = (want: number) => [draw('10/d exact', want), draw('window 3/d exact', want)];
    assert.deepEqual(await granted(store, both(3), { exact: true }), [3, 3]);
    assert.deepEqual(await granted(store, both(1), { exact: true }), [0, 0]);
    assert.deepEqual(await granted(store, [draw('10/d exact', 8)], { exact: true }), [0]);
    assert.deepEqual(await granted(store, [draw('10/d exact', 7)], { exact: true }), [7]);
  });

  test(`${name}: without exact, each limit gives what it has`, async (context) => {
    const store = await open(context);
    assert.deepEqual(await granted(store, [draw('10/d', 20), draw('window 3/d', 20)]), [10, 3]);
  });

  test(`${name}: places are held by who asked for them, and are free when it wants fewer or leaves`, async (context) => {
    const store = await open(context);
    const places = (want: number) => [draw('concurrent 5', want)];
    assert.deepEqual(await granted(store, places(4), { member: 'a' }), [4]);
    assert.deepEqual(await granted(store, places(4), { member: 'b' }), [1]);
    assert.deepEqual(await granted(store, places(1), { member: 'a' }), [1]);
    assert.deepEqual(await granted(store, places(2), { member: 'b' }), [2]);
    store.leave('t/app', 'a');
    await until('the places of who left', async () => {
      await granted(store, places(2), { member: 'b' });
      return (await granted(store, places(5), { member: 'c' }))[0] === 3;
    });
  });

  test(`${name}: a bucket fills up with time, and never above its burst`, async (context) => {
    const store = await open(context);
    assert.deepEqual(await granted(store, [draw('100/s burst 10', 50)]), [10]);
    await until('it to be whole again', async () => {
      const [grant] = (await store.draw('t/app', 'a', false, [draw('100/s burst 10', 0)])).grants;
      return grant?.resetMs === 0;
    });
    assert.deepEqual(await granted(store, [draw('100/s burst 10', 50)]), [10]);
  });

  test(`${name}: sharers are counted, and shares of all together are no more than one`, async (context) => {
    const store = await open(context);
    const told = async (member: string) =>
      (await store.draw('t/app', member, false, [draw('100/d', 0)])).grants[0]?.sharers ?? 0;
    const shares = new Map<string, number>();
    for (const member of ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']) {
      shares.set(member, 1 / (await told(member)));
      assert.ok([...shares.values()].reduce((sum, share) => sum + share, 0) <= 1 + 1e-5);
    }
    assert.equal(await told('a'), 3);
  });
}
