import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Overload } from './overload.ts';

/** A turn of the event loop in which requests are looked at, at these times. Gives what each had waited too long. */
async function turn(overload: Overload, ...times: number[]): Promise<number[]> {
  const told = times.map((nowMs) => overload.excess(nowMs));
  await nextTurn();
  return told;
}

test('one long turn refuses nobody', async () => {
  const overload = new Overload(100);
  assert.deepEqual(await turn(overload, 0, 50, 500), [0, 0, 0]);
  assert.deepEqual(await turn(overload, 501, 520), [0, 0]);
});

test('long turns one after the other: those that waited too long are refused, the first ones are served', async () => {
  const overload = new Overload(100);
  await turn(overload, 0, 200);
  await turn(overload, 200, 400);
  assert.deepEqual(await turn(overload, 400, 450, 500, 501, 700), [0, 0, 0, 101, 300]);
});

test('after a short turn nobody is refused', async () => {
  const overload = new Overload(100);
  for (let at = 0; at < 5; at++) await turn(overload, at * 1000, at * 1000 + 300);
  await turn(overload, 6000, 6050);
  assert.deepEqual(await turn(overload, 6050, 6400), [0, 0]);
});

test("time in which nothing came is nobody's wait", async () => {
  const overload = new Overload(100);
  for (let at = 0; at < 5; at++) assert.deepEqual(await turn(overload, at * 10_000), [0]);
});

test('a limit of 0 refuses nothing', async () => {
  const overload = new Overload(0);
  for (let at = 0; at < 5; at++) assert.deepEqual(await turn(overload, at * 1000, at * 1000 + 900), [0, 0]);
});
