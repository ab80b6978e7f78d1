import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULTS } from './faults/all.ts';
import { groupOf, type Planned, planStorm, type Targets } from './schedule.ts';

const TARGETS: Targets = {
  endpoint: ['orders-0', 'orders-1', 'orders-2', 'web-0', 'web-1', 'store-0', 'store-1'],
  entry: ['client-a', 'client-b', 'gateway'],
  service: ['orders', 'web', 'store'],
  'control-plane': ['control-0', 'control-1'],
  'control-planes': ['control-planes'],
  names: ['web'],
  disk: ['disk'],
  redis: ['redis'],
};
const STORM_MS = 600_000;

function plan(seed: number): Planned[] {
  return planStorm(seed, FAULTS, TARGETS, STORM_MS);
}

function aimOf(name: string) {
  const fault = FAULTS.find((one) => one.name === name);
  assert.ok(fault, name);
  return fault.aim;
}

test('a schedule follows from its seed alone, and another seed has another one', () => {
  assert.deepEqual(plan(7), plan(7));
  assert.notDeepEqual(plan(7), plan(8));
});

test('a longer storm has every fault', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const struck = new Set(plan(seed).map(({ fault }) => fault));
    assert.deepEqual(
      FAULTS.filter(({ name }) => !struck.has(name)),
      [],
      `seed ${seed}`,
    );
  }
});

test('faults of one group come one after the other with a rest between, and end with the storm', () => {
  for (let seed = 1; seed <= 50; seed++) {
    for (const [group, all] of Map.groupBy(plan(seed), ({ fault, target }) =>
      groupOf(aimOf(fault), target),
    )) {
      let freeMs = 0;
      for (const { atMs, lastsMs } of all) {
        assert.ok(atMs >= freeMs, `seed ${seed}: ${group} at ${atMs}`);
        freeMs = atMs + lastsMs + 1_000;
        assert.ok(atMs + lastsMs <= STORM_MS);
      }
    }
  }
});

test('an endpoint, and its whole service, are of one group: a healthy endpoint is left', () => {
  assert.equal(groupOf('endpoint', 'orders-1'), groupOf('service', 'orders'));
  assert.equal(groupOf('names', 'web'), groupOf('endpoint', 'web-0'));
  assert.equal(groupOf('control-plane', 'control-0'), groupOf('control-planes', 'control-planes'));
});

test('what the mesh does not have is not hit', () => {
  const faults = FAULTS.filter(({ aim }) => aim === 'disk' || aim === 'endpoint');
  const struck = planStorm(3, faults, { ...TARGETS, disk: [] }, STORM_MS);
  assert.ok(struck.length > 10);
  assert.ok(struck.every(({ fault }) => fault !== 'fill-disk'));
  assert.deepEqual(planStorm(3, faults, { ...TARGETS, disk: [], endpoint: [] }, STORM_MS), []);
});
