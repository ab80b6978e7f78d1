import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrawnBuckets } from './drawn-buckets.ts';

test('what was drawn can be taken back once, from the bucket that it was drawn from', () => {
  const drawn = new DrawnBuckets();
  drawn.note('a', 5, 1_000);
  drawn.note('a', 3, 1_010);
  assert.deepEqual(drawn.take('b', 9, 950), []);
  assert.deepEqual(drawn.take('a', 6, 950), [
    { count: 5, drawnMs: 1_000 },
    { count: 1, drawnMs: 1_010 },
  ]);
  assert.deepEqual(drawn.take('a', 6, 950), [{ count: 2, drawnMs: 1_010 }]);
  assert.equal(drawn.size, 0);
});

test('what was drawn too long ago cannot be taken back', () => {
  const drawn = new DrawnBuckets();
  drawn.note('a', 5, 1_000);
  assert.deepEqual(drawn.take('a', 5, 1_001), []);
  assert.equal(drawn.size, 0);
});

test('subject after subject, each drawn for once, are forgotten when a lease has passed', () => {
  const drawn = new DrawnBuckets();
  for (let subject = 0; subject < 50_000; subject++) {
    drawn.note('regular', 1, subject);
    drawn.note(`${subject}`, 1, subject);
  }
  assert.ok(drawn.size <= 102, `${drawn.size}`);
  assert.equal(drawn.take('regular', 1_000, 49_950).length, 50);
});
