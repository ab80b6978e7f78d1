import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admitted } from './admitted.ts';

test('the worst window is found, whichever it is', () => {
  const admitted = new Admitted(1_000, 1_000);
  for (let ms = 0; ms < 1_000; ms += 10) admitted.note(1_000 + ms);
  assert.ok(admitted.excess(0.1, 10) <= 0);
  for (let i = 0; i < 10; i++) admitted.note(1_500.5);
  assert.ok(Math.abs(admitted.excess(0.1, 10) - 0.9) < 0.2, String(admitted.excess(0.1, 10)));
  assert.equal(admitted.total, 110);
  assert.equal(admitted.between(500, 501), 11);
});
