import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Timed, TimerWheel, unarmed } from './timer-wheel.ts';

function timed(onDeadline: () => void): Timed {
  return { ...unarmed(), onDeadline };
}

function fakeWheel() {
  const clock = { now: 1000 };
  return { clock, wheel: new TimerWheel(() => clock.now) };
}

test('fires when the deadline has passed and not before', () => {
  const { clock, wheel } = fakeWheel();
  const fired: string[] = [];
  const late = timed(() => fired.push('late'));
  wheel.arm(
    timed(() => fired.push('soon')),
    30,
  );
  wheel.arm(late, 60_000);
  clock.now += 20;
  wheel.turn();
  assert.deepEqual(fired, []);
  clock.now += 40;
  wheel.turn();
  assert.deepEqual(fired, ['soon']);
  for (let turn = 0; turn < 5000 && fired.length < 2; turn++) {
    clock.now += 25;
    wheel.turn();
  }
  assert.deepEqual(fired, ['soon', 'late']);
  assert.ok(clock.now >= 61_000 && clock.now <= 61_050);
});

test('what is disarmed or armed anew does not fire at the old time', () => {
  const { clock, wheel } = fakeWheel();
  let fired = 0;
  const one = timed(() => fired++);
  wheel.arm(one, 50);
  wheel.disarm(one);
  wheel.arm(one, 500);
  clock.now += 100;
  wheel.turn();
  assert.equal(fired, 0);
  clock.now += 500;
  wheel.turn();
  assert.equal(fired, 1);
});

test('a callback may disarm others of its slot and arm itself again', () => {
  const { clock, wheel } = fakeWheel();
  const fired: string[] = [];
  const second = timed(() => fired.push('second'));
  const third = timed(() => fired.push('third'));
  const first = timed(() => {
    fired.push('first');
    wheel.disarm(second);
    if (fired.length < 3) wheel.arm(first, 10);
  });
  wheel.arm(third, 40);
  wheel.arm(second, 40);
  wheel.arm(first, 40);
  for (let turn = 0; turn < 20; turn++) {
    clock.now += 25;
    wheel.turn();
  }
  assert.deepEqual(fired, ['first', 'third', 'first']);
});

test('a process that slept for long fires all that is due', () => {
  const { clock, wheel } = fakeWheel();
  let fired = 0;
  for (let i = 0; i < 1000; i++)
    wheel.arm(
      timed(() => fired++),
      i * 40,
    );
  clock.now += 3_600_000;
  wheel.turn();
  assert.equal(fired, 1000);
});
