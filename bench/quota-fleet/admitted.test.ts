import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admitted } from './admitted.ts';

test('the worst window is found, whichever it is', () => {
  const admitted = new Admitted(1_000);
  for (let ms = 0; ms < 1_000; ms += 10) admitted.note(ms);
  assert.ok(admitted.excess(0.1, 10) <= 0);
  for (let i = 0; i < 10; i++) admitted.note(500.5);
  assert.ok(Math.abs(admitted.excess(0.1, 10) - 0.9) < 0.2, String(admitted.excess(0.1, 10)));
  assert.ok(admitted.excess(0.1, 10, 600) <= 0);
  assert.equal(admitted.total, 110);
  assert.equal(admitted.between(500, 501), 11);
});

test('what several noted is summed up, each part once', () => {
  const [one, other, all] = [new Admitted(100), new Admitted(100), new Admitted(100)];
  one.note(3);
  other.note(3.9);
  all.add(one.take(10));
  all.add(other.take(10));
  one.note(12);
  all.add(one.take(20));
  assert.deepEqual([all.total, all.between(3, 4), all.between(12, 13)], [3, 2, 1]);
});
