import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { until } from '../../test/fixture/wait.ts';
import { type Timed, TimerWheel } from './timer-wheel.ts';

function timed(onDeadline: () => void): Timed {
  return {
    wheelSlot: -1,
    wheelDeadline: 0,
    wheelNext: undefined,
    wheelPrevious: undefined,
    onDeadline,
  };
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

test('no deadline is early, forgotten or more than a tick late, whatever is armed and disarmed', () => {
  const random = seeded(8);
  const { clock, wheel } = fakeWheel();
  const due = new Map<Timed, number>();
  const fired = new Set<Timed>();
  const all = Array.from({ length: 200 }, () => {
    const one: Timed = timed(() => {
      const deadline = due.get(one);
      assert.ok(deadline !== undefined, 'it was not armed');
      assert.ok(clock.now >= deadline, `early by ${deadline - clock.now} ms`);
      due.delete(one);
      fired.add(one);
    });
    return one;
  });
  for (let step = 0; step < 20_000; step++) {
    const one = all[Math.floor(random() * all.length)] ?? assert.fail();
    const choice = random();
    if (choice < 0.5) {
      const ms = random() < 0.1 ? random() * 100_000 : random() * 500;
      wheel.arm(one, ms);
      due.set(one, clock.now + ms);
    } else if (choice < 0.7) {
      wheel.disarm(one);
      due.delete(one);
    } else {
      clock.now += random() < 0.01 ? random() * 30_000 : random() * 30;
      wheel.turn();
      for (const deadline of due.values())
        assert.ok(deadline > clock.now - 25, `late by ${clock.now - deadline} ms`);
    }
  }
  assert.equal(fired.size, all.length);
});

test('disarming twice, or what was never armed, is nothing', () => {
  const { clock, wheel } = fakeWheel();
  let fired = 0;
  const [one, other] = [timed(() => fired++), timed(() => fired++)];
  wheel.disarm(one);
  wheel.arm(one, 10);
  wheel.arm(other, 10);
  wheel.disarm(one);
  wheel.disarm(one);
  clock.now += 100;
  wheel.turn();
  assert.equal(fired, 1);
});

test('the wheel turns by itself while something is armed', async () => {
  const wheel = new TimerWheel();
  const fired: string[] = [];
  wheel.arm(
    timed(() => {
      fired.push('first');
      wheel.arm(
        timed(() => fired.push('second')),
        1,
      );
    }),
    1,
  );
  await until('both deadlines', () => fired.length === 2);
  assert.deepEqual(fired, ['first', 'second']);
});
