import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { pause } from './pause.ts';

test('a pause ends after its time, and not at all once it is cancelled', (context) => {
  const clock = leapingClock(context);
  const ended: string[] = [];
  pause(clock.wheel, 100, () => ended.push('first'));
  const cancel = pause(clock.wheel, 100, () => ended.push('second'));
  cancel();
  cancel();
  clock.leap(50);
  assert.deepEqual(ended, []);
  clock.leap(100);
  assert.deepEqual(ended, ['first']);
});
