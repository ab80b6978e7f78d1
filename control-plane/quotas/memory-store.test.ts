import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMemoryStore } from './memory-store.ts';
import { draw, storeContract } from './quota-store.contract.fixture.ts';
import { storeInTime, timedStoreContract, youngStoreContract } from './timed-store.contract.fixture.ts';

storeContract('memory', async () => openMemoryStore({ bornMs: Number.NEGATIVE_INFINITY }));

timedStoreContract('memory', async () => inTime(0));
youngStoreContract('memory', async () => inTime(1_000_500));

function inTime(bornMs: number): ReturnType<typeof storeInTime> {
  const clock = { nowMs: 1_000_000 };
  return storeInTime(openMemoryStore({ now: () => clock.nowMs, bornMs }), clock);
}

test('a store that began without memory has nothing saved up, and fills from then on', async () => {
  let nowMs = 10_000;
  const store = openMemoryStore({ now: () => nowMs, bornMs: 10_500 });
  const bucket = async () =>
    (await store.draw('t/app', 'a', false, [draw('100/s burst 100', 1_000)])).grants[0];
  assert.equal((await bucket())?.granted, 0);
  nowMs = 10_600;
  assert.equal((await bucket())?.granted, 10);
});

test('a window of an hour that began without memory says when it gives something, though it knows of no request', async () => {
  let nowMs = 10_000;
  const store = openMemoryStore({ now: () => nowMs, bornMs: 11_000 });
  for (const text of ['window 100/h', 'estimate 100/h']) {
    nowMs = 10_000;
    const one = async () => (await store.draw('t/app', 'a', false, [draw(text, 1)])).grants[0];
    const refused = await one();
    assert.deepEqual([refused?.granted, refused?.retryAfterMs], [0, 61_000], text);
    for (; nowMs < 71_001; nowMs += 100) store.contact('t/app', [{ name: 'a', told: 0 }]);
    assert.equal((await one())?.granted, 1, text);
  }
});

test('a sidecar without contact keeps its share: the others do not get it', async () => {
  let nowMs = 0;
  const store = openMemoryStore({ now: () => nowMs, bornMs: Number.NEGATIVE_INFINITY });
  const drawn = async (member: string, want: number) =>
    (await store.draw('t/app', member, false, [draw('1000/s', want)])).grants[0];
  for (const member of ['a', 'b', 'a', 'b']) await drawn(member, 0);
  assert.equal((await drawn('a', 0))?.sharers, 2);
  await drawn('a', 10_000);
  for (nowMs = 100; nowMs <= 3_000; nowMs += 100) store.contact('t/app', [{ name: 'a', told: 0 }]);
  await drawn('a', 10_000);
  nowMs += 1_000;
  store.contact('t/app', [{ name: 'a', told: 0 }]);
  await drawn('a', 0);
  nowMs += 1_000;
  store.contact('t/app', [{ name: 'a', told: 0 }]);
  assert.ok(((await drawn('a', 10_000))?.granted ?? 0) <= 500, 'half of it is of who is away');
  store.leave('t/app', 'b');
  for (let step = 0; step < 20; step++) {
    nowMs += 100;
    store.contact('t/app', [{ name: 'a', told: 0 }]);
  }
  assert.ok(((await drawn('a', 10_000))?.granted ?? 0) > 800, 'who said goodbye has no share');
});

test('control planes that count apart give no more than the quota together', async () => {
  for (const text of ['10/d', 'window 10/d', 'estimate 10/d', 'concurrent 10']) {
    const stores = [1, 2, 3].map(() => openMemoryStore({ bornMs: Number.NEGATIVE_INFINITY, parts: 3 }));
    const drawn = stores.map((store) => store.draw('t/app', 'a', false, [draw(text, 100)]));
    const grants = (await Promise.all(drawn)).flatMap((answer) => answer.grants);
    assert.deepEqual(
      grants.map(({ granted }) => granted),
      [3, 3, 3],
      text,
    );
    assert.deepEqual(
      grants.map(({ sharers }) => sharers),
      [3, 3, 3],
      text,
    );
  }
});

test('of a count that is smaller than the control planes that count apart, none gives anything', async () => {
  for (const text of ['2/d', 'window 2/d', 'estimate 2/d', 'concurrent 2']) {
    const store = openMemoryStore({ bornMs: Number.NEGATIVE_INFINITY, parts: 3 });
    assert.equal((await store.draw('t/app', 'a', false, [draw(text, 100)])).grants[0]?.granted, 0, text);
  }
});
