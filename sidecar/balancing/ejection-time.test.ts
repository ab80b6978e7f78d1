import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ejectionMs, highestLevel, levelAfterGoodTime } from './ejection-time.ts';

const BOUNDS = { ejectMinMs: 5_000, ejectMaxMs: 60_000 };

test('each ejection is twice as long as the one before, up to the longest', () => {
  const shortest = [0, 1, 2, 3, 4, 5].map((level) => ejectionMs(BOUNDS, level, () => 0));
  assert.deepEqual(shortest, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  assert.equal(highestLevel(BOUNDS), 4);
  assert.equal(highestLevel({ ejectMinMs: 5, ejectMaxMs: 5 }), 0);
});

test('chance changes it, and never beyond the bounds', () => {
  for (let level = 0; level < 8; level++) {
    for (const chance of [0, 0.3, 0.7, 0.999]) {
      const timeMs = ejectionMs(BOUNDS, level, () => chance);
      assert.ok(timeMs >= BOUNDS.ejectMinMs && timeMs <= BOUNDS.ejectMaxMs, `${level} ${chance} ${timeMs}`);
    }
    const [one, other] = [0, 0.9].map((chance) => ejectionMs(BOUNDS, level, () => chance));
    assert.notEqual(one, other, 'sidecars of a fleet do not come back in step');
  }
  assert.equal(
    ejectionMs({ ejectMinMs: 5, ejectMaxMs: 5 }, 3, () => 0.5),
    5,
  );
});

test('good time takes doublings back, the last one first', () => {
  const ejected = { level: 3, ejectedMs: 20_000 };
  const after = [0, 19_999, 20_000, 30_000, 35_000, 1e9].map((ms) => levelAfterGoodTime(ejected, ms));
  assert.deepEqual(after, [3, 3, 2, 1, 0, 0]);
});
