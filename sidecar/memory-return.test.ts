import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryReturn, processMemory } from './memory-return.ts';

const MIB = 1024 * 1024;

/** A process at `resident` MiB that `work`s; what it gives back brings it to 60 MiB. */
function fake() {
  const state = { resident: 60, work: 0, given: 0 };
  const memory = new MemoryReturn({
    resident: () => state.resident * MIB,
    utilization: () => state.work,
    giveBack() {
      state.given++;
      state.resident = 60;
    },
  });
  const look = (times: number) => {
    for (let i = 0; i < times; i++) memory.look();
  };
  return { state, look };
}

test('memory is given back once after a load, not while it runs', () => {
  const { state, look } = fake();
  Object.assign(state, { resident: 150, work: 0.5 });
  look(10);
  assert.equal(state.given, 0);
  state.work = 0.01;
  look(1);
  assert.equal(state.given, 0, 'one quiet look may be a pause between two requests');
  look(10);
  assert.equal(state.given, 1);
});

test('each load is followed by one return', () => {
  const { state, look } = fake();
  for (const times of [1, 2, 3]) {
    Object.assign(state, { resident: 150, work: 0.5 });
    look(1);
    state.work = 0;
    look(5);
    assert.equal(state.given, times);
  }
});

test('a process that did not grow is left alone', () => {
  const { state, look } = fake();
  state.resident = 67;
  look(10);
  assert.equal(state.given, 0);
});

test('memory that cannot be given back is not tried again and again', () => {
  let given = 0;
  let resident = 60 * MIB;
  const memory = new MemoryReturn({
    resident: () => resident,
    utilization: () => 0,
    giveBack: () => given++,
  });
  resident = 150 * MIB;
  for (let i = 0; i < 10; i++) memory.look();
  assert.equal(given, 1);
});

test('the own process collects what nobody holds', async () => {
  const use = processMemory();
  const dropped = new WeakRef({ text: 'nobody holds this' });
  await new Promise((resolve) => setImmediate(resolve)); // a WeakRef holds its target for the turn that made it
  use.giveBack();
  assert.equal(dropped.deref(), undefined);
  assert.ok(use.resident() > 0);
});
