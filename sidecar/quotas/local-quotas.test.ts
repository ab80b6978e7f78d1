import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitOf, limitsOf } from '../../protocol/quotas/limits.fixture.ts';
import { HAS } from './account.ts';
import { localBucket } from './local-buckets.ts';
import { LocalQuotas, partOf } from './local-quotas.ts';

/** When requests were let in of those that come each ms, `perMs` at once. */
function letIn(text: string, untilMs: number, perMs: (ms: number) => number): number[] {
  const bucket = localBucket(limitOf(text));
  const times: number[] = [];
  for (let ms = 1_000_000; ms < 1_000_000 + untilMs; ms++) {
    for (let one = perMs(ms); one > 0 && bucket.left(ms) >= 1; one--) {
      bucket.take(ms);
      times.push(ms);
    }
  }
  return times;
}

function most(times: readonly number[], windowMs: number): number {
  let [highest, from] = [0, 0];
  for (const [to, time] of times.entries()) {
    while ((times[from] ?? 0) <= time - windowMs) from++;
    highest = Math.max(highest, to - from + 1);
  }
  return highest;
}

const bursty = (ms: number) => (ms % 700 < 20 ? 9 : ms % 3 === 0 ? 1 : 0);

test('a bucket lets in no more than its burst and its rate, and all of that', () => {
  const times = letIn('100/s burst 30', 10_000, () => 3);
  assert.ok(times.length >= 1029 && times.length <= 1030, String(times.length));
  for (const windowMs of [1, 50, 1000]) assert.ok(most(times, windowMs) <= 30 + windowMs / 10);
});

test('a window never holds more, small or large', () => {
  for (const [text, tokens] of [
    ['window 50/s', 50],
    ['window 500/s', 500],
  ] as const) {
    const times = letIn(text, 20_000, bursty);
    assert.ok(most(times, 1000) <= tokens, text);
  }
  const steady = letIn('window 500/s', 20_000, () => 2).length;
  assert.ok(steady >= 0.97 * 10_000, `${steady} of 10000`);
});

test('an estimate of a steady load is right, and of any load off by less than the window', () => {
  const steady = letIn('estimate 100/s', 20_000, () => 1).length;
  assert.ok(Math.abs(steady - 2000) <= 100, String(steady));
  assert.ok(most(letIn('estimate 100/s', 20_000, bursty), 1000) < 200);
});

test('it is told when there is one again', () => {
  for (const text of ['7/s burst 2', 'window 3/s', 'window 300/s', 'estimate 9/s']) {
    const bucket = localBucket(limitOf(text));
    let ms = 5_000;
    for (let round = 0; round < 40; round++) {
      while (bucket.left(ms) >= 1) bucket.take(ms);
      const nextMs = bucket.nextMs(ms);
      assert.ok(nextMs > 0 && nextMs <= 2000, `${text}: ${nextMs}`);
      ms += nextMs + 0.001;
      assert.ok(bucket.left(ms) >= 1, `${text} in round ${round}`);
      bucket.take(ms);
    }
    assert.ok(bucket.wholeMs(ms) > 0);
    assert.equal(bucket.wholeMs(ms + 10_000), 0);
  }
});

test('of concurrency, places come back', () => {
  const bucket = localBucket(limitOf('concurrent 2'));
  bucket.take(0);
  bucket.take(0);
  assert.equal(bucket.left(0), 0);
  bucket.release();
  assert.equal(bucket.left(0), 1);
});

test('parts of several processes are the quota together', () => {
  for (const text of ['10/s burst 7', 'window 3/h', 'concurrent 9']) {
    const limit = limitOf(text);
    const parts = [1, 2, 3, 4].map((number) => partOf(limit, { number, of: 4 }));
    const sum = (of: (part: typeof limit) => number): number =>
      parts.reduce((all, part) => all + of(part), 0);
    assert.deepEqual([sum(({ tokens }) => tokens), sum(({ burst }) => burst)], [limit.tokens, limit.burst]);
  }
});

test('a quota keeps what was used of it, also when it has other numbers: who changes it often lets in no more', () => {
  for (const [kind, one, more] of [
    ['token-bucket', '100/h burst 100', '100/h burst 101'],
    ['sliding-window', 'window 100/h', 'window 101/h'],
    ['large window', 'window 400/h', 'window 401/h'],
    ['sliding-estimate', 'estimate 100/h', 'estimate 101/h'],
    ['concurrency', 'concurrent 50', 'concurrent 51'],
  ] as const) {
    const source = new LocalQuotas();
    let admitted = 0;
    const takeAll = (text: string) => {
      const nowMs = performance.now();
      const account = source.quotasOf('t/a', limitsOf(text))[0]?.account('web', nowMs);
      for (; account?.look(nowMs) === HAS; admitted++) account.take(nowMs);
      return account;
    };
    takeAll(one);
    const all = admitted;
    takeAll(one);
    assert.equal(admitted, all, `${kind}: as before`);
    takeAll(more);
    assert.equal(admitted, all + 1, `${kind}: one more`);
    const account = takeAll(one);
    assert.equal(admitted, all + 1, `${kind}: one fewer`);
    assert.equal([...source.all()].length, 1);
    if (kind !== 'concurrency') continue;
    account?.release(performance.now());
    takeAll(one);
    assert.equal(admitted, all + 1, '50 of 50 are in use');
    account?.release(performance.now());
    takeAll(one);
    assert.equal(admitted, all + 2);
  }
});
